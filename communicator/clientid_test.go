package communicator

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

func TestAClientGetsItsNumberOnceAndIsFoundByIt(t *testing.T) {
	c, ring := inRing(t)
	here := netip.MustParseAddrPort("10.0.0.1:7000")
	id, err := c.ClientID(bg, 0, here)
	if err != nil || id == 0 || id > maxClientID {
		t.Fatalf("id %d, %v", id, err)
	}
	other, err := c.ClientID(bg, 0, here)
	if err != nil || other == id {
		t.Fatalf("the next one gets %d too, %v", other, err)
	}
	addr, seen, err := c.ClientAddr(bg, id)
	if err != nil || addr != here || !seen.Equal(ring.Now()) {
		t.Fatalf("found at %v, %v, %v", addr, seen, err)
	}
	// It comes back on another interface.
	there := netip.MustParseAddrPort("[2001:db8::5]:7001")
	if got, err := c.ClientID(bg, id, there); err != nil || got != id {
		t.Fatalf("id %d, %v", got, err)
	}
	if addr, _, err := c.ClientAddr(bg, id); err != nil || addr != there {
		t.Fatalf("found at %v, %v", addr, err)
	}
}

func TestTheAddressIsWrittenOnceAMinute(t *testing.T) {
	c, ring := inRing(t)
	here := netip.MustParseAddrPort("10.0.0.1:7000")
	visit := func() int {
		t.Helper()
		before := ring.Calls()
		if _, err := c.ClientID(bg, 5, here); err != nil {
			t.Fatal(err)
		}
		return ring.Calls() - before
	}
	for i, want := range []int{1, 0, 0} {
		if got := visit(); got != want {
			t.Errorf("visit %d: %d writes", i, got)
		}
	}
	ring.Advance(visitInterval)
	if got := visit(); got != 1 {
		t.Errorf("a minute later: %d writes", got)
	}
	ring.Advance(visitInterval)
	ring.Intercept(func(int, any) *ringtest.Fault { return &ringtest.Fault{Err: errCut} })
	if id, err := c.ClientID(bg, 5, here); id != 5 || !errors.Is(err, errCut) {
		t.Errorf("id %d, %v", id, err)
	}
	ring.Intercept(nil)
	if got := visit(); got != 1 {
		t.Errorf("after a failure: %d writes", got)
	}
}

func TestClientIDRefusesAndReports(t *testing.T) {
	c, ring := inRing(t)
	here := netip.MustParseAddrPort("10.0.0.1:7000")
	if _, err := c.ClientID(bg, 1<<63, here); !errors.Is(err, ErrBadArgument) {
		t.Errorf("64 bits: %v", err)
	}
	if id, err := c.ClientID(bg, 7, netip.AddrPort{}); id != 7 || !errors.Is(err, ErrBadArgument) {
		t.Errorf("no address: %d, %v", id, err)
	}
	ring.Intercept(func(_ int, op any) *ringtest.Fault {
		if _, ok := op.(chord.AssignID); ok {
			return &ringtest.Fault{Code: chord.CodeStore}
		}
		return nil
	})
	if _, err := c.ClientID(bg, 0, here); !errors.Is(err, chord.ErrStore) {
		t.Errorf("not assigned: %v", err)
	}
	if _, err := c.put(bg, clientKey(9), chord.Update{Name: fieldAddr, Value: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ClientAddr(bg, 9); !errors.Is(err, ErrMalformed) {
		t.Errorf("damaged address: %v", err)
	}
	for i := range uint64(maxVisits + 2) {
		c.dueVisit(i, here)
	}
	if n := len(c.clients); n > maxVisits {
		t.Errorf("%d visits are remembered", n)
	}
	ring.Advance(time.Second)
}
