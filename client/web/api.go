package web

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
)

// maxBody bounds the JSON of a request.
const maxBody = 64 << 10

// programs are the paths of the interface for programs.
func (s *Server) programs(mux *http.ServeMux) {
	handle := func(method, path string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(method+" "+api.Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := f(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			if v == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			s.json(w, http.StatusOK, v)
		})
	}
	d := s.cfg.Daemon
	handle("GET", "/status", func(r *http.Request) (any, error) { return s.status(r) })
	handle("GET", "/settings", func(r *http.Request) (any, error) { return d.Settings(r.Context()) })
	handle("PATCH", "/settings", func(r *http.Request) (any, error) { return take(r, d.ChangeSettings) })
	handle("GET", "/jobs", func(r *http.Request) (any, error) { return d.Jobs(r.Context()) })
	handle("GET", "/jobs/{id}", func(r *http.Request) (any, error) { return d.Job(r.Context(), r.PathValue("id")) })
	handle("PATCH", "/jobs/{id}", func(r *http.Request) (any, error) {
		return take(r, func(ctx context.Context, c api.Change) (api.Job, error) { return d.Change(ctx, r.PathValue("id"), c) })
	})
	handle("DELETE", "/jobs/{id}", func(r *http.Request) (any, error) {
		discard, err := discards(r)
		if err != nil {
			return nil, err
		}
		return nil, d.Remove(r.Context(), r.PathValue("id"), discard)
	})
	handle("POST", "/jobs/{id}/{what}", func(r *http.Request) (any, error) {
		discard, err := discards(r)
		if err != nil {
			return nil, err
		}
		return s.steer(r.Context(), r.PathValue("what"), r.PathValue("id"), discard)
	})
	handle("POST", "/downloads", func(r *http.Request) (any, error) { return take(r, d.AddDownload) })
	handle("POST", "/publications", func(r *http.Request) (any, error) { return take(r, d.AddPublication) })
	handle("DELETE", "/files/{name}", func(r *http.Request) (any, error) { return nil, d.Unpublish(r.Context(), r.PathValue("name")) })
	handle("GET", "/files", func(r *http.Request) (any, error) { return d.Names.Find(r.Context(), queryOf(r)) })
	handle("GET", "/files/{name}", func(r *http.Request) (any, error) {
		shown, err := s.cfg.Client.Show(r.Context(), r.PathValue("name"))
		if err != nil {
			return nil, err
		}
		return api.ShownOf(r.PathValue("name"), shown), nil
	})
	handle("GET", "/held", func(*http.Request) (any, error) { return s.allHeld() })
	handle("GET", "/ring", func(r *http.Request) (any, error) {
		ring, err := s.cfg.Ring.Ring(r.Context())
		if err != nil {
			return nil, err
		}
		return api.RingOf(ring), nil
	})
	handle("POST", "/visit", func(r *http.Request) (any, error) {
		last, err := d.Visit(r.Context())
		return map[string]api.Time{"last": {Time: last}}, err
	})
	mux.HandleFunc("GET "+api.Prefix+"/files/{name}/torrent", s.torrent)
	mux.HandleFunc("GET "+api.Prefix+"/events", s.events)
	mux.HandleFunc("PUT "+api.Prefix+"/jobs/{id}/data", s.bring)
	mux.HandleFunc("POST "+api.Prefix+"/uploads", s.beginUpload)
	mux.HandleFunc("PUT "+api.Prefix+"/uploads/{id}/{path...}", s.putUpload)
	mux.HandleFunc("POST "+api.Prefix+"/uploads/{id}", s.endUpload)
	mux.HandleFunc("DELETE "+api.Prefix+"/uploads/{id}", s.dropUpload)
	mux.HandleFunc(api.Prefix+"/", s.nothing(mux, "docs/api.md lists what there is"))
}

// bring gives a publication the bytes that a command sends.
func (s *Server) bring(w http.ResponseWriter, r *http.Request) {
	stop := func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }
	if err := s.cfg.Daemon.Bring(r.Context(), r.PathValue("id"), r.Body, stop); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) status(r *http.Request) (api.Status, error) {
	st, err := s.cfg.Daemon.Status(r.Context())
	st.Version, st.Cluster = s.cfg.Version, s.cfg.Cluster
	return st, err
}

// take reads the JSON of a request and does with it what it asks for.
func take[T, V any](r *http.Request, do func(context.Context, T) (V, error)) (any, error) {
	var asked T
	if err := decode(r, &asked); err != nil {
		return nil, err
	}
	return do(r.Context(), asked)
}

// steer does to a job what a word says; discard is for cancel.
func (s *Server) steer(ctx context.Context, what, id string, discard bool) (api.Job, error) {
	d := s.cfg.Daemon
	switch what {
	case "pause":
		return d.Pause(ctx, id)
	case "resume":
		return d.Resume(ctx, id)
	case "retry":
		return d.Retry(ctx, id)
	case "cancel":
		return d.Cancel(ctx, id, discard)
	}
	return api.Job{}, fmt.Errorf("%w: a job is not to be %q: use pause, resume, retry or cancel", client.ErrUsage, what)
}

// discards reads whether the data is to go as well.
func discards(r *http.Request) (bool, error) {
	switch data := r.URL.Query().Get("data"); data {
	case "", "keep":
		return false, nil
	case "delete":
		return true, nil
	default:
		return false, fmt.Errorf("%w: data=%q: use keep or delete", client.ErrUsage, data)
	}
}

// decode reads the JSON of a request. What it does not know is an error: a word that
// is misspelt must not go unnoticed.
func decode(r *http.Request, v any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: the request's JSON: %w", client.ErrUsage, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the request's JSON is followed by something else, or longer than %d bytes", client.ErrUsage, maxBody)
	}
	return nil
}

// pageSize is how many names a page has, unless somebody asks for more.
const pageSize = 50

func queryOf(r *http.Request) daemon.Query {
	q := r.URL.Query()
	number := func(key string, otherwise int) int {
		if n, err := strconv.Atoi(q.Get(key)); err == nil && n >= 0 {
			return n
		}
		return otherwise
	}
	return daemon.Query{Search: q.Get("search"), Sort: q.Get("sort"), Offset: number("offset", 0), Limit: number("limit", pageSize)}
}

// torrent gives the .torrent of a name; with here that of the version which this daemon
// has, and no ring is asked.
func (s *Server) torrent(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	var metainfo []byte
	var err error
	if r.URL.Query().Has("here") {
		if metainfo, err = s.cfg.Daemon.Torrent(r.Context(), name); err != nil {
			err = &client.Hint{Err: fmt.Errorf("this daemon has no file %q: %w", name, err), Next: "btclient downloads shows what it has"}
		}
	} else {
		_, metainfo, err = s.cfg.Client.Torrent(r.Context(), name)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-bittorrent")
	w.Header().Set("Content-Disposition", disposition("attachment", name+".torrent"))
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha1.Sum(metainfo)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(metainfo))
}

// allHeld lists what Storage has all of.
func (s *Server) allHeld() ([]api.File, error) {
	all, err := s.cfg.Client.Storage().AllHeld()
	files := make([]api.File, len(all))
	for i, h := range all {
		files[i] = api.FileOf(h)
	}
	return files, err
}
