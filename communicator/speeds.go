package communicator

import (
	"sync"
	"time"
)

// Speeds remembers what peers had left when their swarms were looked at, to tell how fast
// they get on. The zero value is ready; its method may be called from any goroutine.
type Speeds struct {
	mu   sync.Mutex
	seen map[[2 * hashBytes]byte]observed // by info hash and peer id
}

type observed struct {
	left int64
	at   time.Time // of the announce that said so
	rate float64   // bytes a second before; < 0: not known
}

// mostObserved bounds what is remembered.
const mostObserved = 1 << 14

// Of gives the bytes per second that a peer gets, between the last two of its announces that
// were looked at, else as it says itself; false: not known, as of an ordinary client at the
// first look.
func (s *Speeds) Of(infoHash [20]byte, p *Peer) (rate float64, known bool) {
	if p.Left < 0 {
		return float64(p.Rate), p.Rate > 0
	}
	key := [2 * hashBytes]byte(append(infoHash[:], p.PeerID[:]...))
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.seen[key]
	now := observed{left: p.Left, at: p.Seen, rate: -1}
	switch took := p.Seen.Sub(before.at).Seconds(); {
	case ok && took <= 0:
		now = before
	case ok && before.left >= p.Left:
		now.rate = float64(before.left-p.Left) / took
	}
	if s.seen == nil || len(s.seen) >= mostObserved {
		s.seen = make(map[[2 * hashBytes]byte]observed) // the next look but one knows the rates again
	}
	s.seen[key] = now
	if now.rate >= 0 {
		return now.rate, true
	}
	return float64(p.Rate), p.Rate > 0
}
