package tracker

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// idWindow is how long a connection id is given out; it is accepted for as long again.
const idWindow = 2 * time.Minute

// ids makes and checks connection ids without remembering any: an id is a code of the
// address and the time. It is the CBC-MAC with AES-128 of two blocks, the window of time and
// the address, cut to 64 bits; as every message has these two blocks, nobody who lacks the
// key can extend one. The first block's part is computed once in a window. An ids belongs to
// one goroutine; a clone shares the key.
type ids struct {
	block       cipher.Block
	window      int64
	now, before [aes.BlockSize]byte // the code of the first block, of this window and the last
	in, out     [aes.BlockSize]byte
}

func newIDs() *ids {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has a right length
	}
	return &ids{block: block, window: -1}
}

func (i *ids) clone() *ids { return &ids{block: i.block, window: -1} }

// turn brings an ids to a time; it is called before make and check.
func (i *ids) turn(now time.Time) {
	window := now.UnixNano() / int64(idWindow)
	if window == i.window {
		return
	}
	i.window = window
	i.first(&i.now, window)
	i.first(&i.before, window-1)
}

func (i *ids) first(to *[aes.BlockSize]byte, window int64) {
	clear(i.in[:])
	binary.BigEndian.PutUint64(i.in[:], uint64(window))
	i.block.Encrypt(to[:], i.in[:])
}

func (i *ids) code(first *[aes.BlockSize]byte, ip *[16]byte) uint64 {
	subtle.XORBytes(i.in[:], first[:], ip[:])
	i.block.Encrypt(i.out[:], i.in[:])
	return binary.BigEndian.Uint64(i.out[:])
}

func (i *ids) make(ip *[16]byte) uint64 { return i.code(&i.now, ip) }

func (i *ids) check(id uint64, ip *[16]byte) bool {
	return id == i.code(&i.now, ip) || id == i.code(&i.before, ip)
}
