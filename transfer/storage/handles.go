package storage

import (
	"container/list"
	"os"
	"sync"
)

// maxOpen is how many files a Content keeps open.
const maxOpen = 128

// handle is an open file with the number of those who use it now.
type handle struct {
	*os.File
	file  int // index in Layout.Files
	refs  int
	place *list.Element // in cache.idle when refs == 0
}

// cache keeps the files that were used last open. Files in use are never
// closed; of the others, as many stay as keep the sum within the limit.
type cache struct {
	open func(file int, create bool) (*os.File, error)
	max  int

	mu     sync.Mutex
	closed bool
	byFile map[int]*handle // nil before the first
	idle   list.List       // of *handle, the one used last in front
}

func newCache(limit int, open func(file int, create bool) (*os.File, error)) *cache {
	return &cache{open: open, max: limit}
}

// acquire returns an open file, which stays open until release. It opens it
// outside of the lock: a slow disk does not stop those who have theirs.
func (c *cache) acquire(file int, create bool) (*handle, error) {
	if h, err := c.cached(file); h != nil || err != nil {
		return h, err
	}
	f, err := c.open(file, create)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		f.Close()
		return nil, os.ErrClosed
	}
	if h := c.byFile[file]; h != nil {
		f.Close() // somebody was faster
		c.use(h)
		return h, nil
	}
	h := &handle{File: f, file: file, refs: 1}
	if c.byFile == nil {
		c.byFile = make(map[int]*handle)
	}
	c.byFile[file] = h
	c.shrink()
	return h, nil
}

// cached returns the handle of a file that is open, or nil.
func (c *cache) cached(file int) (*handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, os.ErrClosed
	}
	h := c.byFile[file]
	if h != nil {
		c.use(h)
	}
	return h, nil
}

func (c *cache) use(h *handle) {
	h.refs++
	if h.place != nil {
		c.idle.Remove(h.place)
		h.place = nil
	}
}

// shrink closes what was not used for the longest time.
func (c *cache) shrink() {
	for len(c.byFile) > c.max || c.closed {
		last := c.idle.Back()
		if last == nil {
			return
		}
		h := c.idle.Remove(last).(*handle)
		delete(c.byFile, h.file)
		h.Close()
	}
}

// release gives a handle back.
func (c *cache) release(h *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.refs--; h.refs == 0 {
		h.place = c.idle.PushFront(h)
		c.shrink()
	}
}

// rest closes every file that is not in use.
func (c *cache) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place := c.idle.Front(); place != nil; place = c.idle.Front() {
		h := c.idle.Remove(place).(*handle)
		delete(c.byFile, h.file)
		h.Close()
	}
}

// close closes every file, those in use as soon as they are released.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.shrink()
}
