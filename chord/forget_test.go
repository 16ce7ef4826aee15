package chord

import (
	"fmt"
	"testing"
	"time"
)

// TestForget loses four of five for good: what is left says so and claims
// nothing, until an operator has told it that they will not come back.
func TestForget(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		for i := range 10 {
			hosts[0].mustPut(Key(fmt.Sprint("\x01key ", i)), "f", "v")
		}
		net.run(11 * time.Second)
		last := hosts[0]
		for _, h := range hosts[1:] {
			h.crash(true)
		}
		net.run(10 * time.Second)
		if r := last.get("\x01never"); r.Code != CodeNotReady {
			net.fatalf("one of five is left: %s", showGet(r))
		}
		for _, h := range hosts[1:] {
			if r := last.do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeOK || r.Told != 1 || r.Of != 1 {
				net.fatalf("forget: %+v", r)
			}
		}
		net.settle(1)
		for i := range 10 {
			last.mustGet(Key(fmt.Sprint("\x01key ", i)), "f", "v")
		}
		if r := last.get("\x01never"); r.Code != CodeNotFound {
			net.fatalf("nothing is there: %s", showGet(r))
		}
		last.mustPut("\x01new", "f", "v")
		net.run(2 * forgetAfter)
		if st := last.status(); len(st.Forgotten) != 0 {
			net.fatalf("the ring goes on without them, and remembers %v", st.Forgotten)
		}
	})
}

// TestForgetOfALivingMember is refused.
func TestForgetOfALivingMember(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 2)}, 3)
	for _, h := range hosts[1:] {
		if r := hosts[0].do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeBadRequest {
			net.fatalf("%s lives: %+v", h, r)
		}
	}
	if r := hosts[0].do(Forget{ID: hosts[0].ref.ID}).(ForgetReply); r.Code != CodeBadRequest {
		net.fatalf("it is not alone: %+v", r)
	}
}

// TestForgetSpreads tells one of the survivors, which tells the others, also
// that a range with fewer than R of its replicas left counts again.
func TestForgetSpreads(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 7)
		for i := range 20 {
			hosts[0].mustPut(Key(fmt.Sprint("\x01key ", i)), "f", "v")
		}
		net.run(11 * time.Second)
		for _, h := range hosts[3:] {
			h.crash(true)
		}
		net.wait("gossip drops the dead", 10*time.Second, net.agreed)
		for _, h := range hosts[3:] {
			if r := hosts[1].do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeOK || r.Told != 3 || r.Of != 3 {
				net.fatalf("forget: %+v", r)
			}
		}
		net.settle(3)
		for i := range 20 {
			// Four of seven: some range may have lost all of its copies.
			if r := hosts[0].get(Key(fmt.Sprint("\x01key ", i))); (r.Code != CodeOK && r.Code != CodeNotFound) || r.Unconfirmed {
				net.fatalf("the ring was told that nobody else comes: %s", showGet(r))
			}
		}
	})
}

// TestTrustSelf loses the database of a ring of one: it vouches for nothing
// until its operator says that there is nobody else to ask.
func TestTrustSelf(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 1)
	h := hosts[0]
	h.mustPut("\x01k", "f", "v")
	h.crash(false)
	h.wipe()
	h.disk.Apply(StoreOp{Kind: StoreState, State: &State{Ring: 2}}) // as the store says it
	h.start()
	net.run(2 * time.Second)
	if r := h.get("\x01k"); r.Code != CodeNotReady {
		net.fatalf("with its database lost: %s", showGet(r))
	}
	if r := h.do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeOK {
		net.fatalf("forget: %+v", r)
	}
	net.settle(1)
	if r := h.get("\x01k"); r.Code != CodeNotFound {
		net.fatalf("after the operator's word: %s", showGet(r))
	}
	h.mustPut("\x01k", "f", "w")
}

// TestForgetWhileGrantsGrow kills most of a ring while it still grows, so that its
// ranges count by fewer than it has members, by sets that are about to change, or by
// none of those who are left. Told that nobody else comes, these become whole.
func TestForgetWhileGrantsGrow(t *testing.T) {
	eachSeed(t, 60, func(t *testing.T, seed uint64) {
		opt := simOptions{seed: seed}
		if seed%3 == 0 {
			opt.late, opt.lateBy = 0.3, 400*time.Millisecond // a busy machine
		}
		net, hosts := ringOf(t, opt, 1)
		hosts[0].mustPut("\x01before", "f", "v")
		for range 4 + seed%4 {
			h := net.host()
			h.start()
			hosts = append(hosts, h)
			net.run(net.between(0, 500*time.Millisecond))
		}
		net.run(net.between(0, 1500*time.Millisecond))
		net.rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		left := 2 + net.rng.IntN(len(hosts)-4)
		for _, h := range hosts[left:] {
			h.crash(net.chance(0.5))
		}
		net.wait("gossip drops the dead", 10*time.Second, net.agreed)
		for _, h := range hosts[left:] {
			if r := hosts[0].do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeOK || r.Told != left || r.Of != left {
				net.fatalf("forget: %+v", r)
			}
		}
		net.settle(left)
		hosts[0].mustPut("\x01after", "f", "v")
	})
}

// TestForgottenMustBeAllWhoAreMissed leaves one that was never granted anything: what it
// says of the others' ranges waits until the last of those is forgotten, also over a
// restart.
func TestForgottenMustBeAllWhoAreMissed(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, old := ringOf(t, simOptions{seed: seed}, 5)
		old[0].mustPut("\x01k", "f", "v")
		last := net.startAll(1)[0]
		net.wait("it has joined", 10*time.Second, func() bool { return last.m.phase == member })
		for _, h := range old {
			h.crash(false)
		}
		net.wait("gossip drops the dead", 10*time.Second, net.agreed)
		for i, h := range old {
			if r := last.get("\x01never"); r.Code != CodeNotReady {
				net.fatalf("with %d of five forgotten: %s", i, showGet(r))
			}
			if missed := last.status().Missed; len(missed) != len(old) {
				net.fatalf("it misses %d of five", len(missed))
			}
			if i == 4 {
				last.crash(false)
				last.start()
				net.run(3 * stableAfter)
			}
			if r := last.do(Forget{ID: h.ref.ID}).(ForgetReply); r.Code != CodeOK || r.Told != 1 {
				net.fatalf("forget: %+v", r)
			}
		}
		net.settle(1)
		if r := last.get("\x01never"); r.Code != CodeNotFound {
			net.fatalf("all who are missed are forgotten: %s", showGet(r))
		}
		net.run(2 * forgetAfter)
		if st := last.status(); len(st.Missed) != 0 {
			net.fatalf("the ring goes on without them, and misses %v", st.Missed)
		}
	})
}
