package web

import (
	"os"
	"path/filepath"
	"testing"
)

// What a person published before stays where it is, unless the new is in its place.
func TestReplaceLosesNothing(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	holds := func(want string) {
		t.Helper()
		if b, err := os.ReadFile(at("to")); err != nil || string(b) != want {
			t.Errorf("there is %q, %v; want %q", b, err, want)
		}
	}
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(at("from"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := replace(at("from"), at("to"), at("aside")); err != nil {
			t.Fatal(err)
		}
		holds(content)
	}
	if err := replace(at("vanished"), at("to"), at("aside")); err == nil {
		t.Error("nothing was put in its place, and no error")
	}
	holds("second")
}
