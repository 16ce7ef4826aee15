package chord

import (
	"testing"
	"time"
)

// TestRingTime gives each member another idea of the time, and one a clock
// that is a year off: they agree on the median, and only the one is told.
func TestRingTime(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed, skew: 30 * time.Second})
		var hosts []*simHost
		for range 7 {
			hosts = append(hosts, net.host())
		}
		wrong := hosts[seed%7]
		wrong.skew = 365 * 24 * time.Hour
		if seed%2 == 0 {
			wrong.skew = -wrong.skew
		}
		for _, h := range hosts {
			h.start()
		}
		net.settle(len(hosts))
		net.run(10 * time.Second)
		first := hosts[0].clock().Add(hosts[0].m.ringClock.offset)
		for _, h := range hosts {
			ring := h.clock().Add(h.m.ringClock.offset)
			if d := ring.Sub(first).Abs(); d > 50*time.Millisecond {
				net.fatalf("%s is %v off %s's ring time", h, d, hosts[0])
			}
			if d := ring.Sub(net.now).Abs(); d > 30*time.Second {
				net.fatalf("%s takes it to be %v off the time of most", h, d)
			}
			if told := h.logged("clock"); told != (h == wrong) {
				net.fatalf("%s, whose clock is %v off, was told: %v", h, h.skew, told)
			}
		}
		if off := time.Duration(wrong.status().ClockOff) * time.Millisecond; (off - wrong.skew).Abs() > time.Minute {
			net.fatalf("%s says that its clock is %v off, it is %v", wrong, off, wrong.skew)
		}
		// What the wrong one stamps as an owner is of the ring's time.
		for i := range 20 {
			r := wrong.mustPut(Key([]byte{1, byte(i)}), "f", "v")
			if off := time.Duration(r.Stamp.Millis()-net.now.Millis()) * time.Millisecond; off.Abs() > 31*time.Second {
				net.fatalf("stamp %v off", off)
			}
		}
	})
}

// TestClockSetRight sets a wrong clock right while the member runs.
func TestClockSetRight(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 3)}, 4)
	h := hosts[1]
	h.skew = time.Hour // forwards: a driver never lets time run backwards
	net.run(15 * time.Second)
	if !h.m.ringClock.off || (h.m.ringClock.offset+time.Hour).Abs() > time.Second {
		net.fatalf("an hour ahead, the ring clock of %s is %v off its own", h, h.m.ringClock.offset)
	}
	for _, o := range hosts {
		if o != h {
			o.skew = time.Hour // as after the operator has looked
		}
	}
	net.run(time.Minute)
	if h.m.ringClock.off {
		net.fatalf("all agree, and %s is still %v off", h, h.m.ringClock.offset)
	}
}

// TestAClockThatIsGoneCountsNoMore loses the only other member, whose clock was half
// a year behind: the one left goes by its own at once. Until then both went by the
// middle.
func TestAClockThatIsGoneCountsNoMore(t *testing.T) {
	net := newSimNet(t, simOptions{seed: testSeed(t, 1)})
	a, b := net.host(), net.host()
	b.skew = -180 * 24 * time.Hour
	a.start()
	b.start()
	net.settle(2)
	net.wait("ring time is in the middle", 5*time.Second, func() bool { return a.m.ringClock.offset < -80*24*time.Hour })
	b.crash(false)
	net.wait("gossip drops it", 5*time.Second, func() bool { return len(a.m.view) == 1 })
	if off := a.m.ringClock.offset; off != 0 {
		net.fatalf("alone, a member takes its clock to be %v off", -off)
	}
}

// TestOfTwoClocksTheFasterStamps has two members, one of them half a year behind:
// whoever owns a key, what it deletes is not so old that it could be forgotten at
// once when a third member comes and ring time is what most clocks say.
func TestOfTwoClocksTheFasterStamps(t *testing.T) {
	net := newSimNet(t, simOptions{seed: testSeed(t, 1)})
	a, b := net.host(), net.host()
	b.skew = -180 * 24 * time.Hour
	a.start()
	b.start()
	net.settle(2)
	net.wait("both know two clocks", 5*time.Second, func() bool { return a.m.ringClock.offset != 0 && b.m.ringClock.offset != 0 })
	for i := range 20 {
		r := a.mustPut(Key([]byte{1, byte(i)}), "f", "v")
		if off := time.Duration(r.Stamp.Millis()-net.now.Millis()) * time.Millisecond; off < -time.Second {
			net.fatalf("stamped %v back", -off)
		}
	}
}

// TestKeysAheadAreForgotten has a key's last stamp stand half a minute above the
// clock: it is remembered until the clock is past it, and then the next one is above
// it all the same.
func TestKeysAheadAreForgotten(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 1)
	h, key := hosts[0], Key("\x01key")
	ahead := stampAt(net.now.Add(30 * time.Second).Millis())
	h.m.ahead[key] = ahead
	net.run(20 * time.Second)
	if h.m.ahead[key] != ahead {
		net.fatalf("forgotten while it stands above the clock: %v", h.m.ahead)
	}
	net.run(25 * time.Second)
	if len(h.m.ahead) > 0 {
		net.fatalf("remembered for ever: %v", h.m.ahead)
	}
	if r := h.mustPut(key, "f", "v"); r.Stamp <= ahead {
		net.fatalf("stamped %v, not above %v", r.Stamp, ahead)
	}
}

// TestNoClockIsForgottenForWantOfAsking has as many samples as a member keeps: each is
// asked for again before it is too old, whether the others answer or not.
func TestNoClockIsForgottenForWantOfAsking(t *testing.T) {
	var c ringClock
	for i := range clockSamples {
		c.samples = append(c.samples, clockSample{of: Ref{ID: ID{byte(i)}}})
	}
	asked := map[ID]bool{}
	for d := clockRefresh; d < clockExpiry; d += clockRefresh {
		asked[c.oldest().ID] = true
	}
	if len(asked) != clockSamples {
		t.Errorf("%d of %d are asked within %v", len(asked), clockSamples, clockExpiry)
	}
}

// TestClocksOfSuspectsAreAskedForSoon takes a member's samples away while the others are
// under suspicion: it asks again when that is over, and not at the pace of one that has
// what it needs, as its writes wait.
func TestClocksOfSuspectsAreAskedForSoon(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 3)
	h := hosts[0]
	h.call(h.boot, func(m *Member, now Time) {
		m.advance(now)
		m.ringClock.samples = m.ringClock.samples[:1]
		for _, r := range m.view {
			m.suspected(r.ID)
		}
		m.keepTime()
	})
	net.wait("it knows enough clocks", suspectFor+2*clockPause, func() bool { return h.m.ringClock.enough(3) })
}
