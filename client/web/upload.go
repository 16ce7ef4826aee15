package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// errExists means that Storage has something else where an upload would go.
var errExists = errors.New("there is something of that name in Storage already")

// errComing means that a download of that name is to go there.
var errComing = errors.New("it is being downloaded")

// oldSuffix ends the folder that what an upload replaces is moved to: ID.old/NAME.
const oldSuffix = ".old"

// uploads are files that browsers bring to be published: each in a folder of its own
// until it is complete, then moved to files/NAME.
type uploads struct {
	dir string

	mu   sync.Mutex
	open map[string]string // id -> name
}

// openUploads removes what was begun before. What was moved aside, and not replaced
// because the process died in between, goes back to the directory files.
func openUploads(dir, files string) (*uploads, error) {
	aside, err := fs.Glob(os.DirFS(dir), "*"+oldSuffix+"/*")
	if err != nil {
		return nil, fmt.Errorf("looking at unfinished uploads: %w", err)
	}
	for _, old := range aside {
		to := filepath.Join(files, path.Base(old))
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(filepath.Join(dir, old), to); err != nil {
			return nil, fmt.Errorf("putting back what an upload was to replace: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing unfinished uploads: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making room for uploads: %w", err)
	}
	return &uploads{dir: dir, open: make(map[string]string)}, nil
}

func (u *uploads) name(id string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name, ok := u.open[id]
	if !ok {
		return "", fmt.Errorf("%w: there is no upload %q", communicator.ErrNotFound, id)
	}
	return name, nil
}

// drop removes an upload, if it was not finished.
func (u *uploads) drop(id string) error {
	u.mu.Lock()
	delete(u.open, id)
	u.mu.Unlock()
	return os.RemoveAll(filepath.Join(u.dir, filepath.Base(id)))
}

// maxUploads bounds what is begun and not finished.
const maxUploads = 100

func (s *Server) beginUpload(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Name string `json:"name"`
	}
	if err := decode(r, &req); err != nil {
		s.fail(w, r, err)
		return
	}
	id, err := s.uploads.begin(req.Name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.json(w, http.StatusCreated, map[string]string{"id": id})
}

// begin makes the folder of a new upload.
func (u *uploads) begin(name string) (id string, err error) {
	if err := communicator.CheckName(name); err != nil {
		return "", fmt.Errorf("%w: %w", client.ErrUsage, err)
	}
	id = rand.Text()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.open) >= maxUploads {
		return "", fmt.Errorf("%w: %d uploads were begun and not ended", client.ErrUsage, len(u.open))
	}
	if err := os.Mkdir(filepath.Join(u.dir, id), 0o755); err != nil {
		return "", err
	}
	u.open[id] = name
	return id, nil
}

// putUpload stores one file of an upload.
func (s *Server) putUpload(w http.ResponseWriter, r *http.Request) {
	if err := s.uploads.put(r.PathValue("id"), r.PathValue("path"), r.Body, r.ContentLength); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (u *uploads) put(id, file string, body io.Reader, length int64) error {
	if _, err := u.name(id); err != nil {
		return err
	}
	if !fs.ValidPath(file) || file == "." || strings.ContainsRune(file, 0) {
		return fmt.Errorf("%w: %q is not the path of a file", client.ErrUsage, file)
	}
	root, err := os.OpenRoot(filepath.Join(u.dir, id))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return fmt.Errorf("storing %s: %w", file, err)
	}
	f, err := root.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("storing %s: %w", file, err)
	}
	n, err := io.Copy(f, body)
	if err == nil && length >= 0 && n != length {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("storing %s: %w", file, errors.Join(err, root.Remove(file)))
	}
	return nil
}

// endUpload publishes what came.
func (s *Server) endUpload(w http.ResponseWriter, r *http.Request) {
	job, err := s.finish(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.json(w, http.StatusOK, job)
}

func (s *Server) finish(ctx context.Context, id string) (api.Job, error) {
	u := s.uploads
	name, err := u.name(id)
	if err != nil {
		return api.Job{}, err
	}
	from := filepath.Join(u.dir, id)
	entries, err := os.ReadDir(from)
	switch {
	case err != nil:
		return api.Job{}, err
	case len(entries) == 0:
		return api.Job{}, fmt.Errorf("%w: nothing was uploaded", client.ErrUsage)
	case len(entries) == 1: // the file, or the folder, that a person chose
		from = filepath.Join(from, entries[0].Name())
	}
	to := filepath.Join(s.cfg.Client.Storage().FilesDir(), name)
	if err := s.mayReplace(ctx, name, to); err != nil {
		return api.Job{}, err
	}
	aside := filepath.Join(u.dir, id+oldSuffix)
	if err := replace(from, to, aside); err != nil {
		return api.Job{}, fmt.Errorf("keeping the upload of %q: %w", name, err)
	}
	job, err := s.cfg.Daemon.AddPublication(ctx, api.AddPublication{Path: to, Name: name})
	if err != nil { // the name is taken, say: all is as before, and the upload can be ended again
		return api.Job{}, errors.Join(err, putBack(from, to, aside))
	}
	if err := errors.Join(u.drop(id), os.RemoveAll(aside)); err != nil {
		s.log.Warn("leftovers of an upload stay", "name", name, "err", err)
	}
	return job, nil
}

// mayReplace allows an earlier upload of the same name to be replaced, and nothing else;
// nor is a place taken where a download is to go.
func (s *Server) mayReplace(ctx context.Context, name, to string) error {
	coming, _, err := s.cfg.Daemon.Page(ctx, func(j api.Job) bool {
		return j.Kind == api.Download && !j.State.Ended() && j.Path == to
	}, 0, 1)
	switch {
	case err != nil:
		return err
	case len(coming) > 0:
		return &client.Hint{Err: fmt.Errorf("%q is taken: %w, to %s", name, errComing, to), Next: "choose another name, or cancel job " + coming[0].ID[:8]}
	}
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	_, job, err := s.cfg.Daemon.Content(ctx, client.RecordID(client.Published, name, ""))
	if err != nil || job.Path != to {
		return &client.Hint{Err: fmt.Errorf("%w: %s", errExists, to), Next: "choose another name, or move it away"}
	}
	return nil
}

// replace moves what is at to into a new folder aside, and from in its place. When the
// second cannot be done the first is undone. Two moves, since a folder is not replaced by one.
func replace(from, to, aside string) error {
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return err
	}
	defer os.Remove(aside) // stays if something is in it
	old := filepath.Join(aside, filepath.Base(to))
	if err := os.Rename(to, old); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(from, to)
	} else if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Rename(old, to))
	}
	return nil
}

// putBack undoes replace.
func putBack(from, to, aside string) error {
	if err := os.Rename(to, from); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(aside, filepath.Base(to)), to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(aside))
	}
	return nil
}

func (s *Server) dropUpload(w http.ResponseWriter, r *http.Request) {
	if _, err := s.uploads.name(r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.uploads.drop(r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
