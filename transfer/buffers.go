package transfer

import "sync"

// buffers is the bounded pool of piece buffers: what a download may hold in
// memory. Room is taken when the first block of a piece is asked for (not when it
// arrives, or a connection could be stuck behind a block that nobody has room for)
// and given back when the piece is written or given up. The memory itself is handed
// out when the block arrives, the one that was given back last first: what is asked
// for far ahead would spread the data over more memory than the caches hold.
//
// Loops take, workers and loops give back; the lock is held for a few
// instructions.
type buffers struct {
	mu     sync.Mutex
	limit  int64            // bytes, 0 <= used
	used   int64            // bytes of room taken
	filled int64            // bytes of memory handed out for it
	spare  int64            // bytes in free; with filled at most limit, or little more
	free   map[int][][]byte // by capacity
	hungry map[*loop]bool   // loops that were refused and want to be told
}

func newBuffers(limit int64) *buffers {
	return &buffers{limit: limit, free: make(map[int][][]byte), hungry: make(map[*loop]bool)}
}

// take takes room for a buffer of that capacity, or reports that it would exceed the
// limit; the loop is then told by a buffersFree event when something was given
// back. With must it is given in any case: a torrent that holds few always gets
// one, so that pieces larger than the whole pool still can be fetched.
func (b *buffers) take(size int, must bool, asker *loop) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+int64(size) > b.limit && !must {
		b.hungry[asker] = true
		return false
	}
	b.used += int64(size)
	return true
}

// fill gives the memory for room that was taken.
func (b *buffers) fill(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filled += int64(size)
	if list := b.free[size]; len(list) > 0 {
		buf := list[len(list)-1]
		b.free[size] = list[:len(list)-1]
		b.spare -= int64(size)
		return buf[:size]
	}
	if b.filled+b.spare > b.limit {
		b.dropSpare() // of another size
	}
	return make([]byte, size)
}

// put gives room back, and the memory if it was filled.
func (b *buffers) put(size int, buf []byte) {
	b.mu.Lock()
	b.used -= int64(size)
	if buf != nil {
		b.filled -= int64(size)
		// Room that waits for its memory will soon ask for it: what counts is memory.
		if b.filled+b.spare+int64(size) <= b.limit {
			b.free[size] = append(b.free[size], buf[:size])
			b.spare += int64(size)
		}
	}
	var hungry map[*loop]bool
	if len(b.hungry) > 0 {
		hungry, b.hungry = b.hungry, make(map[*loop]bool)
	}
	b.mu.Unlock()
	for l := range hungry {
		l.post(buffersFree{})
	}
}

// trim lets go of the buffers that nobody uses; called when a download ends.
func (b *buffers) trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropSpare()
}

func (b *buffers) dropSpare() {
	clear(b.free)
	b.spare = 0
}

// inUse returns the bytes of room taken.
func (b *buffers) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
