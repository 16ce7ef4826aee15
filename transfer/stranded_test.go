package transfer

import (
	"testing"

	"chordtorrent/transfer/wire"
)

// Half-fetched pieces whose peer has left must not keep the buffers that the
// pieces of others need.
func TestStrandedPiecesGiveWayToOnesThatSomebodyHas(t *testing.T) {
	const pieces, pieceLen = leastPieces + 1, 64 << 10
	f := makeTorrent(t, 77, pieceLen, pieces*pieceLen)
	leech := start(t, func(c *Config) { c.BufferBytes = pieceLen })
	to := leech.add(t, f.leechSpec(t))
	bits := func(which ...int) []byte {
		b := wire.NewBits(pieces)
		for _, i := range which {
			b.Set(i)
		}
		return b.Bytes()
	}

	a := join(t, leech, f, 1)
	a.send(wire.Message{ID: wire.Bitfield, Bits: bits(0, 1, 2, 3)}, wire.Message{ID: wire.Unchoke})
	started := map[uint32]bool{}
	var sent int64
	for len(started) < leastPieces {
		m := a.expect(wire.Request)
		if started[m.Index] {
			// More requests come only as blocks do: give this one too, but never
			// the last of a piece.
			if m.Begin+m.Length == pieceLen {
				continue
			}
		}
		started[m.Index] = true
		at := int64(m.Index)*pieceLen + int64(m.Begin)
		a.send(wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]})
		sent += int64(m.Length)
	}
	until(t, "the blocks", func() bool { return to.Status().Downloaded >= sent })
	a.Close()
	until(t, "the first peer's end", func() bool { return len(to.Status().Peers) == 0 })

	b := join(t, leech, f, 2)
	b.send(wire.Message{ID: wire.Bitfield, Bits: bits(leastPieces)}, wire.Message{ID: wire.Unchoke})
	if m := b.expect(wire.Request); m.Index != leastPieces {
		t.Errorf("asked for piece %d, which the peer does not have", m.Index)
	}
}
