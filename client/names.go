package client

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// names are those that this process works on or serves. What the ring does not know is held
// by its info hash in place of its name, see Subject. A process may have a hundred
// thousand of them, more than it may open files: so a name's file only says whose it is,
// and the kernel's lock, which ends with the process, is on one file for all of them.
type names struct {
	mu    sync.Mutex
	held  map[string]use // by subject
	door  *os.File       // locked while somebody of any process looks whether a name is free
	owner *os.File       // locked as long as this process has any name
	id    string         // of the owner: its file is owners/ID.lock
}

// use is what this process does with a name, in the words of ErrBusy: one thing that
// brings it further at a time, and what it serves meanwhile.
type use struct{ working, serving string }

func (u *use) of(serving bool) *string {
	if serving {
		return &u.serving
	}
	return &u.working
}

// nameLock is a name that this process holds.
type nameLock struct {
	s       *Storage
	subject string
	name    string
	serving bool
}

func (s *Storage) namePath(subject string) string {
	sum := sha1.Sum([]byte(subject))
	return filepath.Join(s.dir, "locks", hex.EncodeToString(sum[:])+".lock")
}

// lockName takes a name of this Storage for publishing, downloading or serving it, or
// says in an ErrBusy which process has it. With beside it may be served by this process
// meanwhile, or what is to be served may be worked on.
func (s *Storage) lockName(name, doing string, beside bool) (*nameLock, error) {
	return s.lockSubject(name, name, doing, beside)
}

// lockSubject is lockName for what may not be told by its name.
func (s *Storage) lockSubject(subject, name, doing string, beside bool) (*nameLock, error) {
	n := &s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	u, here := n.held[subject]
	serving := doing == "serve"
	if *u.of(serving) != "" || here && !beside {
		return nil, &ErrBusy{What: name, PID: os.Getpid(), Doing: u.shown()}
	}
	if !here {
		if err := s.takeName(subject, name, doing); err != nil {
			return nil, err
		}
	}
	*u.of(serving) = doing
	n.held[subject] = u
	return &nameLock{s, subject, name, serving}, nil
}

func (u use) shown() string {
	if u.working != "" {
		return u.working
	}
	return u.serving
}

// Served says that the work on a name has been done and what came of it is served. What
// was served under it before has to be released.
func (l *nameLock) Served() error {
	n := &l.s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.held[l.subject]
	if u.serving != "" {
		return &ErrBusy{What: l.name, PID: os.Getpid(), Doing: u.serving}
	}
	n.held[l.subject] = use{serving: u.working}
	l.serving = true
	return nil
}

// Release gives the name up. A nil nameLock may be released.
func (l *nameLock) Release() {
	if l == nil || l.s == nil {
		return
	}
	n := &l.s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.held[l.subject]
	if *u.of(l.serving) = ""; u != (use{}) {
		n.held[l.subject] = u
	} else {
		_ = os.Remove(l.s.namePath(l.subject))
		if delete(n.held, l.subject); len(n.held) == 0 {
			n.leave()
		}
	}
	l.s = nil
}

// takeName is lockName among the processes; names.mu is held.
func (s *Storage) takeName(subject, name, doing string) error {
	if err := s.comeIn(); err != nil {
		return err
	}
	err := s.writeName(subject, name, doing)
	if err != nil && len(s.names.held) == 0 {
		s.names.leave()
	}
	return err
}

func (s *Storage) writeName(subject, name, doing string) error {
	n, path := &s.names, s.namePath(subject)
	if err := flock(n.door); err != nil {
		return fmt.Errorf("taking %q: %w", name, err)
	}
	defer func() { _ = unix.Flock(int(n.door.Fd()), unix.LOCK_UN) }()
	b, err := os.ReadFile(path)
	var h holder
	if err == nil && json.Unmarshal(b, &h) == nil && h.Owner == filepath.Base(h.Owner) {
		alive, err := Locked(s.ownerPath(h.Owner))
		if err != nil || alive {
			return errors.Join(err, &ErrBusy{What: name, PID: h.PID, Doing: h.Doing})
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking %q: %w", name, err)
	}
	b, err = json.Marshal(holder{PID: os.Getpid(), Doing: doing, Name: name, Owner: n.id})
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("taking %q: %w", name, err)
	}
	return nil
}

func (s *Storage) ownerPath(id string) string { return filepath.Join(s.dir, "owners", id+".lock") }

// comeIn makes this process an owner of names, unless it is one, and clears away those
// that have died.
func (s *Storage) comeIn() error {
	n := &s.names
	if n.owner != nil {
		return nil
	}
	door, err := os.OpenFile(filepath.Join(s.dir, "owners", "door"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("taking a name: %w", err)
	}
	if err = flock(door); err == nil {
		if err = s.sweepOwners(); err == nil {
			n.id = rand.Text()
			if n.owner, err = os.OpenFile(s.ownerPath(n.id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); err == nil {
				err = flock(n.owner)
			}
		}
		err = errors.Join(err, unix.Flock(int(door.Fd()), unix.LOCK_UN))
	}
	n.door, n.held = door, make(map[string]use)
	if err != nil {
		n.leave()
		return fmt.Errorf("taking a name: %w", err)
	}
	return nil
}

// sweepOwners removes the files of processes that were killed; the door is locked.
func (s *Storage) sweepOwners() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "owners"))
	for _, e := range entries {
		if id, isOwner := strings.CutSuffix(e.Name(), ".lock"); isOwner {
			if alive, lookErr := Locked(s.ownerPath(id)); lookErr == nil && !alive {
				_ = os.Remove(s.ownerPath(id))
			}
		}
	}
	return err
}

// leave is the opposite of comeIn.
func (n *names) leave() {
	if n.owner != nil {
		_ = os.Remove(n.owner.Name())
		n.owner.Close()
	}
	n.door.Close()
	n.owner, n.door = nil, nil
}

// flock waits for a lock that others hold for moments only.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
