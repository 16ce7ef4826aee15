package daemon

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"chordtorrent/client/api"
)

func readJournal(t *testing.T, path string) (names []string) {
	t.Helper()
	jobs := map[string]saved{}
	j, err := openJournal(path, func(e entry) {
		if e.Job != nil {
			jobs[e.Job.ID] = *e.Job
		}
		delete(jobs, e.Gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2", "3"} {
		if s, ok := jobs[id]; ok {
			names = append(names, s.Name)
		}
	}
	return names
}

func TestTheJournalSurvivesACutAtAnyByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.jsonl")
	j, err := openJournal(path, func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	ends := []int64{0}
	for _, e := range []entry{
		{Job: &saved{ID: "1", Name: "one"}}, {Job: &saved{ID: "2", Name: "two"}}, {Gone: "1"},
		{Settings: &api.Settings{MaxDownloads: 2}}, {Job: &saved{ID: "3", Name: "three"}},
	} {
		if err := j.add(e); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{nil, {"one"}, {"one", "two"}, {"two"}, {"two"}, {"two", "three"}}
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n+1 < len(ends) && ends[n+1] <= int64(cut) {
			n++
		}
		if got := readJournal(t, path); !equal(got, want[n]) {
			t.Fatalf("cut at %d: %v, want %v", cut, got, want[n])
		}
		// What is torn is gone, so the next line stands alone.
		if info, err := os.Stat(path); err != nil || info.Size() != ends[n] {
			t.Fatalf("cut at %d: %v, %v", cut, info.Size(), err)
		}
	}
	// A line in the middle that is damaged costs itself.
	damaged := bytes.Clone(whole)
	damaged[ends[1]+3] = '!'
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := readJournal(t, path); !equal(got, []string{"three"}) {
		t.Errorf("with a damaged line: %v", got)
	}
}

// TestARewriteThatEndsInTroubleLosesNothing has the folder of a journal not be opened, for want
// of a file descriptor, after the new one has taken its place.
func TestARewriteThatEndsInTroubleLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.jsonl")
	j, err := openJournal(path, func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fd := next.Fd() // the lowest that is free: the new journal will have it
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd) + 1, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err = j.rewrite([]entry{{Job: &saved{ID: "1", Name: "one"}}})
	if restoreErr := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restoreErr != nil {
		t.Fatal(restoreErr)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Fatalf("without a file descriptor: %v", err)
	}
	if err := errors.Join(j.add(entry{Job: &saved{ID: "2", Name: "two"}}), j.close()); err != nil {
		t.Fatal(err)
	}
	if got := readJournal(t, path); !equal(got, []string{"one", "two"}) {
		t.Errorf("afterwards: %v", got)
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"job":{"id":"1","name":"x","state":"queued"}}` + "\n"))
	f.Add([]byte(`{"gone":"1"}` + "\n" + `{"settings":{"max_downloads":3}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "jobs.jsonl")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path, func(entry) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.add(entry{Gone: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		// Whatever was there, what is added can be read.
		seen := false
		j, err = openJournal(path, func(e entry) { seen = e.Gone == "x" })
		if err != nil {
			t.Fatal(err)
		}
		if err := j.close(); err != nil || !seen {
			t.Fatalf("what was added is seen: %v, %v", seen, err)
		}
	})
}
