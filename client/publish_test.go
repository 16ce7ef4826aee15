package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestAnUnchangedFileIsNotHashedAgain(t *testing.T) {
	w := newWorld(t)
	path := w.file("again", w.content(100_000))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	c := w.client(newStorage(t))
	hashed := 0
	publish := func() *Publication {
		t.Helper()
		hashed = 0
		p, err := c.Publish(t.Context(), PublishRequest{Path: path, OnProgress: func(s Stage, done, total int64) {
			if s == Hashing && done > 0 {
				hashed++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.stop(p)
		return p
	}
	first := publish()
	if hashed == 0 {
		t.Error("published without hashing")
	}
	if second := publish(); hashed != 0 || second.InfoHash != first.InfoHash || second.Bytes != first.Bytes {
		t.Errorf("hashed again (%d), %s", hashed, show(second))
	}
	write(t, path, w.content(100_001))
	if third := publish(); hashed == 0 || third.InfoHash == first.InfoHash {
		t.Error("a changed file was not hashed")
	}
}

func TestAChangedFileIsServedNoLonger(t *testing.T) {
	w := newWorld(t)
	path := w.file("living", w.content(300_000))
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	write(t, path, "now something else entirely")
	d := w.start(w.client(newStorage(t)), "living", "")
	select {
	case <-p.Failed():
	case <-time.After(60 * time.Second):
		t.Fatal("still served")
	}
	if p.ServeErr() == nil || !strings.Contains(p.ServeErr().Error(), "living") {
		t.Errorf("%v", p.ServeErr())
	}
	if d.Status().BytesDone != 0 {
		t.Error("wrong data arrived")
	}
}

func TestPublishACopy(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	path := w.file("orig", w.content(150_000))
	p, err := c.Publish(t.Context(), PublishRequest{Path: path, Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Path != filepath.Join(s.FilesDir(), "orig") {
		t.Errorf("serves %s", p.Path)
	}
	want := w.content(150_000)
	write(t, path, "changed meanwhile")
	d := w.download(w.client(newStorage(t)), "orig", "")
	if got := tree(t, d.Path)["."]; got != want {
		t.Error("the copy was not served")
	}
	w.stop(p)
	// A new version replaces the copy.
	p = w.publish(c, PublishRequest{Path: path, Copy: true})
	w.same(path, p.Path)
	w.nothingLeft(s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, path, "a third version")
	if _, err := c.copyToStorage(ctx, path, "orig", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.nothingLeft(s)
}

func TestACopyNeverReplacesSomethingElse(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	mine := write(t, filepath.Join(s.FilesDir(), "taken"), "a download, say")
	_, err := w.client(s).Publish(t.Context(), PublishRequest{Path: w.file("taken", "x"), Copy: true})
	if !errors.Is(err, ErrTargetExists) || !strings.Contains(err.Error(), mine) {
		t.Errorf("%v", err)
	}
}

func TestPublishSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	c := w.client(newStorage(t))
	path := w.file("fine", "x")
	for _, req := range []PublishRequest{{Path: path, Name: "a/b"}, {Path: path, Name: ".."}, {Path: path, Name: "line\nbreak"}, {Path: "/"}} {
		if err := CheckPublish(req); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", req, err)
		}
		if _, err := c.Publish(t.Context(), req); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", req, err)
		}
	}
	if _, err := c.Publish(t.Context(), PublishRequest{Path: filepath.Join(w.dir, "none")}); err == nil {
		t.Error("a missing file was published")
	}
}

// degradeTorrents has the ring not acknowledge the next n writes of torrents.
func (w *world) degradeTorrents(n int32) {
	var left atomic.Int32
	left.Store(n)
	w.ring.Intercept(func(_ int, op any) *ringtest.Fault {
		if put, ok := op.(chord.Put); ok && put.Key[0] == 1 && left.Add(-1) >= 0 {
			return &ringtest.Fault{Code: chord.CodeDegraded, Applied: true}
		}
		return nil
	})
}

func TestPublishingOutlastsADegradedMoment(t *testing.T) {
	w := newWorld(t)
	w.degradeTorrents(1)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("moment", "x")})
	if p.Copies != 3 {
		t.Errorf("%d copies", p.Copies)
	}
}

func TestADegradedPublishIsAnError(t *testing.T) {
	w := newWorld(t)
	w.degradeTorrents(100)
	s := newStorage(t)
	_, err := w.client(s).Publish(t.Context(), PublishRequest{Path: w.file("weak", "x")})
	var degraded *communicator.Degraded
	if !errors.As(err, &degraded) {
		t.Errorf("%v", err)
	}
	if r, known, err := s.Record(Published, "weak", ""); err != nil || !known || r.State != Failed || r.Error == "" {
		t.Errorf("remembered as %s, %v", show(r), err)
	}
	// What failed holds nothing: the name can be tried again.
	w.ring.Intercept(nil)
	w.publish(w.client(s), PublishRequest{Path: filepath.Join(w.dir, "src", "weak")})
}

func TestUnpublishShowAndList(t *testing.T) {
	w := newWorld(t)
	c := w.client(newStorage(t))
	p := w.publish(c, PublishRequest{Path: w.file("listed", w.content(70_000))})
	w.publish(c, PublishRequest{Path: w.file("another", "x")})
	shown, err := c.Show(t.Context(), "listed")
	if err != nil || len(shown.Versions) != 1 || shown.Versions[0].InfoHash != p.InfoHash || shown.Swarm.Seeders != 1 ||
		len(shown.Swarm.Peers) != 1 || shown.Swarm.Peers[0].Addr.Port() != c.Port() || shown.Swarm.Peers[0].ClientID != c.id.Load() {
		t.Errorf("%s, %v", show(shown), err)
	}
	files, err := c.ring.Files(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = ListSwarms(t.Context(), c.ring, files, func(l Listed) error {
		lines = append(lines, l.Name)
		if l.Seeders != 1 || l.Leechers != 0 {
			t.Errorf("%s", show(l))
		}
		return nil
	})
	if err != nil || strings.Join(lines, " ") != "another listed" {
		t.Errorf("%v, %v", lines, err)
	}
	enough := errors.New("enough")
	if err := ListSwarms(t.Context(), c.ring, files, func(Listed) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	if _, b, err := c.Torrent(t.Context(), "listed"); err != nil || len(b) == 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := c.Unpublish(t.Context(), "listed"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Show(t.Context(), "listed"); !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := c.Unpublish(t.Context(), "listed"); !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	path := w.file("checked", w.content(90_000))
	p := w.publish(c, PublishRequest{Path: path})
	v, err := s.Verify(t.Context(), "checked", nil)
	if err != nil || v.Good != p.Pieces || v.InfoHash != p.InfoHash || v.Path != path {
		t.Errorf("%s, %v", show(v), err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("!"), 10); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if v, err := s.Verify(t.Context(), "checked", nil); !errors.Is(err, ErrMismatch) || v.Good != p.Pieces-1 {
		t.Errorf("%s, %v", show(v), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checked", "unknown"} {
		if _, err := s.Verify(t.Context(), name, nil); !errors.Is(err, communicator.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHook(t *testing.T) {
	d := Completed{Name: "n", Path: "/p q", InfoHash: strings.Repeat("01", 20)}
	var out strings.Builder
	if err := RunHook(t.Context(), `printf '%s|%s|%s' "$BT_NAME" "$BT_PATH" "$BT_INFO_HASH"`, d, &out); err != nil {
		t.Fatal(err)
	}
	if want := "n|/p q|" + d.InfoHash; out.String() != want {
		t.Errorf("%q", out.String())
	}
	if err := RunHook(t.Context(), "exit 3", d, &out); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("%v", err)
	}
}
