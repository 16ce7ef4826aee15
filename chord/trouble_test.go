package chord

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// missed counts those whose copies cannot be had now, or are no more.
func (s *scenario) missed(also ...*simHost) int {
	n := 0
	for _, h := range s.hosts {
		if s.left[h] || (!h.gone && (h.m == nil || s.side[h] != 0 || s.lost[h] || slices.Contains(also, h))) {
			n++
		}
	}
	return n
}

// spare is how many members may be missed at once, if any disk is lost.
func (s *scenario) spare() int { return min(QuorumOf(Hard, s.whole).W-1, 2) }

// mayMiss reports whether these may go, and with lose their disks.
func (s *scenario) mayMiss(lose bool, these ...*simHost) bool {
	if s.small() {
		return s.missed() == 0 && len(these) <= s.spare()
	}
	left := len(s.up())
	for _, h := range these {
		if h.m != nil {
			left--
		}
	}
	return left >= 5 && ((len(s.lost) == 0 && !lose) || s.missed(these...) <= s.spare())
}

// trouble does one thing, and tells which; nothing, if it drew what must not be
// done now.
func (s *scenario) trouble() string {
	up, down := s.up(), s.downs()
	h := s.pick(up)
	if !s.small() && slices.ContainsFunc(up, func(h *simHost) bool { return h.m.ring > 0 && h.m.ring < 5 }) {
		s.hi.split = true // one side of a partition has become small
	}
	switch s.rng.IntN(16) {
	case 0, 1: // a crash, with the disk
		if !s.mayMiss(false, h) {
			return ""
		}
		h.crash(s.chance(0.5))
		s.assume()
		return fmt.Sprintf("%s crashes", h)
	case 2, 3: // without it
		lose := []*simHost{h}
		if o := s.pick(up); o != h && s.chance(0.5) {
			lose = append(lose, o)
		}
		if !s.mayMiss(true, lose...) {
			return ""
		}
		for _, h := range lose {
			h.crash(s.chance(0.5))
			h.wipe()
			s.lost[h] = true
		}
		s.assume()
		return fmt.Sprintf("%v crash and lose their disks", lose)
	case 4, 5, 6:
		if len(down) == 0 {
			return ""
		}
		h := s.pick(down)
		if s.lost[h] && len(s.side) > 0 {
			s.side[h] = s.side[s.pick(up)] // apart from all it would be a ring of its own
		}
		if s.chance(0.2) {
			s.move(h)
		}
		h.start()
		return fmt.Sprintf("%s is back", h)
	case 7:
		if len(up) > 13 {
			return ""
		}
		with := h
		h := s.host()
		if side := s.side[with]; side != 0 { // apart from all it would be a ring of its own
			s.side[h] = side
		}
		h.start()
		return fmt.Sprintf("%s joins", h)
	case 8:
		if s.missed() > 0 || len(up) == 1 || (len(up) <= 5 && !s.small()) {
			return ""
		}
		h.leave()
		s.left[h] = true
		s.assume()
		return fmt.Sprintf("%s leaves", h)
	case 9:
		return s.falseDeath(h, s.pick(up))
	case 10:
		return s.oneWay(h, s.pick(up))
	case 11, 12:
		return s.divide(up)
	case 13:
		return s.badDisk(h)
	case 14:
		return s.powerCut(up)
	}
	s.heal()
	return "healed"
}

func (s *scenario) move(h *simHost) {
	s.moves++
	h.move(fmt.Sprintf("10.1.%d.%d:4000", h.index, s.moves))
	for _, o := range s.hosts {
		delete(o.sees, h) // gossip follows it to the new address
	}
}

func (s *scenario) falseDeath(a, b *simHost) string {
	if a == b || !a.sees[b] || len(s.lost) > 0 {
		return ""
	}
	s.hi.split = s.hi.split || s.small()
	s.doubt = true
	s.checkAlways()
	s.lie(a, b, s.between(time.Second, 4*time.Second))
	return fmt.Sprintf("%s takes %s for dead", a, b)
}

