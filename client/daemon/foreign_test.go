package daemon_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
)

// What only bears the same name is served beside it, and gives way to its like alone.
func TestAForeignTorrentIsServedBesideANamesake(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	h.Publish(a, h.File("ours/x", 100_000))
	ours := h.Add(b, api.AddDownload{Source: "x"})
	h.Until(b, ours.ID, "ours", daemontest.IsServed)

	theirs := h.File("theirs/x", 120_000)
	mux := http.NewServeMux()
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(filepath.Dir(theirs)))))
	mux.HandleFunc("/announce", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("d8:intervali1800e5:peers0:e"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	m, err := client.CreateMetainfo(t.Context(), client.MetainfoRequest{
		Paths: []string{theirs}, Tiers: [][]string{{server.URL + "/announce"}}, WebSeeds: []string{server.URL + "/files/x"}, Private: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	torrent := filepath.Join(h.Dir, "theirs.torrent")
	if err := client.ReplaceFile(torrent, m.Bytes); err != nil {
		t.Fatal(err)
	}
	fetched := h.Add(b, api.AddDownload{Source: torrent, Target: filepath.Join(h.Dir, "fetched")})
	fetched = h.Until(b, fetched.ID, "theirs", daemontest.IsServed)
	h.Same(theirs, fetched.Path)
	oursIsServed := func(when string) {
		t.Helper()
		if j := h.Must(b.Job(t.Context(), ours.ID)); !daemontest.IsServed(j) {
			t.Errorf("%s: ours is %+v", when, j)
		}
	}
	oursIsServed("with theirs")

	// The same torrent from elsewhere takes the place of the download.
	uploaded := h.Must(b.AddPublication(t.Context(), api.AddPublication{Path: theirs, Torrent: torrent}))
	uploaded = h.Until(b, uploaded.ID, "the upload", daemontest.IsServed)
	if uploaded.InfoHash != fetched.InfoHash {
		t.Errorf("%s is served, not %s", uploaded.InfoHash, fetched.InfoHash)
	}
	if j := h.Must(b.Job(t.Context(), fetched.ID)); j.State != api.Done || j.Serving {
		t.Errorf("the download after the upload: %+v", j)
	}
	oursIsServed("with the upload")

	// Also after a restart.
	h.Close(b)
	b = h.Daemon("b")
	h.Until(b, uploaded.ID, "the upload again", daemontest.IsServed)
	h.Until(b, ours.ID, "ours again", daemontest.IsServed)
}
