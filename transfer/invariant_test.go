package transfer

import (
	"errors"
	"fmt"
	"testing"
)

// sound recounts, on the loop, what a torrent's state says of itself.
func sound(t testing.TB, tor *Torrent) {
	t.Helper()
	ask := checkSwarm{t: tor, reply: make(chan error, 1)}
	if !tor.l.post(ask) {
		return
	}
	if err := <-ask.reply; err != nil {
		t.Error(err)
	}
}

type checkSwarm struct {
	t     *Torrent
	reply chan error
}

func (c checkSwarm) handle(*loop) { c.reply <- c.t.s.check() }
func (c checkSwarm) orphaned()    { c.reply <- nil }

func (s *swarm) check() error {
	if s == nil {
		return nil
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.pick != nil {
		if err := s.pick.CheckInvariant(); err != nil {
			wrong("picker: %w", err)
		}
		if s.pick.Left() != s.left || s.have.Len()-s.have.Count() != s.left {
			wrong("%d pieces left, the picker says %d, the bits %d", s.left, s.pick.Left(), s.have.Len()-s.have.Count())
		}
	}
	if s.turns.Waiting() && s.l.nextTurns.IsZero() {
		wrong("somebody waits for a turn, and nobody looks whether it has come")
	}
	asks, writers := make(map[int]int), make(map[int]int)
	for id, c := range s.conns {
		if c.id != id || c.state == closed {
			wrong("connection %d is kept as %d in state %d", c.id, id, c.state)
		}
		bytes := 0
		for _, a := range c.asked {
			bytes += int(a.size)
			asks[a.piece]++
		}
		if bytes != c.askedBytes {
			wrong("%s: %d bytes asked for, counted %d", c.addr, bytes, c.askedBytes)
		}
		if c.in.left > 0 && c.in.dst != nil && !c.in.lent {
			first, last := blocksOf(c.in)
			writers[c.in.piece] += last - first + 1
		}
		if c.bits != nil && c.bits.Count() != c.has {
			wrong("%s: has %d pieces, counted %d", c.addr, c.bits.Count(), c.has)
		}
	}
	for _, w := range s.web {
		if w.fetch == nil {
			continue
		}
		left := make(map[int]int)
		for _, b := range w.fetch.left {
			left[b.Piece]++
		}
		for i, m := range w.fetch.pieces {
			if m.left != left[i] {
				wrong("%s: %d blocks of piece %d to come, counted %d", w.name, left[i], i, m.left)
			}
			if m.left > 0 && s.partials[i] == m.p {
				asks[i]++
			}
		}
	}
	if s.first != nil {
		if err := s.first.CheckInvariant(); err != nil {
			wrong("first copies: %w", err)
		}
	}
	for i, p := range s.partials {
		if p.piece != i {
			wrong("piece %d is kept as %d", p.piece, i)
		}
		if p.hashing {
			continue
		}
		missing, writing := 0, 0
		for n := range p.from {
			if p.from[n] == nil {
				missing++
			}
			if p.writer[n] != nil {
				writing++
			}
		}
		if missing != p.missing || writing != p.writers || writing != writers[i] || asks[i] != p.asks {
			wrong("piece %d: missing %d counted %d, writers %d counted %d and %d, asks %d counted %d",
				i, p.missing, missing, p.writers, writing, writers[i], p.asks, asks[i])
		}
		if missing == len(p.from) && writing == 0 && asks[i] == 0 {
			wrong("piece %d keeps a buffer for nothing", i)
		}
	}
	return errors.Join(errs...)
}
