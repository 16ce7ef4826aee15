package discovery

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"chordtorrent/chord"
)

// Limits of what strangers may cost. A program sends a handful of packets a
// second at its start and one in 30 s later, each interface from a port of its own.
const (
	sourceRate  = 20 // packets a second from one address and port
	sourceBurst = 40
	totalRate   = 2000 // from all together
	totalBurst  = 4000
	answerRate  = 5 // answers a second to one address and port
	answerBurst = 10

	maxSources = 4096
	maxSenders = 4096
	forget     = 2 * time.Minute // without a packet
	nearby     = 90 * time.Second
)

// guard decides which packets count. It is used by one goroutine at a time.
type guard struct {
	total   *rate.Limiter
	sources map[netip.AddrPort]*source
	senders map[chord.ID]*sender
}

type source struct {
	packets, answers *rate.Limiter
	seen             time.Time
}

// sender is the window of sequence numbers of one sender's epoch: highest is
// the highest seen, bit i of recent stands for highest-i.
type sender struct {
	epoch, highest, recent uint64
	seen                   time.Time
	member                 bool // announces itself, as against one that only asks
}

func newGuard() *guard {
	return &guard{
		total:   rate.NewLimiter(totalRate, totalBurst),
		sources: make(map[netip.AddrPort]*source),
		senders: make(map[chord.ID]*sender),
	}
}

// admit takes a packet from a source into account; false when it is too much.
func (g *guard) admit(now time.Time, from netip.AddrPort) bool {
	s := g.sources[from]
	if s == nil {
		if len(g.sources) >= maxSources {
			for a, old := range g.sources {
				if now.Sub(old.seen) > forget {
					delete(g.sources, a)
				}
			}
			if len(g.sources) >= maxSources {
				return false
			}
		}
		s = &source{
			packets: rate.NewLimiter(sourceRate, sourceBurst),
			answers: rate.NewLimiter(answerRate, answerBurst),
		}
		g.sources[from] = s
	}
	s.seen = now
	return s.packets.AllowN(now, 1) && g.total.AllowN(now, 1)
}

// mayAnswer takes an answer to a source into account that was admitted.
func (g *guard) mayAnswer(now time.Time, to netip.AddrPort) bool {
	s := g.sources[to]
	return s != nil && s.answers.AllowN(now, 1)
}

// fresh reports whether a packet was not seen before; false too when there are
// more senders than can be remembered.
func (g *guard) fresh(now time.Time, p packet) bool {
	s := g.senders[p.Sender]
	if s == nil {
		if len(g.senders) >= maxSenders {
			for id, old := range g.senders {
				if now.Sub(old.seen) > forget {
					delete(g.senders, id)
				}
			}
			if len(g.senders) >= maxSenders {
				return false
			}
		}
		s = &sender{epoch: p.Epoch, highest: p.Seq}
		g.senders[p.Sender] = s
	}
	switch {
	case p.Epoch < s.epoch:
		return false
	case p.Epoch > s.epoch:
		*s = sender{epoch: p.Epoch, highest: p.Seq}
	}
	if p.Seq > s.highest {
		s.recent <<= min(p.Seq-s.highest, 64)
		s.highest = p.Seq
	}
	age := s.highest - p.Seq
	if age >= 64 || s.recent&(1<<age) != 0 {
		return false
	}
	s.recent |= 1 << age
	s.seen = now
	s.member = p.Kind == announce || p.Kind == answer
	return true
}

// members is how many announced themselves lately.
func (g *guard) members(now time.Time) int {
	n := 0
	for _, s := range g.senders {
		if s.member && now.Sub(s.seen) < nearby {
			n++
		}
	}
	return n
}
