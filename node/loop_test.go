package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// A message of another member takes memory until it is handled, and one that
// is to be stored until the disk has it.
func TestAMessageIsDoneWithWhenItIsOnDisk(t *testing.T) {
	n := start(t, testConfig(t, testCluster()))
	from := chord.Ref{ID: chord.ID{1}, Addr: "127.0.0.1:1"} // nobody is there, so answers get lost
	done := make(chan int, 1)
	tell := func() {
		keys, _ := n.db.Count(chord.Hard)
		done <- keys
	}
	n.loop.queue.post(received{chord.Envelope{From: from, To: n.Ref(), Seq: 1, Body: chord.GetNeighbors{}}, tell})
	if keys := <-done; keys != 0 {
		t.Errorf("%d keys before the first", keys)
	}
	merge := chord.MergeFields{Key: "\x01key", Fields: []chord.Field{{Name: "f", Entry: chord.Entry{Stamp: 1, Value: []byte("v")}}}}
	n.loop.queue.post(received{chord.Envelope{From: from, To: n.Ref(), Seq: 2, Body: merge}, tell})
	if keys := <-done; keys != 1 {
		t.Errorf("%d keys are held when the message is done with, want the one it brought", keys)
	}
	n.kill()
	if n.loop.queue.post(received{}) {
		t.Error("a killed node takes messages")
	}
}

// Whoever asks for the status waits for the list of members alone, not with the loop.
func TestTheLoopDoesNotListTrackers(t *testing.T) {
	n := start(t, testConfig(t, testCluster()))
	n.gossip.mu.Lock()
	status, listed := make(chan any, 1), make(chan bool)
	go func() {
		n.onRequest(rpc.Request{Op: chord.GetStatus{}, Gone: make(chan struct{}), Deadline: time.Now().Add(patience), Reply: func(r any) { status <- r }})
		close(listed)
	}()
	for range 1000 { // turns of the loop
		turn := make(chan struct{})
		n.loop.queue.post(received{chord.Envelope{From: chord.Ref{ID: chord.ID{1}, Addr: "127.0.0.1:1"}, To: n.Ref(), Body: chord.GetNeighbors{}}, func() { close(turn) }})
		select {
		case <-turn:
		case <-listed:
			t.Fatal("the loop is to list the trackers")
		}
	}
	n.gossip.mu.Unlock()
	if st := (<-status).(chord.Status); len(st.Trackers) == 0 {
		t.Errorf("status without trackers: %+v", st)
	}
}

// What its client has given up while it waited for the loop is not begun.
func TestAnOperationThatNobodyWaitsForIsNotBegun(t *testing.T) {
	n := start(t, testConfig(t, testCluster()))
	put(t, n, "\x01key", "before", "v") // the ring serves
	busy, free := make(chan struct{}), make(chan struct{})
	n.loop.queue.post(asked{op: chord.GetStatus{}, reply: func(any) { close(busy); <-free }})
	<-busy

	op := func(field string) chord.Put {
		return chord.Put{Key: "\x01key", Updates: []chord.Update{{Name: field, Value: []byte("v")}}}
	}
	gone := make(chan struct{})
	replies := make(chan any, 3)
	reply := func(r any) { replies <- r }
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	deadline, _ := soon.Deadline()
	n.onRequest(rpc.Request{Op: op("disconnected"), Gone: gone, Deadline: time.Now().Add(patience), Reply: reply})
	n.onRequest(rpc.Request{Op: op("late"), Deadline: deadline, Reply: reply})
	n.onRequest(rpc.Request{Op: op("well"), Gone: make(chan struct{}), Deadline: time.Now().Add(patience), Reply: reply})
	if _, err := n.Call(soon, op("late here")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(gone)
	close(free)
	for _, want := range []chord.Code{chord.CodeUnavailable, chord.CodeUnavailable, chord.CodeOK} {
		if r := (<-replies).(chord.PutReply); r.Code != want {
			t.Errorf("reply %+v, want code %d", r, want)
		}
	}
	got := call[chord.GetReply](t, n, chord.Get{Key: "\x01key"})
	if len(got.Fields) != 2 || got.Fields[0].Name != "before" || got.Fields[1].Name != "well" {
		t.Errorf("written was %+v", got.Fields)
	}
}
