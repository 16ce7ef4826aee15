package client

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer/storage"
)

// A .torrent that names a web seed is enough: nobody else has to have the content.
func TestDownloadFromAWebSeed(t *testing.T) {
	w := newWorld(t)
	w.file("tree/a b", w.content(300_000))
	path := filepath.Dir(w.file("tree/c/d", w.content(70_000)))
	path = filepath.Dir(path)
	server := httptest.NewServer(http.StripPrefix("/pub/", http.FileServer(http.Dir(filepath.Dir(path)))))
	defer server.Close()
	m, err := CreateMetainfo(t.Context(), MetainfoRequest{Paths: []string{path}, WebSeeds: []string{server.URL + "/pub/"}})
	if err != nil {
		t.Fatal(err)
	}
	// By its file, when the ring does not know it, and by its name in the ring.
	check := func(source string) {
		t.Helper()
		d := w.download(w.client(newStorage(t)), source, "")
		w.same(path, d.Path)
		if from := d.Status().From; len(from) != 1 || from[0].Where() != server.URL+"/pub/" {
			t.Errorf("from %+v", from)
		}
		w.stop(d)
	}
	check(w.file("tree.torrent", string(m.Bytes)))
	v := communicator.Version{Name: "tree", InfoHash: m.InfoHash, Size: m.Layout.Total, Pieces: m.Layout.NumPieces(), Published: time.Now()}
	if _, err := w.communicator().Publish(t.Context(), v, m.Bytes); err != nil {
		t.Fatal(err)
	}
	check("tree")
}

// What the ring knows, and nobody there serves, comes from where a .torrent or link says.
func TestALinkOfTheRingKeepsItsOwnWays(t *testing.T) {
	w := newWorld(t)
	path := w.file("f", w.content(120_000))
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer server.Close()
	m, err := CreateMetainfo(t.Context(), MetainfoRequest{Paths: []string{path}, WebSeeds: []string{server.URL + "/"}})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := CreateMetainfo(t.Context(), MetainfoRequest{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	v := communicator.Version{Name: "f", InfoHash: m.InfoHash, Size: m.Layout.Total, Pieces: m.Layout.NumPieces(), Published: time.Now()}
	if _, err := w.communicator().Publish(t.Context(), v, bare.Bytes); err != nil {
		t.Fatal(err)
	}
	link := fmt.Sprintf("magnet:?xt=urn:btih:%x&ws=%s", m.InfoHash, url.QueryEscape(server.URL+"/"))
	for _, source := range []string{w.file("f.torrent", string(m.Bytes)+"\r\n"), link} {
		d := w.download(w.client(newStorage(t)), source, "")
		if d.Foreign {
			t.Errorf("%s: the ring knows it", source)
		}
		w.same(path, d.Path)
		w.stop(d)
	}
}

func TestWhereTheDataOfATorrentIs(t *testing.T) {
	w := newWorld(t)
	w.file("x/x/f", "one")
	w.file("x/f", "one")
	one := w.file("only", "one")
	at := func(made, said string) string {
		t.Helper()
		m, err := CreateMetainfo(t.Context(), MetainfoRequest{Paths: []string{filepath.Join(w.dir, "src", made)}})
		if err != nil {
			t.Fatal(err)
		}
		where, wrong, err := m.Compare(t.Context(), filepath.Join(w.dir, "src", said), nil)
		if err != nil {
			t.Errorf("%s at %s: %v %v", made, said, wrong, err)
		}
		where, err = filepath.Rel(filepath.Join(w.dir, "src"), where)
		if err != nil {
			t.Fatal(err)
		}
		return where
	}
	for _, c := range []struct{ made, said, want string }{
		{"only", "only", "only"}, {"only", ".", "only"}, {"x", "x", "x"}, {"x", ".", "x"}, {"x/x", "x/x", "x/x"},
	} {
		if got := at(c.made, c.said); got != c.want {
			t.Errorf("%s at %s is %s", c.made, c.said, got)
		}
	}
	m, err := CreateMetainfo(t.Context(), MetainfoRequest{Paths: []string{one}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Compare(t.Context(), one+".not", nil); !errors.Is(err, communicator.ErrNotFound) {
		t.Error(err)
	}
	if _, wrong, err := m.Compare(t.Context(), filepath.Join(w.dir, "src", "x"), nil); !errors.Is(err, ErrMismatch) || len(wrong) != 1 {
		t.Errorf("%v %v", wrong, err)
	}
}

func TestMetainfoThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.torrent")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(10*storage.MaxTorrent), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMetainfo(path); !errors.Is(err, storage.ErrBadTorrent) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := ReadMetainfo(path + ".not"); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

func TestTheSameContentGivesTheSameMetainfo(t *testing.T) {
	w := newWorld(t)
	req := MetainfoRequest{Paths: []string{w.file("f", "one")}, Tiers: [][]string{{"http://t/"}}, Private: true, Comment: "x"}
	a, err := CreateMetainfo(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := CreateMetainfo(t.Context(), req)
	if err != nil || !bytes.Equal(a.Bytes, b.Bytes) || !a.Layout.Private || a.Odd != nil {
		t.Errorf("%q %q %v", a.Bytes, b.Bytes, err)
	}
}
