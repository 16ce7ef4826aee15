package store

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"chordtorrent/chord"
)

// TestPackedFieldsAreThoseOfAMap plays a random life of a map: names that share nothing or
// much, values of none to many bytes.
func TestPackedFieldsAreThoseOfAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 30 {
		m, want := &softMap{}, map[string]chord.Entry{}
		shared := strings.Repeat("p", r.IntN(30))
		for step := range 1500 {
			name := fmt.Sprint(shared, r.IntN(400))
			if r.IntN(100) == 0 {
				name = name[:r.IntN(len(name))+1]
			}
			if r.IntN(3) == 0 {
				m.remove(name)
				delete(want, name)
			} else {
				e := chord.Entry{Value: bytes.Repeat([]byte{byte(step)}, r.IntN(4)*r.IntN(20)), Stamp: chord.Stamp(r.Uint64()), Expires: r.Int64N(3) * r.Int64N(1<<48), Deleted: r.IntN(5) == 0}
				if r.IntN(200) == 0 {
					e.Value = make([]byte, 5000)
				}
				m.put(name, e)
				want[name] = e
			}
			if got, ok := m.get(name); ok != (len(want) > 0 && contains(want, name)) || (ok && !sameEntry(got, want[name])) {
				t.Fatalf("round %d, step %d: %q is %+v, %v", round, step, name, got, ok)
			}
		}
		names := slices.Sorted(maps.Keys(want))
		got := m.batch("", "", 1<<30)
		if len(got) != len(names) {
			t.Fatalf("round %d: %d fields, want %d", round, len(got), len(names))
		}
		for i, f := range got {
			if f.Name != names[i] || !sameEntry(f.Entry, want[f.Name]) {
				t.Fatalf("round %d: field %d is %q %+v, want %q %+v", round, i, f.Name, f.Entry, names[i], want[names[i]])
			}
		}
		for _, b := range m.blocks {
			if first := unpack(b); len(b) > blockBytes && first.size != len(b) && first.size < 5000 && len(b) > 5000+2*blockBytes {
				t.Fatalf("round %d: a block of %d bytes", round, len(b))
			}
		}
	}
}

func contains(m map[string]chord.Entry, name string) bool {
	_, ok := m[name]
	return ok
}

func sameEntry(a, b chord.Entry) bool {
	return a.Stamp == b.Stamp && a.Expires == b.Expires && a.Deleted == b.Deleted && bytes.Equal(a.Value, b.Value)
}

// BenchmarkSoftPeers tells what a peer of an ordinary client costs a ring member.
func BenchmarkSoftPeers(b *testing.B) {
	for _, per := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint("of ", per), func(b *testing.B) {
			const peers = 200_000
			r := rand.New(rand.NewPCG(5, 6))
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				s := newSoftMaps()
				id := make([]byte, 40)
				for i := range peers {
					swarm := r.IntN(peers / per)
					copy(id, fmt.Sprintf("%020d-TR4060-", swarm))
					for k := 28; k < 40; k++ {
						id[k] = byte(r.Uint32())
					}
					key := chord.Key(fmt.Sprintf("\x82%040x", swarm))
					s.apply(chord.StoreOp{Kind: chord.StoreMerge, Key: key, Merge: []chord.Field{{Name: string(id), Entry: chord.Entry{
						Value: id[20:36], Stamp: chord.Stamp(1<<50 + i), Expires: 1<<34 + 60_000}}}})
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/peers, "B/peer")
				runtime.KeepAlive(s)
			}
		})
	}
}
