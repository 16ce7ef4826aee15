package web_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
	"chordtorrent/client/web"
)

func TestReadingWhileItArrives(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	const size = 8 << 20
	path := h.File("film.mp4", size)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.Publish(a.d, path)
	// So slow that all of it would take minutes.
	j := h.Add(b.d, api.AddDownload{Source: "film.mp4", LimitDown: 64 << 10})
	h.Until(b.d, j.ID, "the beginning", func(j api.Job) bool { return j.Stage == "downloading" })
	resp, body := b.do("GET", "/content/"+j.ID, "", "Range", "bytes=-20000")
	if resp.StatusCode != http.StatusPartialContent || body != string(want[size-20000:]) {
		t.Fatalf("the end of what is arriving: %s, %d bytes", resp.Status, len(body))
	}
	if got := h.Must(b.d.Job(t.Context(), j.ID)); got.State != api.Running || got.Done > size/4 {
		t.Errorf("when the end had been read: %+v", got)
	}
	if kind := resp.Header.Get("Content-Type"); kind != "video/mp4" {
		t.Errorf("served as %s", kind)
	}
	// A reader that is in the middle when it is paused hears of it.
	req, err := http.NewRequestWithContext(t.Context(), "GET", b.url+"/content/"+j.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	rest, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Body.Close()
	in := bufio.NewReader(rest.Body)
	if _, err := in.ReadByte(); err != nil {
		t.Fatal(err)
	}
	h.Must(b.d.Pause(t.Context(), j.ID))
	if n, err := io.Copy(io.Discard, in); err == nil {
		t.Errorf("a paused download was read to its end: %d bytes", n)
	}
	none := int64(0)
	h.Must(b.d.Change(t.Context(), j.ID, api.Change{LimitDown: &none}))
	h.Must(b.d.Resume(t.Context(), j.ID))
	h.Until(b.d, j.ID, "the whole", daemontest.IsServed)
	if _, body := b.do("GET", "/content/"+j.ID, "", "Range", "bytes=100-199"); body != string(want[100:200]) {
		t.Errorf("a range of what is complete: %d bytes", len(body))
	}
}

func TestWhatIsServedIsHarmless(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	secret := h.File("secret", 10)
	dir := filepath.Join(h.Dir, "tree")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"page.html": "<script>alert(1)</script>", "pic.svg": "<svg onload='alert(1)'/>", "a b.txt": "text", "film.mp4": "<script>alert(1)</script>"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j := h.Publish(s.d, dir)
	for path, want := range map[string]struct {
		kind   string
		saved  bool
		status int
	}{
		"/film.mp4":         {"video/mp4", false, 200},
		"/page.html":        {"text/plain; charset=utf-8", false, 200},
		"/pic.svg":          {"application/octet-stream", true, 200},
		"/a%20b.txt":        {"text/plain; charset=utf-8", false, 200},
		"/a%20b.txt?save=1": {"text/plain; charset=utf-8", true, 200},
		"/none":             {"", false, 404},
		"/..%2fsecret":      {"", false, 400},
		"/%2e%2e/secret":    {"", false, 0},
		"/link":             {"", false, 404},
		"/page.html%00.mp4": {"", false, 404},
	} {
		if path == "/link" { // made after it was published, and leading out
			if err := os.Symlink(secret, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
		resp, body := s.do("GET", "/content/"+j.ID+path, "")
		if want.status == 0 {
			if resp.StatusCode == 200 {
				t.Errorf("%s: %s", path, body)
			}
			continue
		}
		if resp.StatusCode != want.status {
			t.Errorf("%s: %s", path, resp.Status)
			continue
		}
		if want.status != 200 {
			continue
		}
		if got := resp.Header.Get("Content-Type"); got != want.kind {
			t.Errorf("%s is served as %s", path, got)
		}
		if saved := strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment"); saved != want.saved {
			t.Errorf("%s is to be saved: %v", path, saved)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script") || strings.Contains(policy, "sandbox") == (want.kind == "video/mp4") {
			t.Errorf("%s: %s", path, policy)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	if _, body := s.do("GET", "/content/"+j.ID, ""); !strings.Contains(body, "a%20b.txt") {
		t.Errorf("the list of files: %s", body)
	}
}

// A browser titles and saves what it opens by its name, whatever is in that.
func TestWhatIsOpenedHasItsName(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	for name, want := range map[string]string{
		"paper 1.pdf":  `inline; filename="paper 1.pdf"; filename*=UTF-8''paper%201.pdf`,
		"Ü\"; x=y.txt": `inline; filename="__; x=y.txt"; filename*=UTF-8''%C3%9C%22%3B%20x%3Dy.txt`,
		"it's*.pdf":    `inline; filename="it's*.pdf"; filename*=UTF-8''it%27s%2A.pdf`,
		"disk.img":     `attachment; filename="disk.img"; filename*=UTF-8''disk.img`,
	} {
		j := h.Publish(s.d, h.File(name, 100))
		if resp, _ := s.do("GET", "/content/"+j.ID, ""); resp.Header.Get("Content-Disposition") != want {
			t.Errorf("%q: %s, want %s", name, resp.Header.Get("Content-Disposition"), want)
		}
	}
}

// A daemon is a web seed of what it has, each version at its own place.
func TestSeed(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", func(c *web.Config) { c.NeedToken = true })
	dir := filepath.Dir(h.File("tree/sub/file 1", 50000))
	h.Publish(a.d, filepath.Dir(dir))
	one := h.Publish(a.d, h.File("disk", 3<<20))
	want, err := os.ReadFile(one.Path)
	if err != nil {
		t.Fatal(err)
	}
	var held []api.File
	a.ask("GET", "/held", nil, &held)
	if len(held) != 2 || held[0].Name != "disk" || held[0].InfoHash != one.InfoHash || held[0].Size != 3<<20 || held[1].Name != "tree" {
		t.Fatalf("held: %+v", held)
	}
	answer, metainfo := a.do("GET", "/api/v1/files/disk/torrent?here", "")
	if !strings.Contains(metainfo, "4:name4:disk") {
		t.Errorf("the .torrent: %.100q", metainfo)
	}
	if resp, body := a.do("GET", "/api/v1/files/disk/torrent?here", "", "If-None-Match", answer.Header.Get("ETag")); resp.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("the same once more: %s %.100q", resp.Status, body)
	}
	for path, status := range map[string]int{
		"/seed/" + one.InfoHash + "/disk":                  206,
		"/seed/" + held[1].InfoHash + "/tree/sub/file%201": 206,
		"/seed/" + held[1].InfoHash + "/tree/none":         404,
		"/seed/" + held[1].InfoHash + "/tree/..%2f..":      400,
		"/seed/" + strings.Repeat("0", 40) + "/disk":       404,
	} {
		if resp, body := a.do("GET", path, "", "Range", "bytes=10-19"); resp.StatusCode != status || status == 206 && len(body) != 10 {
			t.Errorf("%s: %s, %d bytes", path, resp.Status, len(body))
		}
	}
	for path, status := range map[string]int{"none": 404, "..%2ftorrents%2fdisk": 400} {
		if resp, _ := a.do("GET", "/api/v1/files/"+path+"/torrent?here", ""); resp.StatusCode != status {
			t.Errorf("the .torrent of %s: %s", path, resp.Status)
		}
	}

	// While it is coming in it can be read, with the token alone; afterwards the next version
	// has another place.
	j := h.Add(b.d, api.AddDownload{Source: "disk", LimitDown: 64 << 10})
	h.Until(b.d, j.ID, "the beginning", func(j api.Job) bool { return j.Stage == "downloading" })
	at := "/seed/" + one.InfoHash + "/disk"
	if resp, _ := b.do("GET", at, "", "Range", "bytes=-20000"); resp.StatusCode != 401 {
		t.Errorf("without a token: %s", resp.Status)
	}
	basic := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+token)), "Range", "bytes=-20000"}
	if resp, body := b.do("GET", at, "", basic...); resp.StatusCode != 206 || body != string(want[len(want)-20000:]) {
		t.Errorf("while it is coming in: %s, %d bytes", resp.Status, len(body))
	}
	if resp, _ := b.do("GET", "/api/v1/held", "", basic...); resp.StatusCode != 200 {
		t.Errorf("what is held: %s", resp.Status)
	}
	if err := os.WriteFile(one.Path, want[:2<<20], 0o644); err != nil {
		t.Fatal(err)
	}
	two := h.Publish(a.d, one.Path)
	if resp, _ := a.do("GET", at, ""); resp.StatusCode != 404 {
		t.Errorf("the version before: %s", resp.Status)
	}
	if resp, body := a.do("GET", "/seed/"+two.InfoHash+"/disk", ""); resp.StatusCode != 200 || body != string(want[:2<<20]) {
		t.Errorf("the version after: %s, %d bytes", resp.Status, len(body))
	}
}
