package store_test

import (
	"log/slog"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/storetest"
	"chordtorrent/node/store"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (chord.Store, func(...chord.StoreOp)) {
		db, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db, func(ops ...chord.StoreOp) {
			t.Helper()
			outcomes := make(chan error, len(ops))
			db.Apply(ops, func(_ uint64, err error) { outcomes <- err })
			for range ops {
				select {
				case err := <-outcomes:
					if err != nil {
						t.Fatal(err)
					}
				case <-time.After(30 * time.Second):
					t.Fatal("an op was never confirmed")
				}
			}
		}
	})
}
