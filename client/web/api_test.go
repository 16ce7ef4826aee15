package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestTheInterface(t *testing.T) {
	h := daemontest.New(t)
	h.Ring.SetTrackers([][]string{{"http://n/announce", "udp://n/announce"}, {"udp://m/announce"}})
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	path := h.File("disk.img", 1<<20)
	var j api.Job
	a.ask("POST", "/publications", api.AddPublication{Path: path}, &j)
	h.Until(a.d, j.ID, "the publication", daemontest.IsServed)

	var files api.Files
	b.ask("GET", "/files?search=DISK", nil, &files)
	if files.Total != 1 || files.Files[0].Name != "disk.img" || files.Files[0].Size != 1<<20 {
		t.Errorf("files: %+v", files)
	}
	b.ask("POST", "/downloads", api.AddDownload{Source: "disk.img", LimitDown: 1000, Priority: 2}, &j)
	h.Until(b.d, j.ID, "some of it", func(j api.Job) bool { return j.Stage == "downloading" })
	b.ask("POST", "/jobs/"+j.ID+"/pause", nil, &j)
	if j.State != api.Paused || j.Priority != 2 {
		t.Errorf("paused: %+v", j)
	}
	b.ask("PATCH", "/jobs/disk.img", map[string]any{"limit_down": 0}, &j)
	b.ask("POST", "/jobs/"+j.ID[:6]+"/resume", nil, &j)
	h.Until(b.d, j.ID, "the download", daemontest.IsServed)
	h.Same(path, j.Path)
	b.ask("GET", "/jobs/"+j.ID, nil, &j)
	if j.Bytes != 1<<20 || j.Done != 1<<20 || !j.New {
		t.Errorf("done: %+v", j)
	}
	b.ask("POST", "/visit", nil, nil)
	var all []api.Job
	b.ask("GET", "/jobs", nil, &all)
	if len(all) != 1 || all[0].New {
		t.Errorf("after a visit: %+v", all)
	}
	var shown api.Shown
	b.ask("GET", "/files/disk.img", nil, &shown)
	if shown.Size != 1<<20 || len(shown.Versions) != 1 || shown.Seeders != 2 {
		t.Errorf("shown: %+v", shown)
	}
	resp, body := b.do("GET", api.Prefix+"/files/disk.img/torrent", "")
	if resp.Header.Get("Content-Type") != "application/x-bittorrent" || !strings.HasPrefix(body, "d8:announce17:http://n/announce13:announce-list") {
		t.Errorf("the .torrent: %v %.80s", resp.Header, body)
	}
	if _, page := b.do("GET", "/swarm/disk.img", ""); !strings.Contains(page, "&amp;tr=http%3A%2F%2Fn%2Fannounce&amp;tr=udp%3A%2F%2Fm%2Fannounce\"") {
		t.Errorf("the page's magnet link names no trackers: %s", page)
	}
	var set api.Settings
	b.ask("PATCH", "/settings", map[string]any{"limit_up": 1 << 20}, &set)
	if set.LimitUp != 1<<20 || set.MaxDownloads != 3 {
		t.Errorf("settings: %+v", set)
	}
	var st api.Status
	b.ask("GET", "/status", nil, &st)
	if st.Jobs != 1 || st.PID != os.Getpid() || st.Version != "test" || st.Port == 0 {
		t.Errorf("status: %+v", st)
	}
	a.ask("DELETE", "/files/disk.img", nil, nil)
	if resp, _ := b.do("GET", api.Prefix+"/files/disk.img", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("after it was unpublished: %s", resp.Status)
	}
	b.ask("DELETE", "/jobs/"+j.ID+"?data=delete", nil, nil)
	if _, err := os.Stat(j.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}
}

// Two who change different settings at once do not undo what the other did.
func TestSettingsAreChangedAtOnce(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	var both sync.WaitGroup
	for _, key := range []string{"limit_down", "limit_up"} {
		both.Go(func() {
			for i := 1; i <= 50; i++ {
				resp, body := s.do("PATCH", api.Prefix+"/settings", fmt.Sprintf(`{%q:%d}`, key, i))
				var set map[string]int
				if err := json.Unmarshal([]byte(body), &set); err != nil || resp.StatusCode != 200 || set[key] != i {
					t.Errorf("%s %d: %s: %s", key, i, resp.Status, body)
				}
			}
		})
	}
	both.Wait()
	if set, err := s.d.Settings(t.Context()); err != nil || set != (api.Settings{LimitDown: 50, LimitUp: 50, MaxDownloads: 3}) {
		t.Errorf("%+v, %v", set, err)
	}
}

