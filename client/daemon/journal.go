package daemon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// entry is a line of the journal; one of its fields is set.
type entry struct {
	Job      *saved        `json:"job,omitempty"`
	Gone     string        `json:"gone,omitempty"` // the id of a job
	Settings *api.Settings `json:"settings,omitempty"`
	Visited  *time.Time    `json:"visited,omitempty"`
}

// maxLine bounds a line of the journal.
const maxLine = 1 << 20

// syncEvery is how long a line may wait for the disk: a killed process loses
// nothing, a power cut this much.
const syncEvery = time.Second

// journal is a file of lines, of which the later ones count. It is written at once
// and synced soon after.
type journal struct {
	path  string
	lines int

	mu    sync.Mutex // of what follows
	f     *os.File
	timer *time.Timer // runs while something is not synced
}

// openJournal reads the journal at path, or begins one. A last line that a power cut
// left torn is cut off; any other that does not parse is left out.
func openJournal(path string, each func(entry)) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the journal of jobs: %w", err)
	}
	j := &journal{path: path, f: f}
	in := bufio.NewReaderSize(f, 64<<10)
	end := int64(0)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // with what is there of a torn line
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("reading the journal of jobs: %w", err)
		}
		end += int64(len(line))
		var e entry
		if len(line) <= maxLine && json.Unmarshal(line, &e) == nil {
			each(e)
		}
		j.lines++
	}
	if err := f.Truncate(end); err != nil {
		f.Close()
		return nil, fmt.Errorf("cutting the journal of jobs: %w", err)
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the journal of jobs: %w", err)
	}
	return j, nil
}

func (j *journal) add(e entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at, err := j.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	if _, err := j.f.Write(append(b, '\n')); err != nil {
		// A half-written line must not spoil the next one.
		_, seekErr := j.f.Seek(at, io.SeekStart)
		return fmt.Errorf("writing %s: %w", j.path, errors.Join(err, j.f.Truncate(at), seekErr))
	}
	j.lines++
	if j.timer == nil {
		j.timer = time.AfterFunc(syncEvery, j.sync)
	}
	return nil
}

func (j *journal) sync() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.timer = nil
	_ = j.f.Sync() // the next write says what is wrong
}

// rewrite replaces the journal by these entries; a crash leaves the old one or the new.
// It is not client.ReplaceFile, as the new file has to be open before it takes the old
// one's place: else an error in between would leave the journal writing to a removed file.
func (j *journal) rewrite(all []entry) error {
	tmp := j.path + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("writing the journal of jobs: %w", err)
	}
	out := bufio.NewWriter(f)
	enc := json.NewEncoder(out)
	for _, e := range all {
		if err == nil {
			err = enc.Encode(e)
		}
	}
	err = errors.Join(err, out.Flush(), f.Sync())
	if err == nil {
		err = os.Rename(tmp, j.path)
	}
	if err != nil {
		f.Close()
		if rmErr := os.Remove(tmp); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return fmt.Errorf("writing the journal of jobs: %w", err)
	}
	// From here on the new one is what is read later, whatever else goes wrong.
	j.mu.Lock()
	old := j.f
	j.f, j.lines = f, len(all)
	j.mu.Unlock()
	if err := errors.Join(client.SyncDir(filepath.Dir(j.path)), old.Close()); err != nil {
		return fmt.Errorf("writing the journal of jobs: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
	return errors.Join(j.f.Sync(), j.f.Close())
}
