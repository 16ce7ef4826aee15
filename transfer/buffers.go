package transfer

import "sync"

// buffers is the bounded pool of piece buffers: what a download may hold in
// memory. A buffer is taken when the first block of a piece is asked for (not
// when it arrives, or a connection could be stuck behind a block that nobody
// has room for) and given back when the piece is written or given up.
//
// Loops take, workers and loops give back; the lock is held for a few
// instructions.
type buffers struct {
	mu     sync.Mutex
	limit  int64            // bytes, 0 <= used
	used   int64            // bytes handed out
	spare  int64            // bytes in free
	free   map[int][][]byte // by capacity
	hungry map[*loop]bool   // loops that were refused and want to be told
}

func newBuffers(limit int64) *buffers {
	return &buffers{limit: limit, free: make(map[int][][]byte), hungry: make(map[*loop]bool)}
}

// get returns a buffer of the given capacity, or nil when that would exceed the
// limit; the loop is then told by a buffersFree event when something was given
// back. With must it is given in any case: a torrent that holds few always gets
// one, so that pieces larger than the whole pool still can be fetched.
func (b *buffers) get(size int, must bool, asker *loop) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+int64(size) > b.limit && !must {
		b.hungry[asker] = true
		return nil
	}
	b.used += int64(size)
	if list := b.free[size]; len(list) > 0 {
		buf := list[len(list)-1]
		b.free[size] = list[:len(list)-1]
		b.spare -= int64(size)
		return buf[:size]
	}
	if b.used+b.spare > b.limit {
		b.dropSpare()
	}
	return make([]byte, size)
}

// put gives a buffer back.
func (b *buffers) put(buf []byte) {
	size := cap(buf)
	b.mu.Lock()
	b.used -= int64(size)
	if b.used+b.spare+int64(size) <= b.limit {
		b.free[size] = append(b.free[size], buf[:size])
		b.spare += int64(size)
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

// inUse returns the bytes handed out.
func (b *buffers) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
