package chord

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// maxFlying bounds the messages on one link.
const maxFlying = 6

// world is a state of a whole small ring: the state of each member and, link by
// link and in order (as TCP keeps it), the messages on their way.
type world struct {
	local   [maxSmall]uint32
	flying  [maxSmall][maxSmall][maxFlying]smallMessage
	count   [maxSmall][maxSmall]uint8
	started uint8 // masks of members
	dead    uint8
	crashed uint8  // at some time; may live again
	fault   string // of the step that led here; it is not part of the state
	linked  bool   // from every member a chain of live entries goes on: see check
	base    bool   // there are more than L principals
	lost    uint8  // messages between living members that were lost so far
	lied    uint8  // times that gossip has been wrong so far
}

// network is a small ring: what can happen in it, and what comes of it.
type network struct {
	members []*automaton
	ids     *smallIDs
	rules   smallRules
}

// smallRules say what an exploration lets happen.
type smallRules struct {
	ring     uint8 // mask of the members of the ideal ring that it begins with
	joiners  uint8
	limit    int   // L
	gossip   bool  // tells members of joins and deaths; else lists are all they have
	crash    uint8 // which members may crash; one does
	depart   uint8 // which may leave in order; one does
	rejoin   bool  // the one that has crashed starts again
	forgets  bool  // suspicions end
	recalls  bool  // members leave out of an answer what the asker has already
	compares bool  // owners compare their ranges with their successors' copies
	losses   uint8 // how many messages may be lost between living members
	lies     uint8 // how often gossip may take one that lives for dead, for a while
	separate bool  // several rings are allowed to be, and to merge
}

// begin is the ideal ring, each member at the beginning of a round.
func (n *network) begin() *world {
	w := &world{linked: true}
	for i := range n.members {
		if n.rules.ring&(1<<i) != 0 {
			x := input{kind: inPlace, mask: n.rules.ring}
			if n.rules.gossip {
				x.slot = 1
			}
			n.do(w, uint8(i), x)
			w.started |= 1 << i
		}
	}
	w.linked = !n.rules.separate
	w.base = n.principals(w) > n.rules.limit
	return w
}

func (n *network) state(w *world, i uint8) *memberState { return n.members[i].states[w.local[i]] }

// do gives a member an input and carries out what comes of it.
func (n *network) do(w *world, i uint8, x input) {
	waits := n.state(w, i).waits
	st := n.members[i].step(w.local[i], x)
	w.local[i] = st.to
	if w.fault == "" {
		w.fault = st.fault
	}
	for k, to := range waits {
		if st.closed&(1<<k) != 0 {
			w.forget(i, to, uint8(k))
		}
	}
	for _, s := range st.sends {
		if !s.reply || w.dead&(1<<s.to) == 0 {
			n.push(w, i, s.to, s.smallMessage)
		}
	}
	if n.state(w, i).phase == left {
		n.die(w, i)
	}
}

func (n *network) push(w *world, from, to uint8, f smallMessage) {
	at := &w.count[from][to]
	if *at == maxFlying {
		w.fault = fmt.Sprintf("flood: more than %d messages on the link from %s to %s", maxFlying, n.ids.refs[from].Addr, n.ids.refs[to].Addr)
		return
	}
	w.flying[from][to][*at] = f
	*at++
}

// forget has nobody wait for the slot any more.
func (w *world) forget(i, to, slot uint8) {
	for k := range w.count[i][to] {
		if f := &w.flying[i][to][k]; !f.reply && f.slot == slot {
			f.slot = noSlot
		}
	}
	for k := uint8(0); k < w.count[to][i]; k++ {
		if f := w.flying[to][i][k]; f.reply && f.slot == slot {
			w.pop(to, i, k)
			k--
		}
	}
}

func (w *world) pop(from, to, k uint8) smallMessage {
	link := &w.flying[from][to]
	f := link[k]
	last := w.count[from][to] - 1
	copy(link[k:last], link[k+1:last+1])
	link[last] = smallMessage{}
	w.count[from][to] = last
	return f
}

// die takes a member out: it answers nothing, and what it has asked for is
// nobody's.
func (n *network) die(w *world, i uint8) {
	w.dead |= 1 << i
	w.crashed |= 1 << i
	for k, to := range n.state(w, i).waits {
		if to != noSlot {
			w.forget(i, to, uint8(k))
		}
	}
	w.local[i] = 0
}

// bytes are the world as bytes: equal worlds, equal bytes.
func (n *network) bytes(w *world, b []byte) []byte {
	flags := byte(0)
	if w.linked {
		flags |= 1
	}
	if w.base {
		flags |= 2
	}
	b = append(b, w.started, w.dead, w.crashed, flags, w.lost, w.lied)
	for i := range n.members {
		b = binary.LittleEndian.AppendUint32(b, w.local[i])
		for j := range n.members {
			b = append(b, w.count[i][j])
			for k := range w.count[i][j] {
				f := w.flying[i][j][k]
				slot := f.slot
				if f.reply {
					slot |= 0x40
				}
				b = append(b, slot, byte(f.body), byte(f.body>>8))
			}
		}
	}
	return b
}

// digest stands for a world: what has another digest is another world.
type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}

// world is the inverse of bytes.
func (n *network) world(b []byte) *world {
	w := &world{started: b[0], dead: b[1], crashed: b[2], linked: b[3]&1 != 0, base: b[3]&2 != 0, lost: b[4], lied: b[5]}
	b = b[6:]
	for i := range n.members {
		w.local[i] = binary.LittleEndian.Uint32(b)
		b = b[4:]
		for j := range n.members {
			w.count[i][j] = b[0]
			b = b[1:]
			for k := range w.count[i][j] {
				slot := b[0]
				f := smallMessage{slot: slot, body: binary.LittleEndian.Uint16(b[1:])}
				if slot != noSlot && slot&0x40 != 0 {
					f.slot, f.reply = slot&^0x40, true
				}
				w.flying[i][j][k] = f
				b = b[3:]
			}
		}
	}
	return w
}
