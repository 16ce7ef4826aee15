package web

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// safeTypes are what a browser may show by itself. Whatever could carry a script of
// its own is shown as text or handed over as a file.
var safeTypes = map[string]string{
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".ogv": "video/ogg",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav", ".m4a": "audio/mp4",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".bmp": "image/bmp",
	".pdf": "application/pdf",
}

const plainText = "text/plain; charset=utf-8"

func init() {
	for _, ext := range strings.Fields(".txt .log .md .csv .tsv .json .yaml .yml .toml .xml .html .htm .css .js .go .c .h .cc .py .sh .rs .sha256 .sha256sum .md5 .sig .asc .nfo .conf .ini") {
		safeTypes[ext] = plainText
	}
}

// contentType says how a file is served, and whether a browser is to save it instead
// of showing it.
func contentType(name string) (kind string, save bool) {
	if kind, ok := safeTypes[strings.ToLower(path.Ext(name))]; ok {
		return kind, false
	}
	return "application/octet-stream", true
}

// scriptless says that what is served as kind cannot carry a script. A browser's own
// viewers and players do not run in a sandbox: what is in one has no origin, and may not
// load even itself.
func scriptless(kind string) bool {
	family, _, _ := strings.Cut(kind, "/")
	switch family {
	case "video", "audio":
		return true
	case "image":
		return kind != "image/svg+xml"
	}
	return kind == "application/pdf"
}

// disposition is a header that says under which name something is shown (inline) or saved
// (attachment): plain for old browsers, and in full (RFC 6266).
func disposition(how, name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, name)
	return fmt.Sprintf(`%s; filename="%s"; filename*=UTF-8''%s`, how, plain, strings.ReplaceAll(url.QueryEscape(name), "+", "%20"))
}

// content serves a file of a job, whole or in ranges, also while it is coming in: then
// what is asked for is fetched first. A directory is a list of its files.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	within := r.PathValue("path")
	if within != "" && !fs.ValidPath(within) {
		s.fail(w, r, fmt.Errorf("%w: %q is not a path within a download", client.ErrUsage, within))
		return
	}
	dl, job, err := s.cfg.Daemon.Content(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		s.fail(w, r, err)
	case dl != nil:
		s.arriving(w, r, dl, job, within)
	case job.State != api.Done:
		s.refuse(w, r, http.StatusConflict, fmt.Sprintf("%q is %s: there is nothing to open yet", job.Name, job.State), "resume it; it can be opened while it is coming in")
	default:
		s.complete(w, r, job, within)
	}
}

// seed serves a torrent's files to a client that takes this daemon for a web seed (BEP 19):
// below the info hash they are in a directory of the torrent's name, or the one file bears
// that. The info hash keeps versions apart.
func (s *Server) seed(w http.ResponseWriter, r *http.Request) {
	_, within, _ := strings.Cut(r.PathValue("path"), "/")
	if within != "" && !fs.ValidPath(within) {
		s.fail(w, r, fmt.Errorf("%w: %q is not a path within a torrent", client.ErrUsage, within))
		return
	}
	dl, job, err := s.cfg.Daemon.Held(r.Context(), r.PathValue("hash"))
	switch {
	case err != nil:
		s.fail(w, r, err)
	case dl != nil:
		s.arriving(w, r, dl, job, within)
	default:
		s.complete(w, r, job, within)
	}
}

// arriving serves from a download under way.
func (s *Server) arriving(w http.ResponseWriter, r *http.Request, dl *client.Download, job api.Job, within string) {
	files := dl.Files()
	for i, f := range files {
		if f.Pad || (within != f.Path && len(files) > 1) {
			continue
		}
		in := dl.Open(r.Context(), i)
		defer in.Close()
		s.send(w, r, path.Base(f.Path), time.Time{}, in)
		return
	}
	if within != "" {
		s.refuse(w, r, http.StatusNotFound, fmt.Sprintf("%q has no file %q", job.Name, within), "")
		return
	}
	var list []fileLine
	for _, f := range files {
		if !f.Pad {
			list = append(list, fileLine{Path: f.Path, Size: f.Length})
		}
	}
	s.page(w, r, http.StatusOK, "tree", job.Name, treePage{Job: job, Files: list})
}

// complete serves from the disk. Nothing outside of what the job names is reached,
// also not by a symbolic link.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, job api.Job, within string) {
	root, name := filepath.Split(job.Path)
	info, err := os.Stat(job.Path)
	if err == nil && info.IsDir() {
		root, name = job.Path, within
		if within == "" {
			s.tree(w, r, job)
			return
		}
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("%w: %s: %w", communicator.ErrNotFound, job.Name, err))
		return
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer dir.Close()
	f, err := dir.Open(filepath.FromSlash(name))
	if err == nil {
		defer f.Close()
		info, err = f.Stat()
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("%w: %s: %w", communicator.ErrNotFound, job.Name, err))
		return
	}
	if within == "" {
		name = job.Name // the target may be called otherwise
	}
	s.send(w, r, path.Base(name), info.ModTime(), f)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, name string, modified time.Time, in io.ReadSeeker) {
	kind, save := contentType(name)
	h := w.Header()
	h.Set("Content-Type", kind)
	// Whatever it is, it is not one of our pages, and can do nothing in their name.
	policy := "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'; frame-ancestors 'none'"
	if !scriptless(kind) {
		policy += "; sandbox"
	}
	h.Set("Content-Security-Policy", policy)
	how := "inline"
	if save || r.URL.Query().Has("save") {
		how = "attachment"
	}
	h.Set("Content-Disposition", disposition(how, name))
	http.ServeContent(w, r, name, modified, in)
}

// maxTree is how many files a list shows.
const maxTree = 10000

type fileLine struct {
	Path string
	Size int64
}

type treePage struct {
	Job   api.Job
	Files []fileLine
	More  bool
}

var errEnough = errors.New("enough")

func (s *Server) tree(w http.ResponseWriter, r *http.Request, job api.Job) {
	p := treePage{Job: job}
	err := filepath.WalkDir(job.Path, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if len(p.Files) == maxTree {
			p.More = true
			return errEnough
		}
		rel, err := filepath.Rel(job.Path, file)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		p.Files = append(p.Files, fileLine{Path: filepath.ToSlash(rel), Size: info.Size()})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		s.fail(w, r, fmt.Errorf("%w: %w", communicator.ErrNotFound, err))
		return
	}
	s.page(w, r, http.StatusOK, "tree", job.Name, p)
}