func TestMisuseIsAnsweredInWords(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	for _, c := range []struct {
		method, path, body string
		status, code       int
		words              string
	}{
		{"GET", "/nothing", "", 404, api.CodeNotFound, "/nothing"},
		{"DELETE", "/status", "", 405, api.CodeUsage, "use GET"},
		{"PUT", "/jobs/abcdef", "", 405, api.CodeUsage, "use GET or PATCH or DELETE"},
		{"GET", "/jobs/abcdef", "", 404, api.CodeNotFound, "abcdef"},
		{"POST", "/jobs/abcdef/explode", "", 400, api.CodeUsage, "explode"},
		{"POST", "/downloads", "", 400, api.CodeUsage, "JSON"},
		{"POST", "/downloads", `{"source":"x"} {}`, 400, api.CodeUsage, "followed"},
		{"POST", "/downloads", `{"sauce":"x"}`, 400, api.CodeUsage, "sauce"},
		{"POST", "/downloads", `{"source":"x"}`, 404, api.CodeNotFound, "x"},
		{"POST", "/downloads", `{"source":"` + strings.Repeat("x", 100000) + `"}`, 400, api.CodeUsage, "JSON"},
		{"POST", "/publications", `{"path":"relative"}`, 400, api.CodeUsage, "absolute"},
		{"POST", "/publications", `{"path":"/does/not/exist"}`, 500, api.CodeFailed, "/does/not/exist"},
		{"PATCH", "/settings", `{"max_downloads":0}`, 400, api.CodeUsage, "one download"},
		{"PATCH", "/settings", `{"limit_up":-1}`, 400, api.CodeUsage, "negative"},
		{"DELETE", "/jobs/x?data=burn", "", 400, api.CodeUsage, "burn"},
		{"GET", "/files/nothing", "", 404, api.CodeNotFound, "nothing"},
		{"PUT", "/uploads/none/x", "", 404, api.CodeNotFound, "none"},
		{"POST", "/uploads", `{"name":"a/b"}`, 400, api.CodeUsage, "name"},
	} {
		resp, body := s.do(c.method, api.Prefix+c.path, c.body)
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != c.status || p.Code != c.code || !strings.Contains(p.Error, c.words) {
			t.Errorf("%s %s: %s, want %d, code %d and %q: %s", c.method, c.path, resp.Status, c.status, c.code, c.words, body)
		}
	}
}

