package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/communicator"
	"chordtorrent/communicator/picture"
)

//go:embed templates
var templateFiles embed.FS

// templates are parsed when the first page is asked for: most commands show none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(words).ParseFS(templateFiles, "templates/*.html"))
})

// frame is what every page has around it.
type frame struct {
	Page   string // the template
	Title  string
	Status api.Status
	Body   any

	trackers func() []string
}

// Trackers are announce URLs for magnet links. Pages without one do not ask for them.
func (f frame) Trackers() []string { return f.trackers() }

// page shows a page. Whoever asks for a part only (the script, as things change) gets
// the template "PAGE-part".
func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, page, title string, body any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	f := frame{Page: page, Title: title, Body: body, trackers: func() []string { return s.trackers.now(r.Context()) }}
	var out bytes.Buffer
	var err error
	if r.URL.Query().Has("part") && templates().Lookup(page+"-part") != nil {
		err = templates().ExecuteTemplate(&out, page+"-part", f)
	} else {
		if page != "login" {
			f.Status, _ = s.status(r) // the frame does without
		}
		var inner bytes.Buffer
		if err = templates().ExecuteTemplate(&inner, page, f); err == nil {
			f.Body = template.HTML(inner.String())
			err = templates().ExecuteTemplate(&out, "frame", f)
		}
	}
	if err != nil {
		s.log.Error("a page cannot be shown", "name", page, "err", err)
		http.Error(w, "this page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// availablePage is what the ring has.
type availablePage struct {
	Query   daemon.Query
	Files   api.Files
	Lines   []availableLine
	Pages   paging
	Problem api.Problem
}

type availableLine struct {
	api.File
	Counted           bool
	Seeders, Leechers int
	Job               *api.Job // of this daemon, if it has one for the name
}

// paging is where a page of a list stands in it.
type paging struct {
	First, Last, Total int
	Previous, Next     string // addresses; empty: none
}

func pagingOf(r *http.Request, offset, limit, shown, total int) paging {
	p := paging{First: offset + 1, Last: offset + shown, Total: total}
	at := func(offset int) string {
		q := r.URL.Query()
		q.Del("part")
		q.Set("offset", strconv.Itoa(offset))
		return r.URL.Path + "?" + q.Encode()
	}
	if offset > 0 {
		p.Previous = at(max(offset-limit, 0))
	}
	if offset+shown < total {
		p.Next = at(offset + limit)
	}
	return p
}

const (
	// newListWithin is how long a page waits for the list of names as it is now,
	// listWithin how long for any.
	newListWithin = 700 * time.Millisecond
	listWithin    = 4 * time.Second
)

// countsWithin is how long a page waits for the numbers of seeders and leechers.
const countsWithin = 400 * time.Millisecond

func (s *Server) available(w http.ResponseWriter, r *http.Request) {
	p := availablePage{Query: queryOf(r)}
	p.Query.Limit = min(max(p.Query.Limit, 1), daemon.MaxPage)
	if !r.URL.Query().Has("part") {
		p.Query.Wait = newListWithin
	}
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	files, err := s.cfg.Daemon.Names.Find(ctx, p.Query)
	if err != nil {
		p.Problem = api.ProblemOf(err)
	}
	p.Files = files
	if files.Error != "" {
		p.Problem = api.Problem{Error: files.Error, Hint: files.Hint}
	}
	names := make([]string, len(files.Files))
	for i, f := range files.Files {
		names[i] = f.Name
	}
	mine, err := s.cfg.Daemon.Named(r.Context(), names)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, f := range files.Files {
		line := availableLine{File: f}
		if j, ok := mine[f.Name]; ok {
			line.Job = &j
		}
		p.Lines = append(p.Lines, line)
	}
	s.count(r.Context(), p.Lines)
	p.Pages = pagingOf(r, p.Query.Offset, p.Query.Limit, len(p.Lines), files.Total)
	s.page(w, r, http.StatusOK, "available", "Available", p)
}

// count asks for the swarms of a page, as far as there is time.
func (s *Server) count(ctx context.Context, lines []availableLine) {
	ctx, cancel := context.WithTimeout(ctx, countsWithin)
	defer cancel()
	files := make([]communicator.File, len(lines))
	for i, l := range lines {
		files[i].Name = l.Name
		_, _ = hex.Decode(files[i].InfoHash[:], []byte(l.InfoHash)) // which Catalog has written
	}
	i := 0
	_ = client.ListSwarms(ctx, s.cfg.Ring, files, func(l client.Listed) error {
		lines[i].Counted, lines[i].Seeders, lines[i].Leechers = true, l.Seeders, l.Leechers
		i++
		return nil
	}) // what cannot be counted in time is shown as not known
}

// shownJobs is how many jobs the page of downloads shows.
const shownJobs = 300

func (s *Server) downloads(w http.ResponseWriter, r *http.Request) {
	jobs, total, err := s.cfg.Daemon.Page(r.Context(), func(j api.Job) bool {
		return j.Kind == api.Download || (j.State != api.Done && j.State != api.Cancelled) // else under My files
	}, 0, shownJobs)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	settings, err := s.cfg.Daemon.Settings(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	type body struct {
		Jobs     []api.Job
		More     int
		Settings api.Settings
	}
	s.page(w, r, http.StatusOK, "downloads", "Downloads", body{jobs, total - len(jobs), settings})
}

func (s *Server) job(w http.ResponseWriter, r *http.Request) {
	job, err := s.cfg.Daemon.Job(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, "job", job.Name, job)
}

func (s *Server) mine(w http.ResponseWriter, r *http.Request) {
	q := queryOf(r)
	limit := min(max(q.Limit, 1), daemon.MaxPage)
	jobs, total, err := s.cfg.Daemon.Page(r.Context(), func(j api.Job) bool {
		return j.State == api.Done || (j.Kind == api.Publication && j.State != api.Cancelled)
	}, q.Offset, limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	type body struct {
		Jobs  []api.Job
		Pages paging
	}
	s.page(w, r, http.StatusOK, "mine", "My files", body{jobs, pagingOf(r, q.Offset, limit, len(jobs), total)})
}

func (s *Server) swarm(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	fleet, err := s.cfg.Daemon.Fleet(r.Context(), name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	type body struct {
		Name  string
		Shown api.Shown
		Hosts []daemon.Host
		Last  *int64
	}
	b := body{Name: name, Shown: api.ShownOf(name, fleet.Shown), Hosts: fleet.Hosts}
	if fleet.Last > 0 {
		sec := int64(fleet.Last / time.Second)
		b.Last = &sec
	}
	s.page(w, r, http.StatusOK, "swarm", name, b)
}

func (s *Server) ring(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	type body struct {
		Ring    communicator.Ring
		Words   api.Ring
		Picture template.HTML
		Problem api.Problem
	}
	var b body
	ring, err := s.cfg.Ring.Ring(ctx)
	if err != nil {
		b.Problem = api.ProblemOf(err)
	} else {
		b.Ring, b.Words, b.Picture = ring, api.RingOf(ring), picture.SVG(ring.Members, ring.Self.ID, "the node asked")
	}
	s.page(w, r, http.StatusOK, "ring", "Ring", b)
}

// live tells the script of jobs as they change: the lines that show them.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	type line struct {
		ID   string `json:"id"`
		HTML string `json:"html"`
	}
	s.stream(w, r, true, func(out *bytes.Buffer, jobs []api.Job, gone []string) {
		for _, j := range jobs {
			var html bytes.Buffer
			if err := templates().ExecuteTemplate(&html, "job-line", j); err != nil {
				s.log.Error("a line cannot be shown", "err", err)
				return
			}
			event(out, "line", line{j.ID, html.String()})
		}
		for _, id := range gone {
			event(out, "removed", id)
		}
		if st, err := s.status(r); err == nil {
			event(out, "rates", map[string]string{"down": formatRate(st.RateDown), "up": formatRate(st.RateUp)})
		}
	})
}

// back is the page that a form stands on.
func back(r *http.Request) string {
	if u, err := url.Parse(r.Referer()); err == nil && u.Host == r.Host && u.Path != "" {
		return u.RequestURI()
	}
	return "/"
}
