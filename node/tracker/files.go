package tracker

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"chordtorrent/communicator"
)

// torrent serves /t/NAME.torrent: the .torrent of a name, with this tracker
// and those of other nodes in it.
func (t *Tracker) torrent(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".torrent")
	if !ok {
		http.Error(w, "the path is /t/NAME.torrent", http.StatusNotFound)
		return
	}
	_, b, err := t.cfg.Ring.Torrent(r.Context(), name)
	if err != nil {
		t.refuse(w, fmt.Errorf("%q: %w", name, err))
		return
	}
	if b, err = communicator.WithTrackers(b, t.Tiers()); err != nil {
		t.refuse(w, fmt.Errorf("%q: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "application/x-bittorrent")
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name)+".torrent")
	_, _ = w.Write(b)
}

func (t *Tracker) refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if errors.Is(err, communicator.ErrNotFound) || errors.Is(err, communicator.ErrName) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

// listed is a name with its swarm.
type listed struct {
	Name      string    `json:"name"`
	Size      int64     `json:"size"`
	InfoHash  string    `json:"info_hash"`
	Published time.Time `json:"published"`
	Seeders   int       `json:"seeders"`
	Leechers  int       `json:"leechers"`
	Torrent   string    `json:"torrent"` // where the .torrent is, relative to the list
	Swarm     string    `json:"swarm"`   // where the page of its hosts is, too
}

const (
	listPage  = 100 // names on a page
	listAsked = 16  // swarms asked for at a time
)

// list gives a page of all names, by ?offset and ?search.
func (t *Tracker) list(r *http.Request) (page []listed, offset, total int, err error) {
	all, err := t.listings.get(r.Context())
	if err != nil {
		return nil, 0, 0, err
	}
	files := all.files
	if search := strings.ToLower(r.URL.Query().Get("search")); search != "" {
		var found []communicator.File
		for _, f := range files {
			if strings.Contains(strings.ToLower(f.Name), search) {
				found = append(found, f)
			}
		}
		files = found
	}
	total = len(files)
	if n, err := strconv.Atoi(r.URL.Query().Get("offset")); err == nil {
		offset = min(max(n, 0), total)
	}
	files = files[offset:min(offset+listPage, total)]
	page = make([]listed, len(files))
	turns := make(chan struct{}, listAsked)
	var wg sync.WaitGroup
	for i, f := range files {
		page[i] = listed{Name: f.Name, Size: f.Size, InfoHash: hex.EncodeToString(f.InfoHash[:]), Published: f.Published.UTC(), Torrent: "t/" + url.PathEscape(f.Name) + ".torrent", Swarm: "swarm?name=" + url.QueryEscape(f.Name)}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			n := all.count(r.Context(), &f)
			page[i].Seeders, page[i].Leechers = n.seeders, n.leechers
		})
	}
	wg.Wait()
	return page, offset, total, nil
}

func (t *Tracker) filesJSON(w http.ResponseWriter, r *http.Request) {
	page, offset, total, err := t.list(r)
	if err != nil {
		t.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"files": page, "offset": offset, "total": total})
}

// files is the report for people: names, not only hashes.
func (t *Tracker) files(w http.ResponseWriter, r *http.Request) {
	page, offset, total, err := t.list(r)
	if err != nil {
		t.refuse(w, err)
		return
	}
	var out bytes.Buffer
	err = report().Execute(&out, map[string]any{"Files": page, "Total": total, "Search": r.URL.Query().Get("search"),
		"First": offset + 1, "Last": offset + len(page), "Next": offset + listPage, "Previous": max(offset-listPage, 0), "More": offset+len(page) < total, "Less": offset > 0})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writePage(w, out.Bytes())
}

// writePage sends a page that has no script and shows in no other.
func writePage(w http.ResponseWriter, page []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(page)
}

var report = sync.OnceValue(func() *template.Template { return template.Must(template.New("files").Parse(reportText)) })

const reportText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>What the ring has</title><link rel="stylesheet" href="/style.css"></head><body>
<h1>What the ring has</h1>
<form method="get"><label for="search">Search</label> <input id="search" name="search" type="search" value="{{.Search}}"> <button type="submit">Find</button></form>
{{if .Files}}<p>{{.First}}–{{.Last}} of {{.Total}}{{if .Less}} <a href="?search={{.Search}}&amp;offset={{.Previous}}">previous</a>{{end}}{{if .More}} <a href="?search={{.Search}}&amp;offset={{.Next}}">next</a>{{end}}</p>
<table><thead><tr><th scope="col">Name</th><th scope="col">Bytes</th><th scope="col">Seeders</th><th scope="col">Leechers</th><th scope="col">Who has how much</th><th scope="col">Info hash</th></tr></thead><tbody>
{{range .Files}}<tr><td><a href="{{.Torrent}}">{{.Name}}</a></td><td>{{.Size}}</td><td>{{.Seeders}}</td><td>{{.Leechers}}</td><td><a href="{{.Swarm}}">hosts</a></td><td>{{.InfoHash}}</td></tr>{{end}}
</tbody></table>{{else}}<p>Nothing{{if .Search}} of that name{{end}}.</p>{{end}}
</body></html>
`
