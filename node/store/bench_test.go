package store

import (
	"fmt"
	"strings"
	"testing"

	"chordtorrent/chord"
)

// BenchmarkWalk looks at every field of 10,000 keys, as a member does when it
// compares its range with a replica's.
func BenchmarkWalk(b *testing.B) {
	for _, size := range []int{40, 4 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db, err := Open(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			const keys = 10000
			value := strings.Repeat("v", size)
			stored := make(chan error, 1)
			for i := range keys {
				op := merge(chord.Key(fmt.Sprint(hardKind, i)), field("a", value, 1), field("b", value, 1))
				if i == keys-1 {
					op.Token = 1 // the last of all
				}
				db.Apply([]chord.StoreOp{op}, func(_ uint64, err error) { stored <- err })
			}
			if err := <-stored; err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				fields := 0
				err := db.Keys(chord.Hard, chord.ID{}, chord.ID{}, func(k chord.Key) bool {
					return db.Fields(k, "", "", func(chord.Field) bool { fields++; return true }) == nil
				})
				if err != nil || fields != 2*keys {
					b.Fatalf("%d fields, %v", fields, err)
				}
			}
		})
	}
}
