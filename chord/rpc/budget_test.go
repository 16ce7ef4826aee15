package rpc

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"chordtorrent/chord"
)

func TestWhatMembersSendIsBoundedAndRepliesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 << 10
		ln := newPipeListener()
		var mu sync.Mutex
		var got []chord.Envelope
		var done []func()
		a := startMemberOn(t, 1, ln, func(c *TransportConfig) {
			c.MaxMemory = 1 << 20 // 384 KiB of it for large requests
			c.OnEnvelope = func(e chord.Envelope, d func()) {
				mu.Lock()
				got, done = append(got, e), append(done, d)
				mu.Unlock()
			}
		})
		b, _ := pipeMember(t, ln, chord.Ref{ID: chord.ID{2}})
		defer b.Close()
		c, _ := pipeMember(t, ln, chord.Ref{ID: chord.ID{3}})
		defer c.Close()
		large := note{Text: strings.Repeat("x", size)}
		written := make(chan struct{})
		go func() {
			defer close(written)
			for i := range uint64(10) {
				_, _ = b.Write(mustFrame(t, large, i, false, 0)) // the count below tells
			}
		}()
		synctest.Wait()
		if len(got) != 4 {
			t.Fatalf("%d requests of %d bytes are held in 384 KiB", len(got), size)
		}
		// Replies and small requests do not wait for them.
		for i, f := range [][]byte{mustFrame(t, large, 20, true, 0), mustFrame(t, note{Text: "x"}, 21, false, 0)} {
			if _, err := c.Write(f); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(got) != 5+i {
				t.Fatalf("%d messages", len(got))
			}
		}
		for i := 0; i < len(done); i++ {
			give := done[i]
			give()
			give() // which does nothing
			synctest.Wait()
		}
		<-written
		if len(got) != 12 {
			t.Errorf("%d messages in the end", len(got))
		}
		for what, x := range map[string]*budget{"bulk": a.budgets.bulk, "quick": a.budgets.quick} {
			if want := map[string]int64{"bulk": 384 << 10, "quick": 128 << 10}[what]; x.free != want || len(x.queue) != 0 {
				t.Errorf("%s: %d bytes are free of %d", what, x.free, want)
			}
		}
		a.stop()
	})
}

func TestWhatClientsSendAndDoNotReadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 << 10
		ln := newPipeListener()
		var mu sync.Mutex
		var asked []Request
		m := startMemberOn(t, 1, ln, onRequest(func(r Request) {
			mu.Lock()
			asked = append(asked, r)
			mu.Unlock()
		}), func(c *TransportConfig) {
			c.MaxMemory = 4 << 20 // 2 MiB for clients, 256 KiB for one
		})
		put := mustFrame(t, chord.Put{Key: "k", Updates: []chord.Update{{Name: "f", Value: make([]byte, size)}}}, 1, false, 0)
		const clients, each, one = 10, 6, 3
		var readers []*frameReader
		for range clients {
			conn := ln.dial()
			defer conn.Close()
			r := newFrameReader(conn)
			if _, err := greet(conn, r, Hello{Version: Version, Cluster: "test"}); err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
			go func() {
				for range each {
					if _, err := conn.Write(put); err != nil {
						return
					}
				}
			}()
			synctest.Wait()
			if n := len(asked); n > len(readers)*one || n > 21 {
				t.Fatalf("%d requests of %d bytes of %d clients are held", n, size, len(readers))
			}
		}
		if n := len(asked); n != 21 {
			t.Fatalf("%d requests are held in 2 MiB", n)
		}
		// A reply that nobody reads counts as well.
		held := m.budgets.clients.free
		asked[0].Reply(chord.GetReply{Fields: []chord.Field{{Entry: chord.Entry{Value: make([]byte, size)}}}})
		synctest.Wait()
		if n, now := len(asked), m.budgets.clients.free; n != 21 || now > held-size {
			t.Errorf("%d requests, %d bytes are free, %d were before the reply", n, now, held)
		}
		for _, r := range readers {
			go func() {
				for {
					if _, err := r.next(); err != nil {
						return
					}
				}
			}()
		}
		for i := 1; i < clients*each; i++ {
			synctest.Wait()
			if len(asked) <= i {
				t.Fatalf("%d requests were let in", len(asked))
			}
			answer := asked[i].Reply
			answer(chord.PutReply{})
		}
		synctest.Wait()
		if b := m.budgets.clients; b.free != 2<<20 || len(b.queue) != 0 {
			t.Errorf("%d bytes are free in the end", b.free)
		}
		m.stop()
	})
}

func TestABudgetIsServedInOrderAndForgetsWhoeverIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10)
		gone := make(chan struct{})
		if !b.take(15, nil) { // the last one in may overdraw
			t.Fatal("not let in")
		}
		order := make(chan int, 3)
		leaves := make(chan struct{})
		for i, quit := range []chan struct{}{nil, leaves, nil} {
			go func() {
				if b.take(4, quit) {
					order <- i
				} else {
					close(gone)
				}
			}()
			synctest.Wait()
		}
		close(leaves)
		<-gone
		b.add(5)
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%d were let in with nothing free", len(order))
		}
		for _, want := range []int{0, 2} {
			b.add(1 - b.free)
			synctest.Wait()
			if got := <-order; got != want || len(order) != 0 || b.free != -3 {
				t.Errorf("let in was %d, want %d; %d are free", got, want, b.free)
			}
		}
	})
}
