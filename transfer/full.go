package transfer

import (
	"fmt"
	"time"
)

// A disk without space does not end a download. It asks for nothing more, keeps the
// pieces that it could not write, goes on serving those it has, and tries again now
// and then: when there is space, everything goes on.

const fullPause = 5 * time.Second // between two tries

// paused tells whether the disk had no space when a piece was written last.
func (s *swarm) paused() bool { return len(s.stuck) > 0 || s.full != nil }

// wait keeps a piece for which there was no space.
func (s *swarm) wait(h *hashing) {
	if s.full == nil {
		s.log.Warn("no space for the download: waiting for some", "err", h.err)
	}
	s.full = h.err
	s.stuck = append(s.stuck, h)
	s.nextWrite = s.l.now.Add(fullPause)
}

// tryWrite writes one of the pieces kept, when it is time.
func (s *swarm) tryWrite() {
	if len(s.stuck) == 0 || s.l.now.Before(s.nextWrite) || s.halted() {
		return
	}
	s.nextWrite = s.l.now.Add(fullPause)
	s.write(s.stuck[0])
	s.stuck = s.stuck[1:]
}

// spaceAgain is called after each piece that was written.
func (s *swarm) spaceAgain() {
	if s.full == nil {
		return
	}
	s.log.Info("there is space for the download again")
	s.full = nil
	for _, h := range s.stuck {
		s.write(h)
	}
	s.stuck = nil
	s.wakeAll()
}

func (s *swarm) write(h *hashing) {
	s.away++
	s.l.e.workers.submit(h)
}

// dropStuck gives up the pieces kept.
func (s *swarm) dropStuck() {
	for _, h := range s.stuck {
		s.freeBuffer(h.p)
		delete(s.partials, h.p.piece)
	}
	s.stuck = nil
}

// whyPaused is the reason in words.
func (s *swarm) whyPaused() string {
	return fmt.Sprintf("%v: it goes on when there is space", s.full)
}
