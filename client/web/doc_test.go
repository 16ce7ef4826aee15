package web_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
)

// TestTheDocumentNamesWhatThereIs asks for everything that docs/api.md describes.
func TestTheDocumentNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, daemontest.New(t), "a", nil)
	found := regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) (/[^`]*)`").FindAllStringSubmatch(string(text), -1)
	if len(found) < 20 {
		t.Fatalf("the document describes %d requests", len(found))
	}
	for _, f := range found {
		path := api.Prefix + strings.NewReplacer("{id}", "none", "{name}", "none", "{path}", "none").Replace(f[2])
		if f[2] == "/events" {
			continue // has no end
		}
		if strings.HasPrefix(f[2], "/content") || strings.HasPrefix(f[2], "/seed") {
			path = f[2]
		}
		if resp, body := s.do(f[1], path, ""); strings.Contains(body, "docs/api.md") || resp.StatusCode == 405 {
			t.Errorf("%s %s: %s: %s", f[1], f[2], resp.Status, body)
		}
	}
}
