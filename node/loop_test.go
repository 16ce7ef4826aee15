package node

import (
	"testing"

	"chordtorrent/chord"
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
