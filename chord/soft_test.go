package chord

import (
	"fmt"
	"testing"
	"time"
)

func (h *simHost) putSoft(key Key, name, value string, ttl time.Duration) PutReply {
	h.net.t.Helper()
	return h.do(Put{Key: key, Updates: []Update{{Name: name, Value: []byte(value), TTL: ttl}}}).(PutReply)
}

// TestSoftExpires sees a soft field until its time has come, then no more, and
// in the end nobody holds it.
func TestSoftExpires(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		for _, n := range []int{1, 2, 3, 6} {
			net, hosts := ringOf(t, simOptions{seed: seed}, n)
			if r := hosts[0].putSoft("\x81s", "short", "v", 10*time.Second); r.Code != CodeOK {
				net.fatalf("soft put in a ring of %d: %s", n, showPut(r))
			}
			hosts[0].putSoft("\x81s", "long", "v", 30*time.Second)
			if r := hosts[n-1].get("\x81s"); r.Code != CodeOK || len(r.Fields) != 2 {
				net.fatalf("soft get: %s", showGet(r))
			}
			net.run(5 * time.Second)
			hosts[n-1].putSoft("\x81s", "short", "again", 10*time.Second)
			net.run(7 * time.Second) // the first put has expired by now
			if r := hosts[0].get("\x81s"); r.Code != CodeOK || fmt.Sprint(pairs(r.Fields)) != "[long v short again]" {
				net.fatalf("refreshed: %s", showGet(r))
			}
			net.run(4 * time.Second)
			if r := hosts[0].get("\x81s"); r.Code != CodeOK || fmt.Sprint(pairs(r.Fields)) != "[long v]" {
				net.fatalf("one has expired: %s", showGet(r))
			}
			net.run(15 * time.Second)
			if r := hosts[0].get("\x81s"); len(r.Fields) != 0 {
				net.fatalf("all have expired: %s", showGet(r))
			}
			net.run(3 * time.Minute)
			for _, h := range hosts {
				if keys, bytes := h.disk.Count(Soft); keys != 0 || bytes != 0 {
					net.fatalf("%s still holds %d soft keys, %d bytes", h, keys, bytes)
				}
			}
		}
	})
}

// TestSoftStopped deletes a soft field: it does not come back.
func TestSoftStopped(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 2)}, 4)
	hosts[0].putSoft("\x81s", "a", "v", time.Minute)
	hosts[0].putSoft("\x81s", "b", "v", time.Minute)
	hosts[2].do(Put{Key: "\x81s", Updates: []Update{{Name: "a", Delete: true}}})
	for range 40 {
		if r := hosts[net.rng.IntN(4)].get("\x81s"); r.Code != CodeOK || fmt.Sprint(pairs(r.Fields)) != "[b v]" {
			net.fatalf("after the stop: %s", showGet(r))
		}
		net.run(time.Second)
	}
}

// TestSoftSurvivesDeath kills one of a ring and finds what the others were
// told, and new entries can be given at once or as soon as the death is seen.
func TestSoftSurvivesDeath(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		for i := range 20 {
			hosts[i%5].putSoft(Key(fmt.Sprint("\x81s", i)), "f", "v", 2*time.Minute)
		}
		hosts[4].crash(seed%2 == 0)
		net.settle(4)
		for i := range 20 {
			key := Key(fmt.Sprint("\x81s", i))
			if r := hosts[i%4].get(key); r.Code != CodeOK || len(r.Fields) != 1 {
				net.fatalf("soft get of %q after a death: %s", key, showGet(r))
			}
			if r := hosts[i%4].putSoft(key, "g", "w", time.Minute); r.Code != CodeOK {
				net.fatalf("soft put after a death: %s", showPut(r))
			}
		}
	})
}
