package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/communicator"
)

//go:embed static
var static embed.FS

// Config is what a Server needs.
type Config struct {
	Daemon  *daemon.Daemon
	Client  *client.Client
	Ring    *communicator.Communicator
	Token   string // what a program, or somebody on another machine, has to show
	Version string
	Cluster string
	// NeedToken asks everybody for the token: others than this machine can connect.
	NeedToken bool
	Hosts     []string // further names that this machine is reached by
	Log       *slog.Logger
}

// Server shows a daemon. It is an http.Handler.
type Server struct {
	cfg     Config
	hosts   []string
	handler http.Handler
	log     *slog.Logger
	uploads *uploads
	// trackers of the ring, for magnet links
	trackers trackers
}

// New makes a Server. What browsers had begun to bring before is removed.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, hosts: ownHosts(cfg.Hosts), log: cfg.Log, trackers: trackers{ring: cfg.Ring}}
	var err error
	storage := cfg.Client.Storage()
	if s.uploads, err = openUploads(filepath.Join(storage.Dir(), "uploads"), storage.FilesDir()); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.programs(mux)
	s.browsers(mux)
	s.handler = s.guard(mux)
	return s, nil
}

// ServeHTTP implements http.Handler. Without Serving everybody has to show the token.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serving is an http.Server for s, with limits on those who dawdle. What takes its
// time (events, files, uploads) has none of its own.
func (s *Server) Serving() *http.Server {
	return &http.Server{
		Handler: s, ConnContext: withUser, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// browsers are the paths of pages.
func (s *Server) browsers(mux *http.ServeMux) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // it is in the program
	}
	assets := http.StripPrefix("/static/", http.FileServerFS(files))
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		assets.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/available", http.StatusSeeOther) })
	mux.HandleFunc("GET /available", s.available)
	mux.HandleFunc("GET /downloads", s.downloads)
	mux.HandleFunc("GET /jobs/{id}", s.job)
	mux.HandleFunc("GET /mine", s.mine)
	mux.HandleFunc("GET /publish", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, http.StatusOK, "publish", "Publish", nil) })
	mux.HandleFunc("GET /swarm/{name}", s.swarm)
	mux.HandleFunc("GET /ring", s.ring)
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /live", s.live)
	mux.HandleFunc("POST /do/{what}", s.act)
	mux.HandleFunc("GET /content/{id}", s.content)
	mux.HandleFunc("GET /content/{id}/{path...}", s.content)
	mux.HandleFunc("GET /seed/{hash}/{path...}", s.seed)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "icon.svg") })
	mux.HandleFunc("/", s.nothing(mux, "the links above lead to all there are"))
}

// nothing answers for what mux has not: a path, or what is to be done with it.
func (s *Server) nothing(mux *http.ServeMux, next string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); strings.HasPrefix(pattern, method+" ") {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			s.refuse(w, r, http.StatusNotFound, "there is no "+r.URL.Path, next)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.refuse(w, r, http.StatusMethodNotAllowed, fmt.Sprintf("there is no %s %s: use %s", r.Method, r.URL.Path, strings.Join(allowed, " or ")), next)
	}
}

// statusOf is the HTTP status for how an error would end a command.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errExists), errors.Is(err, errComing):
		return http.StatusConflict
	case errors.Is(err, daemon.ErrClosed), errors.Is(err, communicator.ErrNotReady), errors.Is(err, communicator.ErrUnavailable):
		return http.StatusServiceUnavailable
	case errors.Is(err, os.ErrNotExist):
		return http.StatusNotFound
	}
	switch api.CodeOf(err) {
	case api.CodeUsage:
		return http.StatusBadRequest
	case api.CodeNotFound:
		return http.StatusNotFound
	case api.CodeNoRing:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with an error, as a page or as JSON.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.problem(w, r, statusOf(err), api.ProblemOf(err))
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, what, next string) {
	code := api.CodeFailed
	switch status {
	case http.StatusNotFound:
		code = api.CodeNotFound
	case http.StatusMethodNotAllowed:
		code = api.CodeUsage
	}
	s.problem(w, r, status, api.Problem{Error: what, Hint: next, Code: code})
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, p api.Problem) {
	if isPage(r) && r.Header.Get("X-Live") == "" {
		s.page(w, r, status, "problem", "That did not work", p)
		return
	}
	s.json(w, status, p)
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // who has gone needs no answer
}
