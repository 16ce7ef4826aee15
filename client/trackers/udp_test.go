package trackers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer"
)

// radio is a scripted tracker by UDP. script gives the answers to a packet.
type radio struct {
	conn  *net.UDPConn
	mu    sync.Mutex
	heard [][]byte
}

func newRadio(t *testing.T, host string, script func(n int, packet []byte) [][]byte) *radio {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		t.Fatal(err)
	}
	r := &radio{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for n := 0; ; n++ {
			size, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			packet := append([]byte(nil), buf[:size]...)
			r.mu.Lock()
			r.heard = append(r.heard, packet)
			r.mu.Unlock()
			for _, answer := range script(n, packet) {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return r
}

func (r *radio) url() string { return "udp://" + r.conn.LocalAddr().String() }

func (r *radio) packets() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.heard...)
}

func isConnect(packet []byte) bool {
	return len(packet) == 16 && binary.BigEndian.Uint64(packet) == protocolID
}

func transaction(packet []byte) uint32 { return binary.BigEndian.Uint32(packet[12:]) }

func words(action, transaction uint32, rest ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, action)
	b = binary.BigEndian.AppendUint32(b, transaction)
	for _, r := range rest {
		b = append(b, r...)
	}
	return b
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// honest is what a good tracker says.
func honest(interval uint32, peers string) func(int, []byte) [][]byte {
	return func(_ int, packet []byte) [][]byte {
		if isConnect(packet) {
			return [][]byte{words(actionConnect, transaction(packet), u64(4711))}
		}
		return [][]byte{words(actionAnnounce, transaction(packet), u32(interval), u32(3), u32(2), []byte(peers))}
	}
}

func TestUDPAnnounce(t *testing.T) {
	tracker := newRadio(t, "127.0.0.1", honest(900, peersOf("10.0.0.1:6881", "10.0.0.2:6882")))
	c, _ := newClient()
	l := c.listOf([]string{tracker.url() + "/passkey/announce?a=" + strings.Repeat("b", 300)})
	a := mustAnnounce(t, l, progress(transfer.Started, 1000))
	if fmt.Sprint(a.Peers) != "[10.0.0.1:6881 10.0.0.2:6882]" || a.Interval != 900*time.Second {
		t.Errorf("answered %+v", a)
	}
	mustAnnounce(t, l, progress(transfer.Completed, 0))
	if _, err := announce1(t, l, progress(transfer.Stopped, 0)); err != nil {
		t.Error(err)
	}
	heard := tracker.packets()
	if len(heard) != 4 || !isConnect(heard[0]) {
		t.Fatalf("%d packets, want one to connect and three announces", len(heard))
	}
	first := heard[1]
	if binary.BigEndian.Uint64(first) != 4711 || string(first[16:36]) != string(infoHash[:]) || string(first[36:56]) != "-CT0001-abcdefghijkl" ||
		binary.BigEndian.Uint64(first[56:]) != 7 || binary.BigEndian.Uint64(first[64:]) != 1000 || binary.BigEndian.Uint64(first[72:]) != 5 ||
		binary.BigEndian.Uint16(first[96:]) != 7001 {
		t.Errorf("announced %x", first)
	}
	for i, event := range []uint32{2, 1, 3} {
		if got := binary.BigEndian.Uint32(heard[1+i][80:]); got != event {
			t.Errorf("announce %d has the event %d, want %d", i, got, event)
		}
	}
	// BEP 41: the path and the query, in parts of 255 bytes at most.
	var path string
	for rest := first[98:]; len(rest) > 0; rest = rest[2+int(rest[1]):] {
		if rest[0] != optionURL {
			t.Fatalf("option %d", rest[0])
		}
		path += string(rest[2 : 2+int(rest[1])])
	}
	if path != "/passkey/announce?a="+strings.Repeat("b", 300) {
		t.Errorf("path %q", path)
	}
}

func TestUDPOverIPv6HasIPv6Peers(t *testing.T) {
	peer := netip.MustParseAddr("2001:db8::7").As16()
	tracker := newRadio(t, "::1", honest(900, string(peer[:])+"\x1a\xe1"))
	c, _ := newClient()
	if a := mustAnnounce(t, c.listOf([]string{tracker.url()}), progress(transfer.Started, 1)); fmt.Sprint(a.Peers) != "[[2001:db8::7]:6881]" {
		t.Errorf("peers %v", a.Peers)
	}
}

