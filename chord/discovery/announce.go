package discovery

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
)

const (
	firstInterval = time.Second
	lastInterval  = 30 * time.Second
	// An answer waits a random time, so that a large ring does not answer in
	// one burst: answerStep for each member heard of, up to answerWait.
	answerStep = 2 * time.Millisecond
	answerWait = 450 * time.Millisecond
	// fewAnswers is how many members of a large ring answer, about.
	fewAnswers  = 24
	maxWaiting  = 256 // answers to be given
	queryFirst  = 100 * time.Millisecond
	queryRepeat = 7 // 0, 100, 300, 700, 1500, 3100, 6300 ms
)

// announcer is one call of Announce.
type announcer struct {
	self    Self
	queries chan asker
	ended   atomic.Bool
}

// asker is where an answer goes, and through which interface.
type asker struct {
	to  netip.AddrPort
	via int
}

// Announce tells everybody about self: at once, then after 1, 2, 4 … 30 s,
// each a little randomly; it answers queries, and it says goodbye when ctx or
// the Multicast ends, which it blocks for. One call at a time.
func (m *Multicast) Announce(ctx context.Context, self Self) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.announces.Add(1)
	m.mu.Unlock()
	defer m.announces.Done()

	self.Ring = netip.AddrPortFrom(self.Ring.Addr().Unmap(), self.Ring.Port())
	a := &announcer{self: self, queries: make(chan asker, maxWaiting)}
	m.self.Store(a)
	defer a.ended.Store(true)

	select {
	case <-m.changed: // before the first announcement, it is no news
	default:
	}
	interval := firstInterval
	next := time.NewTimer(0)
	defer next.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	waiting := make(map[asker]time.Time)
	for {
		select {
		case <-ctx.Done():
			m.send(a.self, bye)
			return
		case <-m.ctx.Done():
			m.send(a.self, bye)
			return
		case <-next.C:
			m.send(a.self, announce)
			next.Reset(jittered(interval))
			interval = min(2*interval, lastInterval)
		case <-m.changed:
			interval = firstInterval
			next.Reset(0)
		case q := <-a.queries:
			m.queue(waiting, q)
			due.Reset(untilFirst(waiting))
		case <-due.C:
			now := time.Now()
			for q, at := range waiting {
				if !at.After(now) {
					delete(waiting, q)
					m.answer(a.self, q)
				}
			}
			due.Reset(untilFirst(waiting))
		}
	}
}

// jittered is a time between 3/4 and 5/4 of d.
func jittered(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) }

// queue decides when an asker is answered; one that waits already is not
// answered twice.
func (m *Multicast) queue(waiting map[asker]time.Time, q asker) {
	if _, ok := waiting[q]; ok || len(waiting) >= maxWaiting {
		return
	}
	m.mu.Lock()
	n := m.guard.crowd(time.Now())
	m.mu.Unlock()
	if n > fewAnswers && rand.IntN(n) >= fewAnswers {
		return // enough others will
	}
	waiting[q] = time.Now().Add(rand.N(answerSpread(n)))
}

// answerSpread is the time over which n members spread their answers.
func answerSpread(n int) time.Duration {
	return min(time.Duration(n+1)*answerStep, answerWait)
}

func untilFirst(waiting map[asker]time.Time) time.Duration {
	first := time.Hour
	for _, at := range waiting {
		first = min(first, time.Until(at))
	}
	return max(first, 0)
}

// send says something about self on every interface where it can be reached.
func (m *Multicast) send(self Self, kind packetKind) {
	local := m.isLocal(self.Ring.Addr())
	for _, o := range m.using() {
		addrs := o.reachable(self, local)
		if len(addrs) == 0 {
			continue
		}
		p := m.packet(kind, self.ID, self.Epoch)
		p.HTTP = self.HTTPPort
		if kind != bye {
			p.Addrs = addrs
		}
		m.write(o, p, m.groupTo)
	}
}

// answer tells one asker about self.
func (m *Multicast) answer(self Self, q asker) {
	m.mu.Lock()
	o := m.outlets[q.via]
	m.mu.Unlock()
	if o == nil {
		return
	}
	p := m.packet(answer, self.ID, self.Epoch)
	p.HTTP = self.HTTPPort
	p.Addrs = o.reachable(self, m.isLocal(self.Ring.Addr()))
	if len(p.Addrs) > 0 {
		m.write(o, p, net.UDPAddrFromAddrPort(q.to))
	}
}

// Query asks who is there: now, and again after 100, 300, 700 ms … 6.3 s,
// unless StopQuery or Close comes before. It does not block; calling it again
// begins anew.
func (m *Multicast) Query() { m.setAsking(true) }

// StopQuery ends the asking that Query began: enough have answered.
func (m *Multicast) StopQuery() { m.setAsking(false) }

func (m *Multicast) setAsking(on bool) {
	for {
		select {
		case m.ask <- on:
			return
		case <-m.ctx.Done():
			return
		default:
		}
		select {
		case <-m.ask: // the newest counts
		default:
		}
	}
}

// asking carries out Query.
func (m *Multicast) asking() {
	next := time.NewTimer(time.Hour)
	defer next.Stop()
	asked, pause := queryRepeat, queryFirst
	for {
		select {
		case <-m.ctx.Done():
			return
		case on := <-m.ask:
			if !on {
				asked = queryRepeat
				next.Stop()
				continue
			}
			asked, pause = 0, queryFirst
			next.Reset(0)
		case <-next.C:
			if asked == queryRepeat {
				continue
			}
			for _, o := range m.using() {
				m.write(o, m.packet(query, m.nonce, m.epoch), m.groupTo)
			}
			asked++
			next.Reset(pause)
			pause *= 2
		}
	}
}

func (m *Multicast) packet(kind packetKind, from chord.ID, epoch uint64) packet {
	return packet{Kind: kind, Cluster: m.cluster, Sender: from, Epoch: epoch, Seq: m.seq.Add(1)}
}

// using lists the outlets of now.
func (m *Multicast) using() []*outlet {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*outlet, 0, len(m.outlets))
	for _, o := range m.outlets {
		list = append(list, o)
	}
	return list
}

func (m *Multicast) write(o *outlet, p packet, to net.Addr) {
	p.Signed = m.cfg.Secret.Closed()
	b := p.appendTo(make([]byte, 0, MaxPacket))
	if p.Signed {
		b = m.cfg.Secret.AppendMAC(b)
	}
	if _, err := o.conn.WriteTo(b, nil, to); err != nil {
		m.count("send_failed")
		m.log.Debug("announcement not sent", "name", o.Name, "addr", to, "err", err)
	}
}
