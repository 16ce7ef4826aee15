package communicator

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/communicator/ringtest"
)

// testGroup is not the default group, so that no ring of this machine hears.
const testGroup = "239.255.4.3:21234"

// servedRing is a ring whose members listen on loopback ports.
func servedRing(t *testing.T, cluster string, members int) (*ringtest.Ring, []*ringtest.Member) {
	t.Helper()
	ring := ringtest.New(1)
	var all []*ringtest.Member
	var st chord.Status
	for range members {
		m, err := ring.Serve("127.0.0.1", cluster)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		all = append(all, m)
		st.Members = append(st.Members, m.Ref)
	}
	ring.SetStatus(st)
	return ring, all
}

func open(t *testing.T, cfg Config) *Communicator {
	t.Helper()
	cfg.Log = testLog(t)
	c, err := Open(bg, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestOpenByListFailsOverInMidCall(t *testing.T) {
	ring, members := servedRing(t, "c", 3)
	c := open(t, Config{Ring: members[0].Ref.Addr, Cluster: "c", Multicast: "off"})
	if got := c.LocalAddr(); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("local address %v", got)
	}
	what := contentFor(t, "x", 1, 6*chunkBytes)
	var once sync.Once
	var killed sync.WaitGroup
	killed.Add(1)
	onPuts(ring, func(n int, _ chord.Put) *ringtest.Fault {
		return &ringtest.Fault{Before: func(ctx context.Context) {
			if n == 2 { // the member dies while it carries this one out
				go once.Do(func() {
					_ = members[0].Close()
					killed.Done()
				})
				<-ctx.Done()
			}
		}}
	})
	publish(t, c, what)
	killed.Wait()
	if _, b, err := c.Torrent(bg, "x"); err != nil || len(b) != len(what.metainfo) {
		t.Fatal(err)
	}
}

func TestOpenWithoutARingSaysSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := ln.Addr().String()
	_ = ln.Close()
	_, members := servedRing(t, "another cluster", 1)
	for _, c := range []struct {
		cfg     Config
		says    string
		refused bool
	}{
		{Config{Ring: dead, Multicast: "off", Cluster: "c"}, dead, false},
		{Config{Ring: members[0].Ref.Addr, Multicast: "off", Cluster: "c"}, "another cluster", true},
		{Config{Multicast: testGroup, Cluster: rand.Text()}, testGroup, false},
	} {
		c.cfg.Wait = 300 * time.Millisecond
		c.cfg.Log = testLog(t)
		_, err := Open(bg, c.cfg)
		if !errors.Is(err, ErrNoRing) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want ErrNoRing about %s", err, c.says)
		}
		if errors.Is(err, ErrRefused) != c.refused {
			t.Errorf("error %v is ErrRefused: %v, want %v", err, !c.refused, c.refused)
		}
	}
}

func TestOpenRefusesWhatItCannotUnderstand(t *testing.T) {
	for _, cfg := range []Config{
		{Multicast: "nonsense"},
		{Multicast: "10.0.0.1:1234"},
		{Multicast: "off", Ring: "a:b:c:d"},
	} {
		if _, err := Open(bg, cfg); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := Open(ctx, Config{Multicast: "off", Cluster: "c"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}

func TestOpenFindsARingByMulticastAlone(t *testing.T) {
	cluster := rand.Text()
	_, members := servedRing(t, cluster, 1)
	m, err := discovery.Open(discovery.Config{Group: netip.MustParseAddrPort(testGroup), Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bg)
	var wg sync.WaitGroup
	wg.Go(func() {
		m.Announce(ctx, discovery.Self{ID: members[0].Ref.ID, Epoch: 1, Ring: netip.MustParseAddrPort(members[0].Ref.Addr)})
	})
	defer func() {
		cancel()
		wg.Wait()
		_ = m.Close()
	}()
	cache := filepath.Join(t.TempDir(), "members.json")
	c := open(t, Config{Multicast: testGroup, Cluster: cluster, CacheFile: cache, Wait: 20 * time.Second})
	if _, err := status(bg, c); err != nil {
		t.Fatal(err)
	}
	// Next time the cache is enough.
	if _, err := os.Stat(cache); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Multicast: "off", Cluster: cluster, CacheFile: cache})
}

func TestOperationsAfterCloseSaySo(t *testing.T) {
	_, members := servedRing(t, "c", 1)
	c := open(t, Config{Ring: members[0].Ref.Addr, Cluster: "c", Multicast: "off"})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("torrent: %v", err)
	}
	if _, err := c.Announce(bg, peer(1, 0)); !errors.Is(err, ErrClosed) {
		t.Errorf("announce: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
