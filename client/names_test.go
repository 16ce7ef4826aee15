package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// another is the same Storage as a second process has it.
func another(t *testing.T, s *Storage) *Storage {
	t.Helper()
	o, err := OpenStorage(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func take(t *testing.T, s *Storage, name, doing string, beside bool) *nameLock {
	t.Helper()
	l, err := s.lockName(name, doing, beside)
	if err != nil {
		t.Fatalf("%s %q: %v", doing, name, err)
	}
	return l
}

func refused(t *testing.T, s *Storage, name, doing string, beside bool) {
	t.Helper()
	_, err := s.lockName(name, doing, beside)
	if busy, ok := errors.AsType[*ErrBusy](err); !ok || busy.PID != os.Getpid() {
		t.Errorf("%s %q: %v", doing, name, err)
	}
}

func TestNameIsWorkedOnBesideWhatIsServed(t *testing.T) {
	s := newStorage(t)
	old := take(t, s, "x", "serve", false)
	refused(t, s, "x", "serve", true)
	refused(t, s, "x", "download", false)
	work := take(t, s, "x", "download", true)
	refused(t, s, "x", "publish", true)
	if err := work.Served(); err == nil {
		t.Error("two are served under one name")
	}
	refused(t, another(t, s), "x", "download", true)
	old.Release()
	if err := work.Served(); err != nil {
		t.Error(err)
	}
	refused(t, s, "x", "serve", true)
	next := take(t, s, "x", "download", true)
	work.Release()
	next.Release()
	take(t, another(t, s), "x", "publish", false).Release()
}

func TestNamesOfADeadProcessAreFree(t *testing.T) {
	s := newStorage(t)
	take(t, s, "x", "serve", false)
	id := s.names.id
	refused(t, another(t, s), "x", "serve", false)
	s.names.owner.Close() // as the kernel does when a process is killed
	s.names.door.Close()
	o := another(t, s)
	take(t, o, "x", "serve", false).Release()
	if _, err := os.Stat(s.ownerPath(id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead owner's file is still there: %v", err)
	}
}

// A name costs no descriptor.
func TestManyNames(t *testing.T) {
	s := newStorage(t)
	var held []*nameLock
	held = append(held, take(t, s, "first", "serve", false))
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		held = append(held, take(t, s, fmt.Sprint(i), "serve", false))
	}
	after, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(after) > len(before) {
		t.Errorf("%d descriptors for one name, %d for 301 (%v)", len(before), len(after), err)
	}
	for _, l := range held {
		l.Release()
		l.Release()
	}
	for _, dir := range []string{"locks", "owners"} {
		left, err := filepath.Glob(filepath.Join(s.Dir(), dir, "*.lock"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestNamesExcludeUnderContention(t *testing.T) {
	s := newStorage(t)
	var holders, rounds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		o := another(t, s)
		wg.Go(func() {
			for done := 0; done < 50; {
				l, err := o.lockName("x", "publish", false)
				if _, busy := errors.AsType[*ErrBusy](err); busy {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two holders at once")
				}
				holders.Add(-1)
				rounds.Add(1)
				l.Release()
				done++
			}
		})
	}
	wg.Wait()
	if rounds.Load() != 400 {
		t.Errorf("%d rounds", rounds.Load())
	}
}

// What the ring does not know is held by its info hash, whatever it is called.
func TestASubjectIsHeldAndNotWhatBearsItsName(t *testing.T) {
	s := newStorage(t)
	ours := take(t, s, "x", "serve", false)
	subject := Subject("x", "0123456789012345678901234567890123456789", true)
	theirs, err := s.lockSubject(subject, "x", "download", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []*Storage{s, another(t, s)} {
		_, err := from.lockSubject(subject, "y", "download", false)
		if busy, ok := errors.AsType[*ErrBusy](err); !ok || busy.What != "y" || busy.Doing != "download" {
			t.Errorf("the same by another name: %v", err)
		}
	}
	ours.Release()
	take(t, another(t, s), "x", "publish", false).Release()
	theirs.Release()
}
