package sim

import (
	"testing"
	"time"
)

// BenchmarkWorld is a minute of a ring that gossip does not describe.
func BenchmarkWorld(b *testing.B) {
	for b.Loop() {
		if _, err := Run(Config{Members: 4000, Seed: 1, HalfLife: time.Hour, Duration: 40 * time.Second}); err != nil {
			b.Fatal(err)
		}
	}
}
