package transfer

import "sync"

// latch is something that happens once; the zero value has not. Its channel is made only
// when somebody waits: of a hundred thousand torrents that are served, nobody does.
type latch struct {
	mu   sync.Mutex
	set  bool
	c    chan struct{} // closed when it has happened; nil until somebody waits
	then func()        // nil, or called on a goroutine of its own when it happens
}

// fire makes it happen; false when it had before.
func (l *latch) fire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set {
		return false
	}
	l.set = true
	if l.c != nil {
		close(l.c)
	}
	if l.then != nil {
		go l.then()
		l.then = nil
	}
	return true
}

func (l *latch) fired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

func (l *latch) channel() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c == nil {
		l.c = make(chan struct{})
		if l.set {
			close(l.c)
		}
	}
	return l.c
}

// after has f called once it has happened, at once when it has; a later f takes the
// place of an earlier one.
func (l *latch) after(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set {
		go f()
		return
	}
	l.then = f
}
