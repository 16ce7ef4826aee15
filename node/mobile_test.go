package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
)

// A node of a pool starts again as who it was, also if a place before its own has become free.
func TestANodeOfAPoolStartsAgainInItsPlace(t *testing.T) {
	cfg := testConfig(t, testCluster())
	cfg.DataDir, cfg.DataPool = "", t.TempDir()
	first, second := start(t, cfg), start(t, cfg)
	first.kill()
	back, err := second.Again(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer back.kill()
	if back.Ref().ID != second.Ref().ID {
		t.Errorf("it came back as %s, was %s", back.Ref().ID, second.Ref().ID)
	}
}

// move takes the node's address away, and has it start again as if host:port had been asked for.
func move(m *Mobile, to string) {
	m.node.cfg.Bind = to
	close(m.node.moved)
}

func startMobile(t *testing.T) *Mobile {
	t.Helper()
	m, err := StartMobile(t.Context(), testConfig(t, testCluster()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestAMobileNodeGoesAlongWithItsMachine(t *testing.T) {
	m := startMobile(t)
	first := m.node
	put(t, first, "\x01key", "field", "value")
	ring := communicator.NewInside(m)
	defer ring.Close()
	move(m, "127.0.0.2:0")
	// Whoever asks all the time may hear that it leaves, and nothing worse.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var st chord.Status
	for st.Self.IsZero() || st.Self == first.Ref() {
		reply, err := m.Call(ctx, chord.GetStatus{})
		if err != nil {
			t.Fatal(err)
		}
		st = reply.(chord.Status)
	}
	if st.Self.ID != first.Ref().ID {
		t.Errorf("it came back as %s, was %s", st.Self.ID, first.Ref().ID)
	}
	if at := ring.LocalAddr(); at != netip.MustParseAddr("127.0.0.2") || !ring.Connected() {
		t.Errorf("it is at %v, connected: %v", at, ring.Connected())
	}
	second, err := m.current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, second, "\x01key", "field", "value")
}

func TestAMobileNodeTriesAgain(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m := startMobile(t)
	ring := communicator.NewInside(m)
	defer ring.Close()
	move(m, taken.Addr().String())
	eventually(t, "the node is away", func() bool { return !ring.Connected() })
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := m.Call(late, chord.GetStatus{}); !errors.Is(err, communicator.ErrNoRing) {
		t.Errorf("a call that waited in vain: %v", err)
	}
	if at := ring.LocalAddr(); !at.IsLoopback() {
		t.Errorf("meanwhile it is at %v", at)
	}
	taken.Close()
	if _, err := m.Call(t.Context(), chord.GetStatus{}); err != nil {
		t.Error(err)
	}
}

// Who ends while its node is away, does not wait for it.
func TestAMobileNodeMayEndOnItsWay(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m := startMobile(t)
	move(m, taken.Addr().String())
	eventually(t, "the node is away", func() bool { return !m.Connected() })
	asked := make(chan error, 1)
	go func() {
		_, err := m.Call(context.Background(), chord.GetStatus{})
		asked <- err
	}()
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-asked; !errors.Is(err, chord.ErrLeaving) {
		t.Errorf("who waited for it hears %v", err)
	}
}
