package chord

import (
	"fmt"
	"testing"
	"time"
)

// forgetful is a ring that purges tombstones after a minute.
func forgetful(c *Config) { c.TombstoneLife = time.Minute }

// tombstones counts what a host keeps of deleted fields.
func (h *simHost) tombstones() (n int) {
	_ = h.disk.Keys(Hard, ID{}, ID{}, func(k Key) bool {
		_ = h.disk.Fields(k, "", "", func(f Field) bool {
			if f.Deleted {
				n++
			}
			return true
		})
		return true
	})
	return n
}

// TestTombstonesGo deletes fields and waits: they are remembered for their
// time, and then by nobody; nothing that was not deleted goes with them.
func TestTombstonesGo(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed, member: forgetful}, 1+int(seed)%6)
		for i := range 10 {
			key := Key(fmt.Sprint("\x01key ", i))
			hosts[0].mustPut(key, "keep", "v")
			hosts[0].mustPut(key, "gone", "v")
			hosts[0].do(Put{Key: key, Updates: []Update{{Name: "gone", Delete: true}}})
		}
		net.run(50 * time.Second)
		for _, h := range hosts {
			if held, _ := h.disk.Count(Hard); h.tombstones() != held {
				net.fatalf("%s has %d tombstones of %d maps before their time is over", h, h.tombstones(), held)
			}
		}
		net.wait("the tombstones go", 45*time.Second, func() bool {
			for _, h := range hosts {
				if h.tombstones() > 0 {
					return false
				}
			}
			return true
		})
		net.run(15 * time.Second)
		net.settle(len(hosts))
		for i := range 10 {
			hosts[len(hosts)-1].mustGet(Key(fmt.Sprint("\x01key ", i)), "keep", "v")
		}
	})
}

// TestTooLongAway has a member miss a delete, and the purge of its tombstone
// as well: what it comes back with must not bring the field back, neither by
// itself nor after more members have come and gone. One that was away for less
// keeps what it has.
func TestTooLongAway(t *testing.T) {
	for _, away := range []time.Duration{20 * time.Second, 3 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			eachSeed(t, 6, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed, member: forgetful}, 6)
				hi := newHistory(net)
				for i := range 10 {
					hi.write(hosts[0], Key(fmt.Sprint("\x01key ", i)), "keep")
					hi.write(hosts[0], Key(fmt.Sprint("\x01key ", i)), "gone")
				}
				net.run(11 * time.Second)
				late := hosts[2]
				late.crash(false)
				net.settle(5)
				for i := range 10 {
					hi.remove(hosts[0], Key(fmt.Sprint("\x01key ", i)), "gone")
				}
				net.run(away)
				late.start()
				net.settle(6)
				if refilled := late.logged("refill"); refilled != (away > time.Minute) {
					net.fatalf("%s was away for %v and refilled: %v", late, away, refilled)
				}
				net.run(11 * time.Second)
				hi.verify(hosts...)
				hosts[4].crash(true)
				net.settle(5)
				net.run(11 * time.Second)
				hi.verify(net.ring()...)
			})
		})
	}
}

// TestAllTooLongAway stops the whole ring for longer than tombstones live:
// nobody has purged anything, and all is kept.
func TestAllTooLongAway(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed, member: forgetful}, 5)
		hi := newHistory(net)
		hi.traffic(2*time.Second, 20*time.Millisecond, 10)
		for _, h := range hosts {
			h.crash(false)
		}
		net.run(10 * time.Minute)
		for _, h := range hosts {
			h.start()
		}
		net.settle(5)
		net.run(11 * time.Second)
		hi.verify(hosts...)
		for _, h := range hosts {
			if h.logged("refill") {
				net.fatalf("%s gave up what it had", h)
			}
		}
	})
}
