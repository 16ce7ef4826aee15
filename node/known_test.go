package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/node/store"
)

func TestKnownMembersAreWrittenDownAndBounded(t *testing.T) {
	dir, err := store.LockDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	log := slog.New(slog.DiscardHandler)
	self := chord.ID{9}
	ref := func(i int, addr string) chord.Ref {
		return chord.Ref{ID: chord.ID{1, byte(i), byte(i >> 8)}, Addr: addr}
	}

	k := loadKnown(dir, self, log)
	for i := range 2 * maxKnown {
		k.add(ref(i, "old:1"))
	}
	last := ref(2*maxKnown-1, "new:2")
	if !k.add(last) || k.add(last) || k.add(chord.Ref{ID: self, Addr: "self:1"}) {
		t.Error("add does not tell what is new")
	}
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	again := loadKnown(dir, self, log)
	if got := again.list(); len(got) != maxKnown || !slices.Equal(got, k.list()) || got[maxKnown-1] != last {
		t.Errorf("%d members were read", len(got))
	}
	path := filepath.Join(dir.Path, knownFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := again.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it was written though nothing had changed: %v", err)
	}
	for _, bad := range []string{"{", `[{"id":"x","addr":"a:1"},{"id":"` + self.String() + `","addr":"a:1"},{"addr":""}]`, ""} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := loadKnown(dir, self, log).list(); len(got) != 0 {
			t.Errorf("%q: read %v", bad, got)
		}
	}
}

// spoil makes a stopped node's database unreadable.
func spoil(t *testing.T, cfg Config) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "ring.db"), []byte(strings.Repeat("noise", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAMemberThatLostItsDatabaseDoesNotSayThatNothingWasStored(t *testing.T) {
	cfg := testConfig(t, testCluster())
	n := start(t, cfg)
	put(t, n, "\x01key", "f", "v")
	n.kill()
	for _, lose := range []func(){
		func() { spoil(t, cfg) },
		func() {
			if err := os.Remove(filepath.Join(cfg.DataDir, "ring.db")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		lose()
		n = start(t, cfg)
		if r := call[chord.GetReply](t, n, chord.Get{Key: "\x01key"}); r.Code == chord.CodeNotFound || r.Code == chord.CodeOK {
			t.Errorf("a member alone without its database answers %+v", r)
		}
		n.kill()
	}
}

func TestAMemberThatLostItsDatabaseFindsItsRingAgain(t *testing.T) {
	cfgs, nodes := ring(t, 3)
	put(t, nodes[0], "\x01key", "f", "v")
	lost := cfgs[2]
	lost.Join = ""
	eventually(t, "the others are written down", func() bool {
		js, err := os.ReadFile(filepath.Join(lost.DataDir, knownFile))
		return err == nil && strings.Contains(string(js), nodes[0].Ref().Addr) && strings.Contains(string(js), nodes[1].Ref().Addr)
	})
	nodes[2].kill()
	spoil(t, lost)
	back := start(t, lost)
	whole(t, nodes[0], nodes[1], back)
	wantValue(t, back, "\x01key", "f", "v")
}

// While somebody is missing who may be back, the joiner looks often; not so for
// one that another has replaced, nor for ever.
func TestTheLostAreLookedForOftenAtFirst(t *testing.T) {
	self, gone := chord.Ref{ID: chord.ID{1}, Addr: "10.0.0.1:1"}, chord.Ref{ID: chord.ID{2}, Addr: "10.0.0.2:1"}
	view := []presence{{ID: self.ID, Addr: self.Addr}}
	j := newJoiner(self, discovery.JoinList{}, newKnown(gone), nil, func() []presence { return view }, slog.New(slog.DiscardHandler))
	now := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		name  string
		after time.Duration
		view  []presence
		want  time.Duration
	}{
		{"lost", 0, view, rejoinSoon},
		{"for long", notLong, view, rejoinEvery},
		{"back", 0, append(view[:1:1], presence{ID: gone.ID, Addr: gone.Addr}), rejoinEvery},
		{"lost again", 0, view, rejoinSoon},
		{"replaced", 0, append(view[:1:1], presence{ID: chord.ID{3}, Addr: gone.Addr}), rejoinEvery},
	} {
		now, view = now.Add(step.after), step.view
		if got := j.pause(now); got != step.want {
			t.Errorf("%s: a pause of %v, want %v", step.name, got, step.want)
		}
	}
}
