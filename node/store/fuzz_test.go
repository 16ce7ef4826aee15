package store

import (
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/chord"
)

// FuzzRow reads rows of any content: what has the right checksum reads back as
// it is, the rest is damage.
func FuzzRow(f *testing.F) {
	key := rowKey(chord.HashKey("\x01k"), "name")
	f.Add(key, appendRow(nil, key, chord.Entry{Value: []byte("value"), Stamp: 5, Expires: 7}))
	f.Add(key, appendRow(nil, key, chord.Entry{Stamp: 5, Deleted: true}))
	f.Add(key, []byte{1, 2, 3})
	state, err := encodeState(chord.State{Ring: 3, Arcs: []chord.Arc{{Epoch: 4}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stateRow, state)
	f.Fuzz(func(t *testing.T, key, row []byte) {
		if e, ok := parseRow(key, row); ok {
			again, ok := parseRow(key, appendRow(nil, key, e))
			if !ok || string(again.Value) != string(e.Value) || again.Stamp != e.Stamp || again.Expires != e.Expires || again.Deleted != e.Deleted {
				t.Errorf("%+v reads back as %+v", e, again)
			}
		}
		if st, ok := decodeState(row); ok {
			if _, err := encodeState(st); err != nil {
				t.Errorf("a state that was read cannot be written: %v", err)
			}
		}
	})
}

// FuzzDatabaseFile checks files of any content before they are opened: never a
// panic, and what the check passes opens.
func FuzzDatabaseFile(f *testing.F) {
	dir := f.TempDir()
	db, err := Open(dir, nil)
	if err != nil {
		f.Fatal(err)
	}

	db.Apply([]chord.StoreOp{merge(hardKind+"k", field("name", "value", 1))}, func(uint64, error) {})
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(db.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, byte(0), len(whole))
	f.Add(16, byte(255), len(whole))
	f.Add(70, byte(1), len(whole)/2)
	path := filepath.Join(dir, "fuzzed")
	f.Fuzz(func(t *testing.T, at int, bits byte, size int) {
		b := append([]byte(nil), whole[:min(max(size, 0), len(whole))]...)
		for i := at; i >= 0 && i < len(b) && i < at+8; i++ {
			b[i] ^= bits
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = checkFile(path) // an error is as good as none; a panic is not
	})
}