func (s *scenario) oneWay(a, b *simHost) string {
	if a == b || len(s.lost) > 0 {
		return ""
	}
	s.doubt = true
	s.checkAlways()
	s.cutOneWay(a, b)
	return fmt.Sprintf("%s does not reach %s", a, b)
}

// divide draws the sides of a partition.
func (s *scenario) divide(up []*simHost) string {
	if len(s.lost) > 0 || len(up) < 2 || (!s.small() && len(up) < 6) {
		return ""
	}
	sides := make([][]*simHost, 1+s.rng.IntN(2))
	apart := s.chance(0.5) // or only a few of them
	for _, h := range up {
		switch {
		case apart:
			i := s.rng.IntN(len(sides) + 1)
			if i > 0 {
				sides[i-1] = append(sides[i-1], h)
			}
		case len(sides[0]) < min(2, len(up)/2):
			sides[0] = append(sides[0], h)
		}
	}
	s.hi.split = s.hi.split || s.small()
	s.doubt = true
	s.checkAlways()
	s.partition(sides...)
	return fmt.Sprintf("%v apart", sides)
}

// badDisk has one member's disk refuse writes, rot, or lie and then crash.
func (s *scenario) badDisk(h *simHost) string {
	switch what := s.rng.IntN(3); {
	case what == 0 && !s.small():
		for _, o := range s.hosts {
			if o.broken != nil {
				return "" // one at a time
			}
		}
		h.broken = ErrStore
		return fmt.Sprintf("the disk of %s is full", h)
	case what == 1 && s.mayMiss(true, h) && s.spare() > 0:
		keys := s.hi.keys()
		if len(keys) == 0 {
			return ""
		}
		s.lost[h] = true
		for range 1 + s.rng.IntN(4) {
			key, name := keys[s.rng.IntN(len(keys))], fmt.Sprint(s.rng.IntN(2))
			if s.holders(key, name) > 1 { // else nobody can mend it
				h.damage(key, name)
			}
		}
		return fmt.Sprintf("the disk of %s rots", h)
	case what == 2 && s.missed() == 0 && len(s.cut) == 0 && s.mayMiss(true, h) && s.spare() > 0:
		// Nobody can tell what such a disk has lost, and it claims to have it:
		// while all others live that harms nothing.
		h.lie()
		s.traffic(s.between(50*time.Millisecond, time.Second))
		h.crash(s.chance(0.5))
		s.lost[h] = true
		s.assume()
		s.traffic(s.between(50*time.Millisecond, 3*time.Second))
		h.start()
		s.traffic(s.between(50*time.Millisecond, time.Second))
		s.recover()
		return fmt.Sprintf("the disk of %s lied", h)
	}
	return ""
}

// holders counts the disks that hold something of a field.
func (s *scenario) holders(key Key, name string) int { return s.durable(key, name, 0, s.now+1) }

// powerCut stops everybody at once, disks kept, and starts them in any order.
func (s *scenario) powerCut(up []*simHost) string {
	if len(s.lost) > 0 || s.hi.split {
		return ""
	}
	s.checkAlways()
	for _, h := range up {
		h.crash(s.chance(0.5))
	}
	s.run(s.between(0, 5*time.Second))
	spread := s.between(time.Millisecond, 8*time.Second)
	down := s.downs()
	s.rng.Shuffle(len(down), func(i, j int) { down[i], down[j] = down[j], down[i] })
	// Who has never been in a ring would begin one of its own, if it were first.
	slices.SortStableFunc(down, func(a, b *simHost) int { return cmp.Compare(b.disk.State().Ring, a.disk.State().Ring) })
	for _, h := range down {
		h.start()
		s.traffic(s.between(0, spread/time.Duration(len(down))+1))
	}
	s.recover()
	return "a power cut was survived"
}
