package rpc

import "sync"

// maxUnanswered bounds how many requests of one connection are remembered.
const maxUnanswered = 4096

// unanswered are the requests that went out on a connection and have no answer
// yet: when it breaks, as when the other process is killed, there will be none,
// and whoever waits should not have to wait for a time-out to know.
type unanswered struct {
	mu    sync.Mutex
	sent  map[uint64]ticket
	ended bool // with the connection
}

// add notes the requests of a batch, before it is written; false when the connection
// has ended.
func (u *unanswered) add(b batch) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return false
	}
	for _, t := range b.tickets {
		if !t.request {
			continue
		}
		if len(u.sent) >= maxUnanswered {
			u.sent = nil // of these the time-outs tell
		}
		if u.sent == nil {
			u.sent = map[uint64]ticket{}
		}
		u.sent[t.seq] = ticket{to: t.to, seq: t.seq, request: true, sent: true}
	}
	return true
}

// remove forgets requests that were answered, or will be reported otherwise.
func (u *unanswered) remove(seqs ...uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, seq := range seqs {
		delete(u.sent, seq)
	}
}

// end gives all that is left, when the connection has ended.
func (u *unanswered) end() (b batch) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range u.sent {
		b.tickets = append(b.tickets, t)
	}
	u.sent, u.ended = nil, true
	return b
}
