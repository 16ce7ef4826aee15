package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A byte that is wrong, and a file that is missing, are told apart from what was seeded.
func TestWhatDiffersIsFound(t *testing.T) {
	s := shape{name: "directory", files: []file{{"a", 1000}, {"b/c", 70_000}, {"empty", 0}}}
	path := filepath.Join(t.TempDir(), "x")
	if err := s.make(path, 1); err != nil {
		t.Fatal(err)
	}
	want, err := s.sumsOf(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "y")
	if err := copyTree(t.Context(), path, copied); err != nil {
		t.Fatal(err)
	}
	if err := s.differ(copied, want); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(copied, "b", "c")
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	text[69_999] ^= 1
	if err := os.WriteFile(at, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.differ(copied, want); err == nil || !strings.Contains(err.Error(), "y/b/c") {
		t.Errorf("a wrong byte is %v", err)
	}
	text[69_999] ^= 1
	if err := errors.Join(os.WriteFile(at, text, 0o644), os.Remove(filepath.Join(copied, "empty"))); err != nil {
		t.Fatal(err)
	}
	if err := s.differ(copied, want); !errors.Is(err, errNoEmptyFile) {
		t.Errorf("a missing empty file is %v", err)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	if err := s.differ(copied, want); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file is %v", err)
	}
}

func TestTheTablesGiveReasonsOnce(t *testing.T) {
	o := &options{clients: clients[:2], shapes: shapes[:2]}
	r := &report{Versions: map[string]string{"aria2": "1.2", "transmission": "3.4"}}
	told := errors.New("as it says")
	for _, cl := range o.clients {
		for _, role := range []string{seeds, fetches} {
			r.Cells = append(r.Cells, cell{Client: cl.name, Role: role, Tracker: "http", Shape: "file"}.judge(1.5e9, nil),
				cell{Client: cl.name, Role: role, Tracker: "http", Shape: "directory"}.judge(0, told))
		}
	}
	text := r.tables(o)
	for _, line := range []string{"| aria2 | 1.2 | seeds | 1.5 s | failed (1) | – |\n", "| transmission | 3.4 | fetches | 1.5 s | failed (1) | – |\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if strings.Count(text, told.Error()) != 1 {
		t.Errorf("the reason is not told once:\n%s", text)
	}
}

func TestEachShapeCanBeNamed(t *testing.T) {
	for _, s := range shapes {
		o := &options{}
		if err := o.choose("", s.name, "matrix"); err != nil || len(o.shapes) != 1 || o.shapes[0].name != s.name {
			t.Errorf("--shapes %q: %v, %+v", s.name, err, o.shapes)
		}
	}
}

// A reason why a client is slow belongs to a shape that there is.
func TestSlowClientsHaveTheirTime(t *testing.T) {
	for _, cl := range clients {
		longer := 0
		for _, s := range shapes {
			if cl.patience(s) > patience {
				longer++
			}
		}
		if longer != len(cl.slow) {
			t.Errorf("%s has more time for %d shapes, and reasons for %d", cl.name, longer, len(cl.slow))
		}
	}
}

func TestTablesStandBetweenTheirMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	beginMark, endMark := marks("somewhere/cases.json")
	write("before\n" + beginMark + "old\n" + endMark + "after\n")
	for range 2 {
		if err := between(path, beginMark, endMark, "new"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if want := "before\n" + beginMark + "\nnew\n" + endMark + "after\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	write("no marks")
	if err := between(path, beginMark, endMark, "new"); err == nil {
		t.Error("tables went where there are no marks")
	}
}

func TestVersionsAreReadFromWhatClientsSay(t *testing.T) {
	for said, want := range map[string]string{
		"aria2 version 1.36.0\nCopyright (C)": "1.36.0", "transmission-daemon 3.00 (bb6b5a062e)": "3.00", "qBittorrent v4.5.2": "4.5.2",
		"Rakshasa's BitTorrent client version 0.9.8.": "0.9.8", "Enhanced CTorrent dnh3.3.2   Original code": "dnh3.3.2",
		"torrent: go1.26.8\n\tmod\tgithub.com/anacrolix/torrent\tv1.59.1\th1:x": "1.59.1",
	} {
		cl := &client{version: func(*options) ([]byte, error) { return []byte(said), nil }}
		if got, err := cl.versionOf(nil); err != nil || got != want {
			t.Errorf("%q: %q, %v", said, got, err)
		}
	}
}
