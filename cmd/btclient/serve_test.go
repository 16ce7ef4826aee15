package main

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/client"
)

// at is a listener that has nothing but an address.
type at struct {
	net.Listener
	addr string
}

func (a at) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a.addr)) }

func TestTheLoginIsPrintedAsOthersReachIt(t *testing.T) {
	ring := netip.MustParseAddr("192.0.2.7")
	for _, c := range []struct {
		listener string
		ring     netip.Addr
		want     string
	}{
		{"198.51.100.1:8780", ring, "198.51.100.1:8780"},
		{"0.0.0.0:8780", ring, "192.0.2.7:8780"},
		{"[::]:8780", ring, "192.0.2.7:8780"},
	} {
		if got := fromOutside(at{addr: c.listener}, c.ring); got != c.want {
			t.Errorf("%s, towards the ring %v: %s, want %s", c.listener, c.ring, got, c.want)
		}
	}
	// Without a ring, or with one on this machine, it is one of this machine's own, if it has any.
	outside := false
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		p := netip.MustParsePrefix(a.String())
		outside = outside || p.Addr().Is4() && p.Addr().IsGlobalUnicast()
	}
	for _, ring := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1")} {
		got := netip.MustParseAddrPort(fromOutside(at{addr: "0.0.0.0:8780"}, ring))
		if got.Addr().IsLoopback() == outside || !got.Addr().Is4() || got.Port() != 8780 {
			t.Errorf("towards the ring %v: %v, and this machine has %v", ring, got, own)
		}
	}
}

func TestATokenOfAFile(t *testing.T) {
	storage, err := client.OpenStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct{ text, want string }{
		{"0123456789abcdefABCD\n", "0123456789abcdefABCD"},
		{"0123456789abcdefABC\n", ""},
		{strings.Repeat("x", 129), ""},
		{"0123456789; path=/abcdefABCD", ""},
		{"", ""},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := pageToken(storage, file)
		if token != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v", c.text, token, err)
		}
	}
	if _, err := pageToken(storage, file+"-not"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	made, err := pageToken(storage, "")
	if again, _ := pageToken(storage, ""); err != nil || made == "" || again != made {
		t.Errorf("the Storage's own: %q, then %q, %v", made, again, err)
	}
}
