package picker

import (
	"fmt"
	"math/rand/v2"

	"chordtorrent/transfer/wire"
)

// DefaultBlockLen is the size of a block where the geometry does not say: what
// every BitTorrent client answers.
const DefaultBlockLen = 16 << 10

// Geometry is how a torrent is cut. All pieces have PieceLen bytes, the last
// one LastLen (zero: PieceLen too); blocks have BlockLen (zero:
// DefaultBlockLen), the last block of a piece what is left.
type Geometry struct {
	Pieces   int
	PieceLen uint32
	LastLen  uint32
	BlockLen uint32
}

// PieceSize is the size of piece i in bytes.
func (g Geometry) PieceSize(i int) uint32 {
	if i == g.Pieces-1 {
		return g.LastLen
	}
	return g.PieceLen
}

// Blocks is the number of blocks of piece i.
func (g Geometry) Blocks(i int) int {
	return int((uint64(g.PieceSize(i)) + uint64(g.BlockLen) - 1) / uint64(g.BlockLen))
}

// block is the n-th block of a piece.
func (g Geometry) block(piece, n int) Block {
	begin := uint32(n) * g.BlockLen
	return Block{Piece: piece, Begin: begin, Length: min(g.BlockLen, g.PieceSize(piece)-begin)}
}

// number is the inverse of block; false when there is no such block.
func (g Geometry) number(b Block) (int, bool) {
	if b.Piece < 0 || b.Piece >= g.Pieces || b.Begin%g.BlockLen != 0 || b.Begin >= g.PieceSize(b.Piece) {
		return 0, false
	}
	n := int(b.Begin / g.BlockLen)
	return n, g.block(b.Piece, n) == b
}

// PeerID is the caller's handle of a peer, never negative. A handle is not to
// be given to another peer while a piece has blocks of the former one.
type PeerID int32

// None is the attendant of a piece that has none.
const None PeerID = -1

// Block is a range of a piece, in bytes.
type Block struct {
	Piece         int
	Begin, Length uint32
}

// peer is what is known about one peer.
type peer struct {
	id    PeerID
	has   *wire.Bits
	seed  bool // said by PeerBits to have everything; counted in Picker.seeds, not in avail
	want  int  // missing pieces it has
	open  int  // open pieces it has; open <= want
	asked int  // blocks it was asked for and that are still wanted from it
	mine  []*transfer
	free  int     // free blocks of the transfers in mine
	hints []int32 // pieces that it has suggested, the oldest first
}

// Places of a piece in Picker.where: 0 and up is an index into order.
const (
	verified = -1
	flying   = -2 // flying-k: transfers[k]
)

// Picker chooses blocks for one torrent. The zero value is not usable.
type Picker struct {
	geo   Geometry
	rnd   *rand.Rand
	have  *wire.Bits
	left  int // missing pieces
	seeds int
	avail []int32 // per piece: peers that have it and are not seeds
	order []int32 // open pieces by avail
	bound []int32 // per availability: where its pieces begin in order; the last entry is len(order)
	where []int32
	open  *wire.Bits // the pieces of order

	peers     map[PeerID]*peer
	list      []*peer // the same, in an order that only depends on the calls
	transfers []*transfer
	orphans   []*transfer // those without attendant
	free      int         // free blocks of all transfers
	urgent    []int       // pieces that somebody waits for, the most urgent first
	nextID    uint64
	pool      []*transfer
}

// New returns a picker for a torrent of which the pieces in have (nil: none)
// are verified. It takes a copy of have and draws from rnd, which nobody else
// may use meanwhile.
func New(g Geometry, have *wire.Bits, rnd *rand.Rand) *Picker {
	if g.BlockLen == 0 {
		g.BlockLen = DefaultBlockLen
	}
	if g.LastLen == 0 {
		g.LastLen = g.PieceLen
	}
	if g.Pieces < 0 || g.Pieces > 0 && (g.PieceLen == 0 || g.LastLen > g.PieceLen) {
		panic(fmt.Sprintf("picker: impossible geometry %+v", g))
	}
	if have == nil {
		have = wire.NewBits(g.Pieces)
	}
	k := &Picker{
		geo: g, rnd: rnd, have: have.Clone(), open: wire.NewBits(g.Pieces),
		avail: make([]int32, g.Pieces), where: make([]int32, g.Pieces),
		peers: make(map[PeerID]*peer),
	}
	for i := range g.Pieces {
		if have.Get(i) {
			k.where[i] = verified
		} else {
			k.order = append(k.order, int32(i))
			k.open.Set(i)
		}
	}
	k.left = len(k.order)
	rnd.Shuffle(len(k.order), func(a, b int) { k.order[a], k.order[b] = k.order[b], k.order[a] })
	for at, i := range k.order {
		k.where[i] = int32(at)
	}
	k.bound = []int32{0, int32(len(k.order))}
	return k
}

// AddPeer makes a peer known, which has nothing so far. It panics when it is
// known already.
func (k *Picker) AddPeer(p PeerID) {
	if _, ok := k.peers[p]; ok || p < 0 {
		panic(fmt.Sprintf("picker: peer %d added twice or negative", p))
	}
	q := &peer{id: p, has: wire.NewBits(k.geo.Pieces)}
	k.peers[p] = q
	k.list = append(k.list, q)
}

// RemovePeer forgets a peer: what it was asked for is free again, what it
// attended waits for another, what it has is no longer available from it. What
// it sent stays. A peer that is not known is ignored.
func (k *Picker) RemovePeer(p PeerID) {
	q := k.peers[p]
	if q == nil {
		return
	}
	for n := len(k.transfers) - 1; n >= 0; n-- {
		t := k.transfers[n]
		if t.asks(p) > 0 {
			k.takeBack(t, q)
		}
		if t.attendant == q {
			k.attend(t, nil)
		}
		k.settle(t)
	}
	k.forgetBits(q)
	delete(k.peers, p)
	for n, o := range k.list {
		if o == q {
			k.list = append(k.list[:n], k.list[n+1:]...)
			break
		}
	}
}

