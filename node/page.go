package node

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
	"chordtorrent/communicator/picture"
)

// statusPage is what a person sees who opens the node in a browser.
type statusPage struct {
	chord.Status
	Secret   string
	Repaired string
	Picture  template.HTML
	Whole    bool
}

const pageStyle = `:root{color-scheme:light dark;--back:#fafbfc;--text:#1c2530;--quiet:#55616f;--line:#d5dbe2;--accent:#1d5f9e;--self:#c26a00;--good:#1f7a3d;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--back:#12161b;--text:#e4e9ef;--quiet:#9dabba;--line:#323c48;--accent:#6fb1ee;--self:#f0a04b;--good:#6ccf8b;--warn:#e8b354}}
body{font:16px/1.45 -apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",system-ui,sans-serif;margin:0 auto;max-width:960px;padding:8px 20px 40px;background:var(--back);color:var(--text)}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem}.two{display:flex;flex-wrap:wrap;gap:24px;align-items:center}.ringpic{flex:1 1 380px;max-width:100%}.two dl{flex:1 1 360px;min-width:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
.good{color:var(--good)}.warn{color:var(--warn)}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line)}td+td{overflow-wrap:anywhere}
a{color:var(--accent)}
.ring{stroke:var(--line);stroke-width:3}.member{fill:var(--accent);stroke:var(--back)}.self{fill:var(--self)}.ring.self{fill:none;stroke:var(--self);stroke-width:2}
.label,.other:hover .member,.other:focus .member{fill:var(--text)}.label.self{font-weight:bold}.note{fill:var(--quiet)}
.other{outline:none}.other:hover .label,.other:focus .label{visibility:visible}.ringpic:has(.other:hover) .other:focus:not(:hover) .label{visibility:hidden}`

var statusTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("status").Funcs(template.FuncMap{"address": address}).Parse(statusText))
})

const statusText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5">
<title>chordnode {{.Self.Addr}}</title><link rel="stylesheet" href="/style.css"></head><body>
<h1>chordnode {{.Self.Addr}}</h1>
<p class="{{if .Whole}}good{{else}}warn{{end}}">{{if .Trouble}}It cannot write to its disk: {{.Trouble}}{{else if .Whole}}whole: every key of its own has the copies that it should have{{else}}{{.State}}; being repaired: {{.UnderReplicated}} {{if eq .UnderReplicated 1}}key has fewer copies than it should{{else}}keys have fewer copies than they should{{end}}, {{.IncompleteRanges}} {{if eq .IncompleteRanges 1}}range is{{else}}ranges are{{end}} being filled{{end}}</p>
<div class="two">{{.Picture}}<dl>
<dt>State</dt><dd>{{.State}}</dd><dt>Cluster</dt><dd>{{.Cluster}}</dd><dt>Secret</dt><dd>{{.Secret}}</dd><dt>Members</dt><dd>{{len .Members}}</dd>
<dt>Keys held</dt><dd>{{.Keys}} on disk ({{.Bytes}} bytes), {{.SoftKeys}} in memory</dd><dt>Under-replicated</dt><dd>{{.UnderReplicated}}</dd>
<dt>Ranges being filled</dt><dd>{{.IncompleteRanges}}</dd><dt>Last repair</dt><dd>{{.Repaired}}</dd><dt>Identifier</dt><dd>{{.Self.ID}}</dd><dt>Version</dt><dd>{{.Version}}</dd>
<dt>For machines</dt><dd><a href="/metrics">metrics</a>, <a href="/healthz">health</a></dd></dl></div>
<h2>Members, in ring order</h2>
<table><thead><tr><th scope="col">Address</th><th scope="col">Identifier</th></tr></thead><tbody>
{{$self := .Self.ID}}{{range .Members}}<tr><td>{{address .Addr}}{{if eq .ID $self}} (this one){{end}}</td><td>{{.ID}}</td></tr>{{end}}
</tbody></table></body></html>
`

// address may be broken between its numbers, where there is no room, and not within one.
func address(addr string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(addr), ":", "<wbr>:"))
}

// serveStyle gives the look of the page: a page without a script and without inline
// style can forbid both.
func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write([]byte(pageStyle))
}

// wantsHTML tells a browser from a person with curl.
func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func (n *Node) writePage(w http.ResponseWriter, st chord.Status) {
	p := statusPage{Status: st, Secret: n.secretWords(), Repaired: repairedWords(st),
		Whole: st.UnderReplicated == 0 && st.IncompleteRanges == 0 && st.Trouble == "" && st.State == "member"}
	members := make([]communicator.Member, len(st.Members))
	for i, m := range st.Members {
		members[i] = communicator.Member{ID: m.ID, Addr: m.Addr}
	}
	p.Picture = picture.SVG(members, st.Self.ID, "this node")
	var out bytes.Buffer
	if err := statusTemplate().Execute(&out, p); err != nil {
		http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(out.Bytes())
}

func repairedWords(st chord.Status) string {
	if st.LastRepair == 0 {
		return "never"
	}
	return time.UnixMilli(st.LastRepair).UTC().Format(time.RFC3339)
}
