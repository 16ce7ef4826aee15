package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
