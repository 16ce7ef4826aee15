package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/node/store"
)

// FuzzIdentity reads identities of any content: an error names the file, and
// what is taken has a place and this cluster's name.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"id":"` + chord.ID{7}.String() + `","cluster":"c","epoch":3}`))
	f.Add([]byte(`{"format":9}`))
	f.Add([]byte(`[`))
	dir := fuzzDir(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir.Path, identityFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		switch ident, err := loadIdentity(dir, "c", time.Now()); {
		case err != nil && !strings.Contains(err.Error(), dir.Path):
			t.Errorf("%v does not name %s", err, dir.Path)
		case err == nil && (ident.Cluster != "c" || ident.Format != identityVersion || !ident.returned):
			t.Errorf("taken: %+v", ident)
		}
	})
}

// FuzzKnown reads lists of known members of any content: at worst it begins anew.
func FuzzKnown(f *testing.F) {
	f.Add([]byte(`[{"id":"` + chord.ID{7}.String() + `","addr":"10.0.0.1:8000"}]`))
	f.Add([]byte(`[{"id":"zz","addr":""}]`))
	f.Add([]byte(`{}`))
	dir := fuzzDir(f)
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir.Path, knownFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, ref := range loadKnown(dir, chord.ID{1}, log).list() {
			if ref.ID == (chord.ID{}) || ref.Addr == "" {
				t.Errorf("a member %+v", ref)
			}
		}
	})
}

func fuzzDir(f *testing.F) *store.Dir {
	dir, err := store.LockDir(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = dir.Close() })
	return dir
}
