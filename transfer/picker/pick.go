package picker

// Pick appends to out up to n blocks that p is to be asked for next, and counts
// them as asked. See the package comment for the order. Blocks of one piece
// follow each other in ascending order. Fewer than n mean that there is
// nothing more to ask p for at present.
func (k *Picker) Pick(p PeerID, n int, out []Block) []Block {
	q := k.peer(p)
	if n <= 0 || q.want == 0 {
		return out
	}
	end := len(out) + n
	if len(k.urgent) > 0 {
		out = k.hurried(q, end, out)
	}
	for at := 0; q.free > 0 && at < len(q.mine) && len(out) < end; at++ {
		out = k.take(q.mine[at], q, end, out)
	}
	for len(out) < end {
		t := k.orphanFor(q)
		if t == nil {
			if q.open == 0 {
				break
			}
			i := k.hinted(q)
			if i < 0 {
				i = k.rarest(q)
			}
			t = k.begin(i)
		}
		k.attend(t, q)
		out = k.take(t, q, end, out)
	}
	for len(out) < end {
		t := k.shared(q)
		if t == nil {
			break
		}
		out = k.take(t, q, end, out)
	}
	if len(out) < end && q.asked == 0 && k.Endgame() {
		out = k.endgame(q, end, out)
	}
	return out
}

// take asks q for free blocks of t until out has end blocks.
func (k *Picker) take(t *transfer, q *peer, end int, out []Block) []Block {
	for t.free > 0 && len(out) < end {
		for t.blocks[t.next].state != free {
			t.next++
		}
		k.ask(t, t.next, q)
		out = append(out, k.geo.block(t.piece, t.next))
	}
	return out
}

// orphanFor is a transfer without attendant that q can go on with, or nil.
func (k *Picker) orphanFor(q *peer) *transfer {
	for _, t := range k.orphans {
		if t.free > 0 && q.has.Get(t.piece) {
			return t
		}
	}
	return nil
}

// shared is the transfer with the most free blocks that q can help with, or nil.
func (k *Picker) shared(q *peer) *transfer {
	if k.free == 0 || q.want == q.open {
		return nil
	}
	var best *transfer
	for _, t := range k.transfers {
		if t.free > 0 && (best == nil || t.free > best.free) && q.has.Get(t.piece) {
			best = t
		}
	}
	return best
}

// endgame asks q for blocks that others were asked for, first those with one
// asker. It takes them from the ends of the pieces, as the others send from
// their beginnings.
func (k *Picker) endgame(q *peer, end int, out []Block) []Block {
	start := k.rnd.IntN(len(k.transfers))
	for askers := 1; askers < maxAskers; askers++ {
		for at := range k.transfers {
			t := k.transfers[(start+at)%len(k.transfers)]
			if len(out) == end {
				return out
			}
			if t.missing() == t.asks(q.id) || t.asksSum >= (askers+1)*t.missing() || !q.has.Get(t.piece) {
				continue
			}
			first := len(out)
			for n := len(t.blocks) - 1; n >= 0 && len(out) < end; n-- {
				if t.blocks[n].state == asked && t.askers(n) <= askers && !t.isAsked(n, q.id) {
					k.ask(t, n, q)
					out = append(out, k.geo.block(t.piece, n))
				}
			}
			for a, b := first, len(out)-1; a < b; a, b = a+1, b-1 {
				out[a], out[b] = out[b], out[a]
			}
		}
	}
	return out
}

// Release notes that p will not send b after all (rejected, choked, timed out):
// the block is free unless others were asked for it too, and p no longer
// attends the piece. A block that p does not owe is ignored.
func (k *Picker) Release(p PeerID, b Block) {
	t, n := k.find(b)
	if t == nil || !t.isAsked(n, p) {
		return
	}
	q := k.peers[p]
	k.unask(t, n, q)
	if t.attendant == q {
		k.attend(t, nil)
	}
	k.settle(t)
}

// Wants reports whether a block is missing from a piece in flight, so that
// Received would take it.
func (k *Picker) Wants(b Block) bool {
	t, n := k.find(b)
	return t != nil && t.blocks[n].state != received
}

// Received notes that p sent b. fresh is false when the block is not wanted:
// it was in already, its piece is not in flight, or it is no block of this
// torrent. An answer that comes after its Release is taken when its piece is
// still in flight. cancel are the peers that were asked for the same block;
// they no longer owe it.
func (k *Picker) Received(p PeerID, b Block) (fresh bool, cancel []PeerID) {
	t, n := k.find(b)
	if t == nil || t.blocks[n].state == received {
		return false, nil
	}
	for t.blocks[n].state == asked {
		o := t.blocks[n].peer
		k.unask(t, n, k.peers[o])
		if o != p {
			cancel = append(cancel, o)
		}
	}
	t.blocks[n] = blockState{received, p}
	k.addFree(t, -1)
	t.got++
	return true, cancel
}

func (k *Picker) find(b Block) (*transfer, int) {
	n, ok := k.geo.number(b)
	if !ok {
		return nil, 0
	}
	return k.transferOf(b.Piece), n
}

// Complete reports whether all blocks of a piece are in: it is to be hashed,
// and then Verified or Failed.
func (k *Picker) Complete(piece int) bool {
	t := k.transferOf(piece)
	return t != nil && t.missing() == 0
}

// Verified notes that a piece is right and kept, from whatever source. What was
// still asked of it is no longer wanted.
func (k *Picker) Verified(piece int) {
	if k.where[piece] == verified {
		return
	}
	if t := k.transferOf(piece); t != nil {
		k.end(t)
	} else {
		k.closePiece(piece)
	}
	k.where[piece] = verified
	k.have.Set(piece)
	k.left--
	for _, q := range k.list {
		if q.has.Get(piece) {
			q.want--
		}
	}
}

// Failed notes that a piece did not match its hash: all of it is missing again
// and open. It returns everybody that sent a block of it, each once; ask
// Senders before for who sent which.
func (k *Picker) Failed(piece int) (senders []PeerID) {
	t := k.transferOf(piece)
	if t == nil {
		return nil
	}
next:
	for _, b := range t.blocks {
		if b.state != received {
			continue
		}
		for _, s := range senders {
			if s == b.peer {
				continue next
			}
		}
		senders = append(senders, b.peer)
	}
	k.end(t)
	k.openPiece(piece)
	return senders
}

// Senders tells for each block of a piece in flight who sent it, None for
// those that are not in. It is nil for other pieces.
func (k *Picker) Senders(piece int) []PeerID {
	t := k.transferOf(piece)
	if t == nil {
		return nil
	}
	out := make([]PeerID, len(t.blocks))
	for n, b := range t.blocks {
		out[n] = None
		if b.state == received {
			out[n] = b.peer
		}
	}
	return out
}