// PeerHas notes that a peer has one more piece.
func (k *Picker) PeerHas(p PeerID, piece int) {
	q := k.peer(p)
	if q.has.Get(piece) {
		return
	}
	q.has.Set(piece)
	k.more(piece)
	if k.where[piece] != verified {
		q.want++
	}
	if k.where[piece] >= 0 {
		q.open++
	}
}

// PeerLacks notes that a peer does not give a piece, though it has it: it is not
// asked for more of it until PeerHas says otherwise. What it owes it still owes.
func (k *Picker) PeerLacks(p PeerID, piece int) {
	q := k.peer(p)
	if !q.has.Get(piece) {
		return
	}
	if q.seed { // of which one is only counted that has everything
		k.seeds--
		q.seed = false
		for i := range k.geo.Pieces {
			k.more(i)
		}
	}
	q.has.Clear(piece)
	k.fewer(piece)
	if k.where[piece] != verified {
		q.want--
	}
	if k.where[piece] >= 0 {
		q.open--
	}
	if t := k.transferOf(piece); t != nil && t.attendant == q {
		k.attend(t, nil)
		k.settle(t)
	}
}

// maxUrgent is how many pieces somebody may wait for at a time.
const maxUrgent = 256

// Urgent says for which pieces somebody waits, the most urgent first, in place of
// those said before: whoever has one is asked for it before anything else, and
// several at once for the blocks of one. Those here already are passed over.
func (k *Picker) Urgent(pieces []int) {
	k.urgent = k.urgent[:0]
	for _, i := range pieces[:min(len(pieces), maxUrgent)] {
		if i >= 0 && i < k.geo.Pieces && k.where[i] != verified {
			k.urgent = append(k.urgent, i)
		}
	}
}

// hurried asks q for what is urgent.
func (k *Picker) hurried(q *peer, end int, out []Block) []Block {
	kept := k.urgent[:0]
	for _, i := range k.urgent {
		if k.where[i] == verified {
			continue
		}
		kept = append(kept, i)
		if len(out) == end || !q.has.Get(i) {
			continue
		}
		t := k.transferOf(i)
		if t == nil {
			t = k.begin(i)
			k.attend(t, q)
		}
		out = k.take(t, q, end, out)
	}
	k.urgent = kept
	return out
}

// maxHints is how many suggestions of a peer are remembered.
const maxHints = 64

// Suggest notes that a peer would like to be asked for a piece (BEP 6): it is
// before others that nobody has begun. Of too many the oldest are forgotten.
func (k *Picker) Suggest(p PeerID, piece int) {
	q := k.peer(p)
	if k.where[piece] < 0 {
		return // begun, or here
	}
	if len(q.hints) == maxHints {
		q.hints = q.hints[:copy(q.hints, q.hints[1:])]
	}
	q.hints = append(q.hints, int32(piece))
}

// hinted is the first piece that q has suggested and that is still open, -1 for
// none; it is suggested no more.
func (k *Picker) hinted(q *peer) int {
	for len(q.hints) > 0 {
		i := int(q.hints[0])
		q.hints = q.hints[:copy(q.hints, q.hints[1:])]
		if k.where[i] >= 0 && q.has.Get(i) {
			return i
		}
	}
	return -1
}

// PeerBits notes all that a peer has, in place of what was known before.
func (k *Picker) PeerBits(p PeerID, b *wire.Bits) {
	if b.Len() != k.geo.Pieces {
		panic(fmt.Sprintf("picker: bitfield of %d pieces for a torrent of %d", b.Len(), k.geo.Pieces))
	}
	q := k.peer(p)
	k.forgetBits(q)
	q.has = b.Clone()
	if q.seed = b.All(); q.seed {
		k.seeds++
	} else {
		for i := range b.Each() {
			k.more(i)
		}
	}
	q.want = q.has.AndNotCount(k.have)
	q.open = q.has.Count() - q.has.AndNotCount(k.open)
}

// forgetBits takes what q has out of the availabilities.
func (k *Picker) forgetBits(q *peer) {
	if q.seed {
		k.seeds--
		q.seed = false
	} else {
		for i := range q.has.Each() {
			k.fewer(i)
		}
	}
}

func (k *Picker) peer(p PeerID) *peer {
	q := k.peers[p]
	if q == nil {
		panic(fmt.Sprintf("picker: peer %d is not known", p))
	}
	return q
}

// Interesting reports whether a peer has a piece that is missing here.
func (k *Picker) Interesting(p PeerID) bool { return k.peer(p).want > 0 }

// Asked is the number of blocks that a peer was asked for and still owes.
func (k *Picker) Asked(p PeerID) int { return k.peer(p).asked }

// Left is the number of pieces that are not verified.
func (k *Picker) Left() int { return k.left }

// Has reports whether a piece is verified.
func (k *Picker) Has(piece int) bool { return k.where[piece] == verified }

// Endgame reports whether every missing block has been asked for and is not in yet.
func (k *Picker) Endgame() bool { return k.left > 0 && len(k.order) == 0 && k.free == 0 }

// Availability is the number of known peers that have a piece.
func (k *Picker) Availability(piece int) int { return int(k.avail[piece]) + k.seeds }

// Holders appends the peers that have a piece to out, in the order in which
// they were added.
func (k *Picker) Holders(piece int, out []PeerID) []PeerID {
	for _, q := range k.list {
		if q.has.Get(piece) {
			out = append(out, q.id)
		}
	}
	return out
}
