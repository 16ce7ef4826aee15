package discovery

import (
	"maps"
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
	swept   time.Time // when the maps were last looked through

	crowded int       // members at the time counted
	counted time.Time // crowded is counted anew after a second
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
// A loud source uses up only its own share, many new ones only the total.
func (g *guard) admit(now time.Time, from netip.AddrPort) bool {
	s := g.sources[from]
	if s == nil {
		if !g.total.AllowN(now, 1) {
			return false
		}
		s = &source{
			packets: rate.NewLimiter(sourceRate, sourceBurst),
			answers: rate.NewLimiter(answerRate, answerBurst),
		}
		makeRoom(g, now, g.sources, maxSources)
		g.sources[from] = s
		s.seen = now
		return s.packets.AllowN(now, 1)
	}
	s.seen = now
	return s.packets.AllowN(now, 1) && g.total.AllowN(now, 1)
}

// makeRoom forgets old entries now and then, of a full map as often as once a
// second, and when there are none any entry: the newest packet is never the one
// that does not count, whatever came before.
func makeRoom[K comparable, V any](g *guard, now time.Time, m map[K]V, most int) {
	pause := forget
	if len(m) >= most {
		pause = time.Second
	}
	if now.Sub(g.swept) >= pause {
		g.swept = now
		maps.DeleteFunc(g.sources, func(_ netip.AddrPort, s *source) bool { return now.Sub(s.seen) > forget })
		maps.DeleteFunc(g.senders, func(_ chord.ID, s *sender) bool { return now.Sub(s.seen) > forget })
	}
	for k := range m {
		if len(m) < most {
			return
		}
		delete(m, k)
	}
}

// mayAnswer takes an answer to a source into account that was admitted.
func (g *guard) mayAnswer(now time.Time, to netip.AddrPort) bool {
	s := g.sources[to]
	return s != nil && s.answers.AllowN(now, 1)
}

// fresh reports whether a packet was not seen before, as far as its sender is
// remembered.
func (g *guard) fresh(now time.Time, p packet) bool {
	s := g.senders[p.Sender]
	if s == nil {
		makeRoom(g, now, g.senders, maxSenders)
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

// crowd is members as it was at most a second ago.
func (g *guard) crowd(now time.Time) int {
	if now.Sub(g.counted) >= time.Second {
		g.counted, g.crowded = now, g.members(now)
	}
	return g.crowded
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
