package communicator

import (
	"context"
	"fmt"
	"time"

	"chordtorrent/chord"
)

// doubtFor is how long a peer stays listed that one other could not reach, unless it
// announces itself.
const doubtFor = 2 * time.Minute

// Doubt says that peers, as an answer has them, did not take a call of the peer by. The
// second who says so of one takes it off the swarm; if it lives, its next announce brings it
// back. So one that died without a word is told to others no longer than two need to find out.
func (c *Communicator) Doubt(ctx context.Context, name string, infoHash, by [20]byte, peers []Peer) error {
	if len(peers) == 0 {
		return nil
	}
	doubter := [4]byte(by[16:])
	if doubter == [4]byte{} {
		doubter[3] = 1
	}
	var updates []chord.Update
	for _, p := range peers {
		u := chord.Update{Name: peerField(infoHash, p.PeerID)}
		if p.Doubt != [4]byte{} && p.Doubt != doubter {
			u.Delete = true
		} else {
			a := Announce{Addr: p.Addr, ClientID: p.ClientID, Left: p.Left, Size: p.Size, Rate: p.Rate, Have: p.Have}
			u.Value, u.TTL = append(encodePeer(a), doubter[:]...), doubtFor
		}
		updates = append(updates, u)
	}
	if _, err := c.put(ctx, peersKey(name, infoHash), updates...); err != nil && !isDegraded(err) {
		return fmt.Errorf("telling the ring of %d peers that cannot be reached: %w", len(peers), err)
	}
	return nil
}
