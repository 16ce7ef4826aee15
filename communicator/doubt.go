package communicator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chordtorrent/chord"
)

// DoubtFor is how long a peer stays listed that one other could not reach, unless it
// announces itself.
const DoubtFor = 2 * time.Minute

// enoughDoubters is how many have to say so to have a peer told of no more.
const enoughDoubters = 2

// Doubt says that peers of an answer did not take a call of the peer by. The second who says
// so of one has it told of no more; if it lives, its next announce brings it back. So one that
// died without a word is told to others no longer than two need to find out. It is still
// written, for DoubtFor: trackers that know it from its own announces are to hear of it too,
// which an entry that is not there does not tell from one that is lost. What the ring has
// of a peer by now is what is written: who has left meanwhile stays away, and to be doubted by
// the same one again prolongs nothing.
func (c *Communicator) Doubt(ctx context.Context, name string, infoHash, by [20]byte, peers []Peer) error {
	if len(peers) == 0 {
		return nil
	}
	doubter := [4]byte(by[16:])
	if doubter == [4]byte{} {
		doubter[3] = 1
	}
	key := peersKey(name, infoHash)
	var updates []chord.Update
	for i := range peers {
		field := peerField(infoHash, peers[i].PeerID)
		f, found, err := c.getField(ctx, key, field)
		if err != nil {
			return fmt.Errorf("asking the ring for a peer that cannot be reached: %w", err)
		}
		now, err := decodePeer(f.Value)
		if !found || err != nil || len(now.Doubters) == enoughDoubters || slices.Contains(now.Doubters, doubter) {
			continue // it has left, or its time is running
		}
		updates = append(updates, chord.Update{Name: field, Value: append(slices.Clip(f.Value), doubter[:]...), TTL: DoubtFor})
	}
	if len(updates) == 0 {
		return nil
	}
	if _, err := c.put(ctx, key, updates...); err != nil && !isDegraded(err) {
		return fmt.Errorf("telling the ring of %d peers that cannot be reached: %w", len(updates), err)
	}
	return nil
}
