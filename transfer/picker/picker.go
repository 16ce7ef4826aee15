package picker

import (
	"math/rand/v2"

	"chordtorrent/transfer/wire"
)

// Geometry is how a torrent is cut. All pieces have PieceLen bytes, the last
// one LastLen; blocks have BlockLen, the last block of a piece what is left.
type Geometry struct {
	Pieces   int
	PieceLen uint32
	LastLen  uint32
	BlockLen uint32
}

// PeerID is the caller's handle of a peer, never negative.
type PeerID int32

// Block is a range of a piece, in bytes.
type Block struct {
	Piece         int
	Begin, Length uint32
}

// Transfer is a piece in flight.
type Transfer struct {
	ID        uint64
	Piece     int
	Offset    int64  // in the torrent
	Size      uint32 // bytes
	Attendant PeerID // None: nobody attends it
	Received  uint32 // bytes that are in
}

// None is the attendant of a piece that has none.
const None PeerID = -1

type Picker struct{}

func New(g Geometry, have *wire.Bits, rnd *rand.Rand) *Picker { return &Picker{} }
func (k *Picker) AddPeer(p PeerID)                            {}
func (k *Picker) RemovePeer(p PeerID)                         {}
func (k *Picker) PeerHas(p PeerID, piece int)                 {}
func (k *Picker) PeerBits(p PeerID, b *wire.Bits)             {}
func (k *Picker) Interesting(p PeerID) bool                   { return false }
func (k *Picker) Pick(p PeerID, n int, out []Block) []Block   { return out }
func (k *Picker) Release(p PeerID, b Block)                   {}
func (k *Picker) Received(p PeerID, b Block) (bool, []PeerID) { return false, nil }
func (k *Picker) Complete(piece int) bool                     { return false }
func (k *Picker) Verified(piece int)                          {}
func (k *Picker) Failed(piece int) []PeerID                   { return nil }
func (k *Picker) Senders(piece int) []PeerID                  { return nil }
func (k *Picker) Left() int                                   { return 0 }
func (k *Picker) Endgame() bool                               { return false }
func (k *Picker) Availability(piece int) int                  { return 0 }
func (k *Picker) Holders(piece int, out []PeerID) []PeerID    { return out }
func (k *Picker) Transfers(out []Transfer) []Transfer         { return out }
func (k *Picker) CheckInvariant() error                       { return nil }