func TestEvents(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	first := h.Publish(s.d, h.File("first", 1000))
	r := &api.Remote{Address: api.Address{URL: s.url, Token: token}}
	r.UseClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := map[string]bool{}
	err := r.Follow(ctx, func(e api.Event) error {
		switch {
		case e.Job != nil && e.Job.ID == first.ID && !seen["first"]:
			seen["first"] = true
			_, err := s.d.AddPublication(ctx, api.AddPublication{Path: h.File("second", 1000)})
			return err
		case e.Job != nil && e.Job.Name == "second" && e.Job.State == api.Done && !seen["second"]:
			seen["second"] = true
			return s.d.Remove(ctx, first.ID, false)
		case e.Removed == first.ID:
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || !seen["second"] {
		t.Errorf("seen %v, %v", seen, err)
	}
}

func TestPagesWithoutAScript(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	path := h.File("disk.img", 100_000)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Referer", a.url + "/publish"}
	if resp, body := a.do("POST", "/do/publish", "path="+path, form...); resp.StatusCode != 303 || resp.Header.Get("Location") != "/mine" {
		t.Fatalf("publishing: %s: %s", resp.Status, body)
	}
	h.Until(a.d, published("disk.img"), "the publication", daemontest.IsServed)
	if _, body := b.do("GET", "/available?search=disk", ""); !strings.Contains(body, ">disk.img<") {
		t.Errorf("available: %s", body)
	}
	if resp, body := b.do("POST", "/do/download", "name=disk.img", form...); resp.StatusCode != 303 {
		t.Fatalf("downloading: %s: %s", resp.Status, body)
	}
	jobs, err := b.d.Jobs(t.Context())
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	h.Until(b.d, jobs[0].ID, "the download", daemontest.IsServed)
	for path, words := range map[string][]string{
		"/downloads":                      {"disk.img", "serving", "Remove"},
		"/mine":                           {"disk.img"},
		"/jobs/" + jobs[0].ID:             {"disk.img", jobs[0].InfoHash},
		"/jobs/" + jobs[0].ID + "?part=1": {jobs[0].InfoHash},
		"/swarm/disk.img":                 {"2 hosts have all of it", "current"},
		"/ring":                           {"Members"},
		"/publish":                        {"Choose a file"},
		"/jobs/none":                      {"That did not work", "no such job"},
	} {
		if _, body := b.do("GET", path, ""); !contains(body, words...) {
			t.Errorf("%s lacks one of %q: %s", path, words, body)
		}
	}
	// The same strings as a command takes.
	link := "magnet:?xt=urn:btih:" + jobs[0].InfoHash + "&dn=called+otherwise&tr=http://127.0.0.1:1/announce"
	if _, body := b.do("GET", "/downloads", ""); !contains(body, "What to download", `action="/do/download"`) {
		t.Errorf("the page has no place for what to download: %s", body)
	}
	if resp, body := b.do("POST", "/do/download", url.Values{"name": {" " + link + "\n"}, "target": {t.TempDir() + "/"}}.Encode(), form...); resp.StatusCode != 303 {
		t.Errorf("a magnet link of the ring: %s %s", resp.Status, body)
	}
	if resp, body := b.do("POST", "/do/download", url.Values{"name": {"magnet:?dn=nothing"}}.Encode(), form...); resp.StatusCode != 400 || !strings.Contains(body, "names no torrent") {
		t.Errorf("a magnet link of nothing: %s %s", resp.Status, body)
	}
	if resp, body := b.do("DELETE", "/available", ""); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET" || !strings.Contains(body, "use GET") {
		t.Errorf("a page that is to be deleted: %s %v: %s", resp.Status, resp.Header, body)
	}
	if resp, _ := b.do("GET", "/no/such/page", ""); resp.StatusCode != 404 {
		t.Errorf("a page that is not there: %s", resp.Status)
	}
	for limit, words := range map[string]string{"1e-9": "less than a byte", "NaN": "not a speed", "-1": "not a speed", "1e7": "not a speed", "fast": "not a speed", "": "", "0": "", "0,5": "", "1e-6": ""} {
		resp, body := b.do("POST", "/do/settings", url.Values{"limit_down": {limit}, "max_downloads": {"3"}}.Encode(), form...)
		if words == "" && resp.StatusCode != 303 || words != "" && (resp.StatusCode != 400 || !strings.Contains(body, words)) {
			t.Errorf("a limit of %q: %s, want %q: %s", limit, resp.Status, words, body)
		}
	}
	if set, err := b.d.Settings(t.Context()); err != nil || set.MaxDownloads != 3 {
		t.Errorf("%+v, %v", set, err)
	}
	if resp, body := b.do("POST", "/do/explode", "", form...); resp.StatusCode != 400 || !strings.Contains(body, "explode") {
		t.Errorf("a button that is not there: %s: %s", resp.Status, body)
	}
}

func published(name string) string { return client.RecordID(client.Published, name, "") }

func contains(s string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// When the ring has gone, pages say so, and what to do.
func TestWithoutARing(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	h.Publish(s.d, h.File("disk.img", 1000))
	h.Ring.Intercept(func(int, any) *ringtest.Fault { return &ringtest.Fault{Err: communicator.ErrNoRing} })
	defer h.Ring.Intercept(nil)
	for _, path := range []string{"/available", "/ring"} {
		if _, body := s.do("GET", path, ""); !contains(body, "no ring in reach", "start a ring member with `chordnode`") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestManyNames(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	for i := range 120 {
		h.Publish(s.d, h.File(fmt.Sprintf("file-%03d", i), 100+i))
	}
	var page api.Files
	s.ask("GET", "/files?search=FILE&sort=-size&offset=50&limit=10", nil, &page)
	if page.Total != 120 || page.All != 120 || len(page.Files) != 10 || page.Files[0].Name != "file-069" {
		t.Errorf("%+v", page)
	}
	s.ask("GET", "/files?search=11+file", nil, &page)
	if page.Total != 11 { // 011 and 110 to 119
		t.Errorf("two words find %d", page.Total)
	}
	_, body := s.do("GET", "/available?offset=50", "")
	if !contains(body, "51–100 of 120", "offset=0", "offset=100", "file-050") || strings.Contains(body, "file-049") {
		t.Error(body)
	}
}
