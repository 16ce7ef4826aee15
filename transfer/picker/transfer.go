package picker

import "slices"

// maxAskers is how many peers are asked for a block at one time, in endgame.
const maxAskers = 3

// state of a block: free -> asked -> received; asked -> free when it is
// released by the last peer that was asked.
type state uint8

const (
	free state = iota
	asked
	received
)

// blockState is one block of a transfer. peer is the first of those asked, or
// the sender; further ones that were asked are in transfer.also.
type blockState struct {
	state state
	peer  PeerID
}

// debt is how many blocks of a transfer a peer was asked for.
type debt struct {
	peer PeerID
	n    int
}

// transfer is a piece in flight.
// Invariant: free + got + (asked blocks) == len(blocks).
type transfer struct {
	id        uint64
	piece     int
	slot      int // in Picker.transfers
	attendant *peer
	blocks    []blockState
	also      map[int][]PeerID // block -> those asked beside blockState.peer
	debts     []debt           // n > 0; their sum is asks
	free      int
	got       int
	asksSum   int // askers of all blocks; more than asked blocks in endgame
	next      int // no free block before this one
}

func (t *transfer) missing() int { return len(t.blocks) - t.got }

// asks is how many blocks p was asked for.
func (t *transfer) asks(p PeerID) int {
	for _, d := range t.debts {
		if d.peer == p {
			return d.n
		}
	}
	return 0
}

// askers is how many peers were asked for block n.
func (t *transfer) askers(n int) int {
	if t.blocks[n].state != asked {
		return 0
	}
	return 1 + len(t.also[n])
}

// isAsked reports whether p was asked for block n.
func (t *transfer) isAsked(n int, p PeerID) bool {
	if t.blocks[n].state != asked {
		return false
	}
	if t.blocks[n].peer == p {
		return true
	}
	for _, o := range t.also[n] {
		if o == p {
			return true
		}
	}
	return false
}

// owe changes by d what q owes of t.
func (t *transfer) owe(q *peer, d int) {
	q.asked += d
	t.asksSum += d
	for n := range t.debts {
		if t.debts[n].peer == q.id {
			if t.debts[n].n += d; t.debts[n].n == 0 {
				t.debts = append(t.debts[:n], t.debts[n+1:]...)
			}
			return
		}
	}
	t.debts = append(t.debts, debt{q.id, d})
}

// begin makes an open piece a transfer.
func (k *Picker) begin(piece int) *transfer {
	k.closePiece(piece)
	var t *transfer
	if n := len(k.pool); n > 0 {
		t, k.pool = k.pool[n-1], k.pool[:n-1]
	} else {
		t = &transfer{}
	}
	k.nextID++
	n := k.geo.Blocks(piece)
	blocks := t.blocks[:0]
	if cap(blocks) < n {
		blocks = make([]blockState, 0, n)
	}
	blocks = blocks[:n]
	clear(blocks)
	*t = transfer{id: k.nextID, piece: piece, slot: len(k.transfers), blocks: blocks, debts: t.debts[:0], free: n}
	k.free += n
	k.where[piece] = flying - int32(t.slot)
	k.transfers = append(k.transfers, t)
	k.orphans = append(k.orphans, t)
	return t
}

// end drops a transfer with all that is asked of it; the caller says where its
// piece is now.
func (k *Picker) end(t *transfer) {
	for _, d := range t.debts {
		k.peers[d.peer].asked -= d.n
	}
	k.addFree(t, -t.free)
	k.attend(t, nil)
	k.orphans = without(k.orphans, t)
	last := k.transfers[len(k.transfers)-1]
	k.transfers[t.slot] = last
	last.slot = t.slot
	k.where[last.piece] = flying - int32(last.slot)
	k.transfers = k.transfers[:len(k.transfers)-1]
	k.pool = append(k.pool, t)
}

// settle returns a transfer of which nothing is in and nothing asked to the
// open pieces, where it is picked by its rarity again.
func (k *Picker) settle(t *transfer) {
	if t.attendant == nil && t.free == len(t.blocks) {
		k.end(t)
		k.openPiece(t.piece)
	}
}

// attend makes q, or nobody, the attendant of t.
func (k *Picker) attend(t *transfer, q *peer) {
	if old := t.attendant; old == q {
		return
	} else if old != nil {
		old.free -= t.free
		old.mine = without(old.mine, t)
	} else {
		k.orphans = without(k.orphans, t)
	}
	t.attendant = q
	if q != nil {
		q.free += t.free
		q.mine = append(q.mine, t)
	} else {
		k.orphans = append(k.orphans, t)
	}
}

func without(list []*transfer, t *transfer) []*transfer {
	for n, o := range list {
		if o == t {
			copy(list[n:], list[n+1:])
			list[len(list)-1] = nil
			return list[:len(list)-1]
		}
	}
	return list
}

// addFree counts d more free blocks in t.
func (k *Picker) addFree(t *transfer, d int) {
	t.free += d
	k.free += d
	if t.attendant != nil {
		t.attendant.free += d
	}
}

// ask notes that q is asked for block n.
func (k *Picker) ask(t *transfer, n int, q *peer) {
	b := &t.blocks[n]
	if b.state == free {
		*b = blockState{asked, q.id}
		k.addFree(t, -1)
	} else {
		if t.also == nil {
			t.also = make(map[int][]PeerID)
		}
		t.also[n] = append(t.also[n], q.id)
	}
	t.owe(q, 1)
}

// unask takes block n back from q, who was asked.
func (k *Picker) unask(t *transfer, n int, q *peer) {
	b := &t.blocks[n]
	others := t.also[n]
	switch {
	case b.peer != q.id:
		if m := slices.Index(others, q.id); m >= 0 {
			others = slices.Delete(others, m, m+1)
		}
	case len(others) > 0:
		b.peer, others = others[0], others[1:]
	default:
		*b = blockState{state: free}
		t.next = min(t.next, n)
		k.addFree(t, 1)
	}
	if len(others) > 0 {
		t.also[n] = others
	} else {
		delete(t.also, n)
	}
	t.owe(q, -1)
}

// takeBack takes back all that q was asked for in t.
func (k *Picker) takeBack(t *transfer, q *peer) {
	for n := range t.blocks {
		if t.isAsked(n, q.id) {
			k.unask(t, n, q)
		}
	}
}

// transferOf is the transfer of a piece in flight, or nil.
func (k *Picker) transferOf(piece int) *transfer {
	if w := k.where[piece]; w <= flying {
		return k.transfers[flying-w]
	}
	return nil
}

// Transfer is a piece in flight, for those who want to look.
type Transfer struct {
	ID        uint64 // unique in this picker, ascending by the time of the beginning
	Piece     int
	Offset    int64  // of the piece in the torrent, bytes
	Size      uint32 // bytes
	Attendant PeerID // None: nobody attends it
	Blocks    int
	Asked     int // blocks asked for and not in
	Received  int // blocks that are in
}

// Transfers appends the pieces in flight to out, in no particular order.
func (k *Picker) Transfers(out []Transfer) []Transfer {
	for _, t := range k.transfers {
		v := Transfer{
			ID: t.id, Piece: t.piece, Offset: int64(t.piece) * int64(k.geo.PieceLen),
			Size: k.geo.PieceSize(t.piece), Attendant: None, Blocks: len(t.blocks),
			Asked: len(t.blocks) - t.free - t.got, Received: t.got,
		}
		if t.attendant != nil {
			v.Attendant = t.attendant.id
		}
		out = append(out, v)
	}
	return out
}
