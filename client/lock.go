package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy means that a process works on the same name in the same Storage, or
// on the same target.
type ErrBusy struct {
	What  string // the name or path both want
	PID   int    // of the holder; 0 means unknown
	Doing string // "publish", "download", "serve"; empty means unknown
}

func (e *ErrBusy) Error() string {
	who := "another process"
	if e.PID == os.Getpid() {
		who = fmt.Sprintf("this process (pid %d)", e.PID)
	} else if e.PID != 0 {
		who = fmt.Sprintf("the process with pid %d", e.PID)
	}
	doing := "uses it"
	switch e.Doing {
	case "publish":
		doing = "publishes it"
	case "download":
		doing = "downloads it"
	case "serve":
		doing = "serves it"
	}
	return fmt.Sprintf("%q is taken: %s %s", e.What, who, doing)
}

// Lock is a lock file that this process holds. The kernel gives it up when the
// process ends, however it ends.
type Lock struct {
	f    *os.File
	path string
}

// holder is what a lock file says about the process that holds it.
type holder struct {
	PID   int    `json:"pid"`
	Doing string `json:"doing"`
	Name  string `json:"name,omitempty"`
	Owner string `json:"owner,omitempty"` // of a name: see names
}

func tryLock(path string, me holder) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("taking a lock: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			h := readHolder(f)
			f.Close()
			return nil, &ErrBusy{What: path, PID: h.PID, Doing: h.Doing}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		// Who releases a lock removes its file, so the one locked here may no
		// longer be the one that the next process opens.
		if !stillAt(f, path) {
			f.Close()
			continue
		}
		b, err := json.Marshal(me)
		if err == nil {
			if err = f.Truncate(0); err == nil {
				_, err = f.WriteAt(b, 0)
			}
		}
		if err != nil {
			_ = os.Remove(path)
			f.Close()
			return nil, fmt.Errorf("writing %s: %w", path, err)
		}
		return &Lock{f: f, path: path}, nil
	}
}

// Locked says whether a process holds a lock. To look, it takes it for a moment together
// with others who look, which is why who wants it should use WaitLock.
func Locked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at a lock: %w", err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the lock %s: %w", path, err)
	}
	return false, nil
}

// WaitLock takes a lock that its holders give back within moments, or says in an ErrBusy
// who has it still when ctx ends.
func WaitLock(ctx context.Context, path string) (*Lock, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, err := tryLock(path, holder{PID: os.Getpid()})
		if _, busy := errors.AsType[*ErrBusy](err); !busy {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// Release gives the lock up. A nil Lock may be released.
func (l *Lock) Release() {
	if l == nil || l.f == nil {
		return
	}
	_ = os.Remove(l.path)
	l.f.Close()
	l.f = nil
}

// readHolder reads who holds a lock. The holder writes its pid right after it
// has the lock, so an empty file is asked again for a moment.
func readHolder(f *os.File) holder {
	var h holder
	for range 20 {
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
		if err == nil && json.Unmarshal(b, &h) == nil && h.PID != 0 {
			return h
		}
		time.Sleep(5 * time.Millisecond)
	}
	return h
}

func stillAt(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// lockTarget keeps two processes, of one Storage or of two, from writing the
// same partial download. It lasts until the returned file is closed.
func lockTarget(part string) (*os.File, error) {
	f, err := os.Open(part)
	if err != nil {
		return nil, fmt.Errorf("locking the partial download: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &ErrBusy{What: part, Doing: "download"}
		}
		return nil, fmt.Errorf("locking %s: %w", part, err)
	}
	return f, nil
}
