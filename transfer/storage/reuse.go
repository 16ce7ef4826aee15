package storage

import (
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"runtime"
	"sync"

	"chordtorrent/transfer/wire"
)

// Reuse fills those pieces of a target that are not in have and that old, finished
// files, has too, wherever in it, and sets them in have. It believes nothing but
// hashes: what has changed in old is passed over. It works on so many workers (0: one
// per core) and calls got, if not nil, after each piece that was written, by one of
// them at a time. The error is that of ctx, or of writing the target; what was written
// until then is in have. See IsFull for a disk without room.
//
// Only torrents of the same piece length have pieces in common.
func Reuse(ctx context.Context, target *Content, have *wire.Bits, old *Content, workers int, got func(piece int)) error {
	if target.l.PieceLength != old.l.PieceLength {
		return nil
	}
	at := make(map[[HashLen]byte]int, old.l.NumPieces())
	for i := range old.l.NumPieces() {
		at[[HashLen]byte(old.l.PieceHash(i))] = i
	}
	var pieces []int
	for i := range target.l.NumPieces() {
		if _, ok := at[[HashLen]byte(target.l.PieceHash(i))]; ok && !have.Get(i) {
			pieces = append(pieces, i)
		}
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // everything below, have, and the calls of got
		next   int
		failed error
	)
	work := func() {
		buf := make([]byte, target.l.PieceLength)
		for {
			mu.Lock()
			if failed == nil {
				failed = ctx.Err()
			}
			if failed != nil || next == len(pieces) {
				mu.Unlock()
				return
			}
			i := pieces[next]
			next++
			mu.Unlock()

			data := buf[:target.l.PieceSize(i)]
			from := int64(at[[HashLen]byte(target.l.PieceHash(i))]) * old.l.PieceLength
			if n, err := old.ReadAt(data, from); n < len(data) || err != nil && !errors.Is(err, io.EOF) {
				continue // it is no longer there
			}
			if sum := sha1.Sum(data); sum != [HashLen]byte(target.l.PieceHash(i)) {
				continue
			}
			err := target.WritePiece(i, data)
			mu.Lock()
			if err == nil {
				have.Set(i)
				if got != nil {
					got(i)
				}
			} else if failed == nil {
				failed = err
			}
			mu.Unlock()
		}
	}
	for range min(workers, len(pieces)) {
		wg.Go(work)
	}
	wg.Wait()
	return failed
}
