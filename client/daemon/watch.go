package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

const (
	// quiet is how long something must look the same to have settled.
	quiet = 300 * time.Millisecond
	// rescanEvery is how often all of a folder is looked at, whatever the system has told:
	// network file systems tell nothing. It is stretched so that looking takes at most a
	// part in rescanShare of the time.
	rescanEvery = 10 * time.Second
	rescanShare = 50
)

// watcher publishes what is in a folder: each entry under its name. One goroutine, run,
// owns it.
type watcher struct {
	d   *Daemon
	dir string
	fs  *fsnotify.Watcher // nil: the system tells nothing, rescans find all

	entries map[string]*watched
	dirty   map[string]time.Time // when to look at an entry
	said    map[string]bool      // names that cannot be published, told once
}

// watched is an entry of the folder.
type watched struct {
	seen      string // what it looked like last
	published string // what it looked like when it was handed over, or is to stay out; empty: never
}

// Watch publishes what is in the folder dir, and follows what comes, changes and goes,
// until the daemon ends. Something that is being written waits. Names that begin with
// a dot, or end in .part or ~, are left alone, as are symbolic links and what else is neither
// a file nor a folder. The error says why dir cannot be watched.
func (d *Daemon) Watch(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", client.ErrUsage, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", client.ErrUsage, dir)
	}
	w := &watcher{d: d, dir: dir, entries: make(map[string]*watched), dirty: make(map[string]time.Time), said: make(map[string]bool)}
	if w.fs, err = fsnotify.NewWatcher(); err == nil {
		err = w.fs.Add(dir)
	}
	if err != nil {
		d.log.Warn("the system does not tell of changes in a folder: it is looked at every 10 s", "path", dir, "err", err)
	}
	d.side.Go(w.run)
	return nil
}

func (w *watcher) run() {
	var events chan fsnotify.Event
	var troubles chan error
	if w.fs != nil {
		defer w.fs.Close()
		events, troubles = w.fs.Events, w.fs.Errors
	}
	w.recall()
	scan, look := time.NewTimer(0), time.NewTimer(quiet)
	defer scan.Stop()
	defer look.Stop()
	looking := true
	for {
		if len(w.dirty) > 0 && !looking {
			look.Reset(quiet / 2)
			looking = true
		}
		select {
		case <-w.d.ctx.Done():
			return
		case e := <-events:
			w.heard(e)
		case err := <-troubles:
			w.d.log.Debug("events of a folder were lost: it is looked at", "path", w.dir, "err", err)
			scan.Reset(quiet)
		case <-scan.C:
			began := time.Now()
			w.scan()
			scan.Reset(max(rescanEvery, rescanShare*time.Since(began)))
		case <-look.C:
			looking = false
			w.settle()
		}
	}
}

// recall finds out what was published from the folder in earlier runs.
func (w *watcher) recall() {
	jobs, err := w.d.Jobs(w.d.ctx)
	if err != nil {
		return
	}
	for _, j := range jobs {
		if j.Kind != api.Publication || !j.Watched || filepath.Dir(j.Path) != w.dir {
			continue
		}
		e := &watched{}
		rec, known, err := w.d.cfg.Storage.Record(client.Published, j.Name, "")
		if err == nil && known && rec.Path == j.Path && (j.State == api.Done || rec.State == client.Unpublished) {
			e.published = rec.Fingerprint
		}
		if j.State == api.Cancelled && e.published == "" {
			// A person does not want it as it is.
			e.published, _ = client.LookAt(j.Path) // what has gone is found out below
		}
		w.entries[filepath.Base(j.Path)] = e
	}
}

// heard notes which entry an event is about.
func (w *watcher) heard(e fsnotify.Event) {
	rel, err := filepath.Rel(w.dir, e.Name)
	if err != nil || rel == "." {
		return
	}
	name, _, _ := strings.Cut(rel, string(filepath.Separator))
	if ignored(name) {
		return
	}
	w.dirty[name] = time.Now().Add(quiet)
	if e.Has(fsnotify.Create) {
		w.listen(e.Name)
	}
}

// listen asks for events of a directory and of those in it.
func (w *watcher) listen(path string) {
	if w.fs == nil {
		return
	}
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			if err := w.fs.Add(p); err != nil {
				w.d.log.Debug("the system does not tell of changes in a folder", "path", p, "err", err)
				return fs.SkipAll // rescans find them
			}
		}
		return nil // what has gone meanwhile tells so itself
	})
}

func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".part") || strings.HasSuffix(name, "~")
}

// scan looks at the whole folder for what differs from what was published.
func (w *watcher) scan() {
	list, err := os.ReadDir(w.dir)
	if err != nil {
		// Perhaps it is not mounted now. Nothing is taken for removed.
		w.d.log.Warn("a watched folder cannot be read", "path", w.dir, "err", err)
		return
	}
	there := make(map[string]bool, len(list))
	for _, e := range list {
		name := e.Name()
		if ignored(name) || !publishable(e.Type()) {
			continue
		}
		there[name] = true
		known := w.entries[name]
		if known == nil && e.IsDir() {
			w.listen(filepath.Join(w.dir, name))
		}
		if _, waits := w.dirty[name]; waits {
			continue
		}
		if look, err := w.look(name); known == nil || err != nil || look != known.published {
			w.dirty[name] = time.Now()
		}
	}
	for name := range w.entries {
		if !there[name] {
			w.dirty[name] = time.Now()
		}
	}
}

// settle looks at the entries whose time has come, and publishes what has settled.
func (w *watcher) settle() {
	now := time.Now()
	var gone []string
	for name, due := range w.dirty {
		if due.After(now) || w.d.ctx.Err() != nil {
			continue
		}
		path := filepath.Join(w.dir, name)
		look, err := w.look(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if _, err := os.Stat(w.dir); err != nil {
				continue // the folder itself is away
			}
			delete(w.dirty, name)
			if w.entries[name] != nil {
				gone = append(gone, name)
				delete(w.entries, name)
			}
			continue
		case err != nil:
			w.dirty[name] = now.Add(quiet)
			continue
		}
		e := w.entries[name]
		if e == nil {
			e = &watched{}
			w.entries[name] = e
		}
		switch {
		case look != e.seen:
			e.seen = look
			w.dirty[name] = now.Add(quiet)
		case look == e.published:
			delete(w.dirty, name)
		case !client.Settled(path):
			w.dirty[name] = now.Add(quiet)
		default:
			delete(w.dirty, name)
			if w.publish(name, path) {
				e.published = look
			} // else the next scan tries again
		}
	}
	w.leave(gone)
}

// look is client.LookAt for an entry. To the watcher there are only files and folders.
func (w *watcher) look(name string) (string, error) {
	path := filepath.Join(w.dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !publishable(info.Mode()) {
		return "", fs.ErrNotExist
	}
	return client.LookAt(path)
}

// publishable leaves out links in particular: what they lead to is not in the folder, and may
// not be meant for others.
func publishable(m fs.FileMode) bool { return m.IsDir() || m.IsRegular() }

// publish hands an entry over and says whether that was possible.
func (w *watcher) publish(name, path string) bool {
	_, err := w.d.addPublication(w.d.ctx, api.AddPublication{Path: path}, true)
	switch {
	case err == nil:
		delete(w.said, name)
	case w.d.ctx.Err() != nil || w.said[name]:
	default:
		w.said[name] = true
		w.d.log.Warn("not published", "path", path, "err", err)
	}
	return err == nil
}
