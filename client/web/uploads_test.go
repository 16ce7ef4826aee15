package web_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
)

func TestUploads(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	begin := func(name string) string {
		var up struct{ ID string }
		s.ask("POST", "/uploads", map[string]string{"name": name}, &up)
		return up.ID
	}
	put := func(id, path, content string) int {
		resp, _ := s.do("PUT", api.Prefix+"/uploads/"+id+"/"+path, content)
		return resp.StatusCode
	}
	// A file, then a newer one of the same name.
	for i, content := range []string{"one", "another"} {
		id := begin("name.txt")
		if status := put(id, "chosen.txt", content); status != 204 {
			t.Fatalf("bringing a file: %d", status)
		}
		var j api.Job
		s.ask("POST", "/uploads/"+id, nil, &j)
		j = h.Until(s.d, j.ID, "the publication", func(j api.Job) bool { return daemontest.IsServed(j) && j.Version == i+1 })
		b, err := os.ReadFile(j.Path)
		if err != nil || string(b) != content || j.Name != "name.txt" {
			t.Errorf("published %q, %v: %+v", b, err, j)
		}
	}
	// A folder.
	id := begin("folder")
	for _, path := range []string{"chosen/a", "chosen/sub/b"} {
		if status := put(id, path, path); status != 204 {
			t.Fatalf("bringing %s: %d", path, status)
		}
	}
	for path, want := range map[string]int{"../x": 0, "chosen/a": 500, "%2e%2e/x": 0, "chosen/..%2f..%2fx": 400} {
		if status := put(id, path, "x"); (want != 0 && status != want) || status == 204 {
			t.Errorf("bringing %s: %d", path, status)
		}
	}
	var j api.Job
	s.ask("POST", "/uploads/"+id, nil, &j)
	j = h.Until(s.d, j.ID, "the folder", daemontest.IsServed)
	if b, err := os.ReadFile(filepath.Join(j.Path, "sub", "b")); err != nil || string(b) != "chosen/sub/b" {
		t.Errorf("the folder has %q, %v", b, err)
	}
	// Something else of that name stays.
	h.File("a/files/taken", 10)
	id = begin("taken")
	put(id, "x", "x")
	if resp, body := s.do("POST", api.Prefix+"/uploads/"+id, ""); resp.StatusCode != http.StatusConflict {
		t.Errorf("over another file: %s: %s", resp.Status, body)
	}
	// One that is given up leaves nothing.
	s.ask("DELETE", "/uploads/"+id, nil, nil)
	left, err := os.ReadDir(filepath.Join(h.Dir, "a", "uploads"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An upload of a name that is being downloaded is refused, harms the download as little as
// what was there before, and can be ended when the download is over.
func TestAnUploadOfWhatIsBeingDownloaded(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	path := h.File("disk.img", 1<<20)
	h.Publish(a.d, path)
	for _, c := range []struct {
		what, target, name string
		status             int
	}{
		{"where the upload would go", "", "b/files/disk.img", http.StatusConflict},
		{"elsewhere", filepath.Join(h.Dir, "elsewhere.img"), "elsewhere.img", http.StatusInternalServerError},
	} {
		j := h.Add(b.d, api.AddDownload{Source: "disk.img", Target: c.target, LimitDown: 1000})
		h.Until(b.d, j.ID, "some of it", func(j api.Job) bool { return j.Stage == "downloading" })
		var up struct{ ID string }
		b.ask("POST", "/uploads", map[string]string{"name": "disk.img"}, &up)
		if resp, body := b.do("PUT", api.Prefix+"/uploads/"+up.ID+"/chosen", "mine"); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: bringing it: %s", c.what, body)
		}
		for range 2 {
			if resp, body := b.do("POST", api.Prefix+"/uploads/"+up.ID, ""); resp.StatusCode != c.status || !strings.Contains(body, "is taken") {
				t.Fatalf("%s: %s: %s", c.what, resp.Status, body)
			}
		}
		if _, err := os.Stat(filepath.Join(h.Dir, "b", "files", "disk.img")); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s: left in the way: %v", c.what, err)
		}
		none := int64(0)
		h.Must(b.d.Change(t.Context(), j.ID, api.Change{LimitDown: &none}))
		h.Until(b.d, j.ID, "the download", daemontest.IsServed)
		h.Same(path, filepath.Join(h.Dir, c.name))
		if err := b.d.Remove(t.Context(), j.ID, true); err != nil {
			t.Fatal(err)
		}
		var mine api.Job
		b.ask("POST", "/uploads/"+up.ID, nil, &mine)
		mine = h.Until(b.d, mine.ID, "the publication", daemontest.IsServed)
		if got, err := os.ReadFile(mine.Path); err != nil || string(got) != "mine" {
			t.Errorf("%s: published %q, %v", c.what, got, err)
		}
		if left, err := os.ReadDir(filepath.Join(h.Dir, "b", "uploads")); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v, %v", c.what, left, err)
		}
		b.ask("DELETE", "/files/disk.img", nil, nil)
		b.ask("DELETE", "/jobs/"+mine.ID, nil, nil)
		if err := os.Remove(mine.Path); err != nil {
			t.Fatal(err)
		}
		h.Publish(a.d, h.File("disk.img", 1<<20))
	}
}
