package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Who takes a request and never answers is given up.
func TestADaemonThatNeverAnswersIsGivenUp(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	r, err := At(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.http.Transport.(*http.Transport).ResponseHeaderTimeout == 0 {
		t.Error("it would be waited for without end")
	}
	r.http = &http.Client{Transport: answering(10 * time.Millisecond)}
	if _, err := r.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "the daemon at "+server.URL+" does not answer") {
		t.Errorf("got %v", err)
	}
}

// Who is at a URL may be anybody.
func TestAnAnswerWithoutAnEndIsBounded(t *testing.T) {
	real := maxAnswer
	maxAnswer = 1 << 20
	t.Cleanup(func() { maxAnswer = real })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for text := `["` + strings.Repeat("x", 64<<10); ; text = text[2:] + "xx" {
			if _, err := w.Write([]byte(text)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	r, err := At(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "the daemon at "+server.URL+" answered something else than JSON") {
		t.Errorf("got %v", err)
	}
	if err := r.Do(t.Context(), "POST", "/jobs/x/pause", nil, nil); err != nil {
		t.Error(err)
	}
}

// A .torrent is fetched again only when it has changed, and of another name always.
func TestATorrentIsFetchedAgainWhenItHasChanged(t *testing.T) {
	have := map[string]string{"a": "one", "b": "other"}
	var gave int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := have[strings.Split(strings.TrimPrefix(r.URL.Path, Prefix+"/files/"), "/")[0]]
		w.Header().Set("ETag", `"`+text+`"`)
		if r.Header.Get("If-None-Match") != `"`+text+`"` {
			gave++
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	t.Cleanup(server.Close)
	r, err := At(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	from := r.Origin()
	for i, step := range []struct {
		name, want string
		gave       int
	}{{"a", "one", 1}, {"a", "one", 1}, {"b", "other", 2}, {"a", "two", 3}, {"a", "two", 3}} {
		if i == 3 {
			have["a"] = "two"
		}
		if got, err := from.Torrent(t.Context(), step.name); err != nil || string(got) != step.want || gave != step.gave {
			t.Errorf("%d: got %q %v, the server gave %d", i, got, err, gave)
		}
	}
}