func TestUDPIsRepeated(t *testing.T) {
	good := honest(900, peersOf("10.0.0.1:1"))
	tracker := newRadio(t, "127.0.0.1", func(n int, packet []byte) [][]byte {
		if n == 0 || n == 2 {
			return nil // lost: the first question to connect, the first announce
		}
		return good(n, packet)
	})
	c, _ := newClient()
	c.unit = 50 * time.Millisecond
	if a := mustAnnounce(t, c.listOf([]string{tracker.url()}), progress(transfer.Started, 1)); len(a.Peers) != 1 {
		t.Errorf("answered %+v", a)
	}
	if n := len(tracker.packets()); n < 4 {
		t.Errorf("%d packets", n)
	}
}

func TestUDPStraysAreNotTakenForTheAnswer(t *testing.T) {
	good := honest(900, peersOf("10.0.0.1:1"))
	tracker := newRadio(t, "127.0.0.1", func(n int, packet []byte) [][]byte {
		id := transaction(packet)
		return append([][]byte{{}, {1, 2, 3}, words(actionError, id+1, []byte("no")), words(7, id, u64(1)), words(actionConnect, id^1, u64(2))}, good(n, packet)...)
	})
	c, _ := newClient()
	if a := mustAnnounce(t, c.listOf([]string{tracker.url()}), progress(transfer.Started, 1)); len(a.Peers) != 1 {
		t.Errorf("answered %+v", a)
	}
}

func TestUDPHostileAnswers(t *testing.T) {
	connected := func(answer func(id uint32) []byte) func(int, []byte) [][]byte {
		return func(n int, packet []byte) [][]byte {
			if isConnect(packet) {
				return [][]byte{words(actionConnect, transaction(packet), u64(1))}
			}
			return [][]byte{answer(transaction(packet))}
		}
	}
	cases := map[string]struct {
		script func(int, []byte) [][]byte
		want   string
	}{
		"a short connect":  {func(_ int, p []byte) [][]byte { return [][]byte{words(actionConnect, transaction(p), []byte("short"))} }, "too short"},
		"a short announce": {connected(func(id uint32) []byte { return words(actionAnnounce, id, u32(1)) }), "too short"},
		"a refusal":        {connected(func(id uint32) []byte { return words(actionError, id, []byte("not\x1bhere")) }), "not.here"},
	}
	for name, test := range cases {
		tracker := newRadio(t, "127.0.0.1", test.script)
		c, _ := newClient()
		if _, err := announce1(t, c.listOf([]string{tracker.url()}), progress(transfer.Started, 1)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// As many peers as fit into a packet, the last one cut; and the largest of intervals.
	many := newRadio(t, "127.0.0.1", honest(1<<32-1, strings.Repeat(peersOf("10.0.0.1:6881"), 10_000)+"\x0a"))
	c, _ := newClient()
	a := mustAnnounce(t, c.listOf([]string{many.url()}), progress(transfer.Started, 1))
	if len(a.Peers) == 0 || len(a.Peers) > maxPeers || a.Interval != mostInterval {
		t.Errorf("%d peers, interval %v", len(a.Peers), a.Interval)
	}
}

func TestUDPAConnectionThatIsNotKnownAnyMoreIsMadeAgain(t *testing.T) {
	var mu sync.Mutex
	valid := uint64(1)
	tracker := newRadio(t, "127.0.0.1", func(_ int, packet []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		id := transaction(packet)
		if isConnect(packet) {
			return [][]byte{words(actionConnect, id, u64(valid))}
		}
		if binary.BigEndian.Uint64(packet) != valid {
			return [][]byte{words(actionError, id, []byte("connection id mismatch"))}
		}
		return [][]byte{words(actionAnnounce, id, u32(60), u32(0), u32(1))}
	})
	c, _ := newClient()
	l := c.listOf([]string{tracker.url()})
	mustAnnounce(t, l, progress(transfer.Started, 1))
	mu.Lock()
	valid = 2 // it was started again
	mu.Unlock()
	mustAnnounce(t, l, progress(transfer.Completed, 0))
}

func TestUDPNobodyThereIsKnownAtOnce(t *testing.T) {
	gone := newRadio(t, "127.0.0.1", honest(60, ""))
	at := gone.url()
	gone.conn.Close()
	c, _ := newClient()
	c.unit = time.Hour
	if _, err := announce1(t, c.listOf([]string{at}), progress(transfer.Started, 1)); err == nil || errors.Is(err, errSilent) {
		t.Errorf("%v", err)
	}
}
