package client

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestARingThatComesLaterIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("then.bin", w.content(100_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	w.upload(w.loner(newStorage(t)), path, file)
	gate := newGate(t, w.ring)
	ring, err := communicator.Open(t.Context(), communicator.Config{Cluster: "late", Ring: gate.ln.Addr().String(), Multicast: "off", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	c := New(Config{Storage: newStorage(t), Ring: ring})
	t.Cleanup(func() { c.Close() })
	d := w.download(c, file, "")
	w.same(path, d.Path)
	if c.id.Load() != 0 {
		t.Fatal("a ring was in reach")
	}
	gate.open.Store(true)
	w.until("the ring to know of it", func() bool {
		swarm, err := w.communicator().Peers(t.Context(), "", infoHash, 1)
		return err == nil && len(swarm.Peers) > 0
	})
	if c.id.Load() == 0 {
		t.Error("the ring gave no id")
	}
}

// gate is the way to a ring, closed at first.
type gate struct {
	ln   net.Listener
	open atomic.Bool
}

func newGate(t *testing.T, ring *ringtest.Ring) *gate {
	m, err := ring.Serve("127.0.0.1", "late")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ln: ln}
	var under sync.WaitGroup
	under.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", m.Ref.Addr)
			if err != nil || !g.open.Load() {
				in.Close()
				if err == nil {
					out.Close()
				}
				continue
			}
			under.Go(func() { _, _ = io.Copy(out, in); out.Close() })
			under.Go(func() { _, _ = io.Copy(in, out); in.Close() })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		under.Wait()
	})
	return g
}
