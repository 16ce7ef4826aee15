package chord

import (
	"fmt"
	"testing"
	"time"
)

// keyOf is a key that the host owns.
func keyOf(h *simHost) Key {
	for i := 0; ; i++ {
		if key := Key(fmt.Sprint("\x01of ", i)); h.m.owns(HashKey(key)) {
			return key
		}
	}
}

// TestARoundThatBeganBeforeAnotherOwnedTheRangeCompletesNothing has a member come and
// go between an owner and its predecessor while the owner is comparing its range: what
// it has heard by then may be from before the other acknowledged a write.
func TestARoundThatBeganBeforeAnotherOwnedTheRangeCompletesNothing(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 6)
	x := hosts[2]
	began := func() bool { return x.m.repair.round != nil && x.m.repair.round.waiting > 0 }
	x.call(x.boot, func(m *Member, _ Time) { m.unfilled() })
	net.wait("a round begins", 5*time.Second, began)
	rd := x.m.repair.round
	x.call(x.boot, func(m *Member, _ Time) {
		pred, _ := m.inView(m.pred.ID)
		m.adoptPredecessor(Ref{ID: next(pred.ID), Addr: "10.9.9.9:1"})
		m.adoptPredecessor(pred)
	})
	net.wait("the round ends", 10*time.Second, func() bool { return x.m.repair.round != rd })
	if x.m.repair.complete {
		t.Error("the range is complete by a round that began before it had another owner")
	}
	net.settle(6)
}

// TestAWriteThatMayHaveArrivedIsNotPassedOnAtOnce has the connection to an owner end
// after a write was passed to it. It may live and stamp the write yet: the next try
// comes when it no longer may. A write that never left is tried again at once.
func TestAWriteThatMayHaveArrivedIsNotPassedOnAtOnce(t *testing.T) {
	for _, sent := range []bool{true, false} {
		net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 6)
		from, key := hosts[0], keyOf(hosts[3])
		var tries []Time
		net.watch = func(env Envelope) {
			if _, ok := env.Body.(ForwardPut); !ok || env.Reply || env.From != from.ref {
				return
			}
			tries = append(tries, net.now)
			if len(tries) == 1 {
				to := net.hostOf(env.To)
				if sent {
					net.cutOneWay(to, from) // the answer is lost
				} else {
					net.cutOneWay(from, to)
				}
				net.in(5*time.Millisecond, func() {
					from.call(from.boot, func(m *Member, now Time) { m.Unreachable(now, env.To, env.Seq, sent) })
				})
				net.in(time.Second, net.heal)
			}
		}
		from.begin(Put{Key: key, Updates: []Update{{Name: "a", Value: []byte("1")}}}, nil)
		net.wait("it is tried again", 11*time.Second, func() bool { return len(tries) > 1 })
		switch after := tries[1].Sub(tries[0]); {
		case sent && after < stampWithin:
			t.Errorf("passed on again after %v, and the first owner has %v to stamp it", after, stampWithin)
		case !sent && after >= time.Second:
			t.Errorf("never delivered, and passed on again only after %v", after)
		}
	}
}

// TestAReadWhoseAnswerIsLostIsAskedAgain loses the first question on its way, and
// nothing says so: the client has its answer within the two seconds it gives it.
func TestAReadWhoseAnswerIsLostIsAskedAgain(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 6)
	from, key := hosts[0], keyOf(hosts[3])
	from.mustPut(key, "a", "1")
	asked := 0
	net.watch = func(env Envelope) {
		if _, ok := env.Body.(ForwardGet); !ok || env.Reply {
			return
		}
		if asked++; asked == 1 {
			net.cutOneWay(from, net.hostOf(env.To))
			net.in(2*time.Millisecond, net.heal)
		}
	}
	o := from.begin(Get{Key: key}, nil)
	net.wait("the read ends", 2*time.Second, o.done)
	if r := o.reply.(GetReply); r.Code != CodeOK || r.Unconfirmed || asked != 2 {
		t.Errorf("asked %d times: %s", asked, showGet(r))
	}
}

// TestAWriteOverADamagedFieldIsStampedAboveIt has an owner's disk lose a field whose
// stamp stands above its clock. Who writes the field next asks the others for that
// stamp: a lower one would be read, where one copy is enough, before what it follows.
func TestAWriteOverADamagedFieldIsStampedAboveIt(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7} {
		net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, n)
		x := hosts[n/2]
		key, high := keyOf(x), stampAt(net.now.Add(20*time.Second).Millis())
		for _, h := range hosts {
			h.disk.Apply(StoreOp{Kind: StoreMerge, Key: key, Merge: []Field{{Name: "f", Entry: Entry{Value: []byte("old"), Stamp: high}}}})
		}
		x.damage(key, "f")
		net.watch = func(env Envelope) {
			if w, ok := env.Body.(MergeFields); ok && env.From == x.ref && w.Fields[0].Name == "f" && w.Fields[0].Stamp <= high && string(w.Fields[0].Value) == "new" {
				t.Errorf("ring of %d: stamped %v, not above %v", n, w.Fields[0].Stamp, high)
			}
		}
		x.mustPut(key, "f", "new") // alone too, where nobody knows
	}
}
