package web

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
)

// words are the functions that templates have.
var words = template.FuncMap{
	"bytes": client.FormatBytes, "rate": formatRate, "left": formatLeft, "percent": client.Percent, "ago": ago, "stamp": stamp,
	"count": count, "magnet": magnet, "path": url.PathEscape, "plot": plot, "pieces": pieceMap, "state": stateWords,
	"shares": shares, "order": order, "subpath": subpath, "decimal": decimal,
	"sortkey": sortKey, "button": button, "mib": mib, "speed": speed, "visible": client.Visible, "address": address, "eta": eta, "fleetshare": fleetShare,
}

func formatRate(n int64) string {
	if n == 0 {
		return "–"
	}
	return client.FormatBytes(n) + "/s"
}

func formatLeft(seconds *int64) string {
	if seconds == nil {
		return ""
	}
	return duration(time.Duration(*seconds)*time.Second) + " left"
}

// duration is a time in its two largest units.
func duration(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d days", s/86400)
}

func decimal(v float64) string { return fmt.Sprintf("%.1f", v) }

func ago(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := time.Since(t)
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < 60*24*time.Hour:
		return duration(d) + " ago"
	}
	return t.Local().Format("2 Jan 2006")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// magnet is a link that any BitTorrent client can begin by.
func magnet(infoHash, name string, trackers []string) template.URL {
	link := "magnet:?xt=urn:btih:" + infoHash + "&dn=" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	for _, t := range trackers {
		link += "&tr=" + url.QueryEscape(t)
	}
	return template.URL(link)
}

// address is HOST:PORT that breaks before the port, and within an IPv6 address after a
// colon, if it has to. What is no such address, as that of a web seed, stays as it is.
func address(addr string) template.HTML {
	ap, err := netip.ParseAddrPort(addr)
	shown := template.HTMLEscapeString(client.Visible(addr))
	if err != nil || ap.Addr().Zone() != "" {
		return template.HTML(shown)
	}
	at := strings.LastIndexByte(shown, ':')
	return template.HTML(`<span class="addr">` + strings.ReplaceAll(shown[:at], ":", ":<wbr>") + "<wbr>" + shown[at:] + "</span>")
}

// subpath escapes a path but for its slashes.
func subpath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// stateWords says in one word or two how a job is.
func stateWords(j api.Job) string {
	switch {
	case j.State == api.Running && j.Stage != "":
		return j.Stage
	case j.State == api.Done && j.Serving:
		return "serving"
	case j.State == api.Done:
		return "done"
	}
	return string(j.State)
}

// order is where a job stands in a list: smaller ones first, as strings. It is the order
// of Daemon.Jobs.
func order(j api.Job) string {
	if !j.State.Ended() {
		return fmt.Sprintf("%d-%06d-%020d", j.State.Rank(), daemon.MaxPriority-j.Priority, j.Added.UnixNano())
	}
	return fmt.Sprintf("%d-%020d", j.State.Rank(), math.MaxInt64-max(j.Finished.UnixMilli(), 0))
}

// plot draws what came (filled) and what went (a line) in each of the last seconds.
func plot(rates []api.Rate) template.HTML {
	const w, h, n = 480.0, 80.0, 120
	most := int64(1)
	for _, r := range rates {
		most = max(most, r.Down, r.Up)
	}
	line := func(of func(api.Rate) int64) string {
		var b strings.Builder
		for i, r := range rates {
			fmt.Fprintf(&b, "%.1f,%.1f ", w-float64(len(rates)-1-i)*w/(n-1), h-(h-4)*float64(of(r))/float64(most))
		}
		return strings.TrimSpace(b.String())
	}
	down, up := line(func(r api.Rate) int64 { return r.Down }), line(func(r api.Rate) int64 { return r.Up })
	if len(rates) > 0 {
		down = fmt.Sprintf("%.1f,%g %s %g,%g", w-float64(len(rates)-1)*w/(n-1), h, down, w, h)
	}
	return template.HTML(fmt.Sprintf(`<svg class="plot" viewBox="0 0 %g %g" preserveAspectRatio="none" role="img" aria-label="speed of the last two minutes, at most %s"><polygon class="down" points="%s"/><polyline class="up" points="%s" fill="none"/></svg>`,
		w, h, formatRate(most), down, up))
}

// pieceMap draws how much there is of each run of pieces.
func pieceMap(have api.Have) template.HTML {
	b := make([]byte, len(have))
	for i, v := range have {
		b[i] = byte(min(max(v, 0), 255))
	}
	return shares(b)
}

func shares(have []byte) template.HTML {
	var b strings.Builder
	full := 0
	fmt.Fprintf(&b, `<svg class="map" viewBox="0 0 %d 10" preserveAspectRatio="none" role="img" aria-label="`, max(len(have), 1))
	for _, v := range have {
		if v == 255 {
			full++
		}
	}
	fmt.Fprintf(&b, `%d of %d parts are there">`, full, len(have))
	for i := 0; i < len(have); {
		j := i
		for j < len(have) && have[j] == have[i] {
			j++
		}
		if have[i] > 0 {
			fmt.Fprintf(&b, `<rect x="%d" y="0" width="%d" height="10" fill-opacity="%.2f"/>`, i, j-i, 0.15+0.85*float64(have[i])/255)
		}
		i = j
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// sortLink is a column's head that a list can be sorted by.
type sortLink struct{ Search, Sort, Key, Label string }

func sortKey(q daemon.Query, key, label string) sortLink {
	return sortLink{Search: q.Search, Sort: cmp.Or(q.Sort, "name"), Key: key, Label: label}
}

// jobButton is something that can be done to a job.
type jobButton struct{ ID, Name, What, Label string }

func button(j api.Job, what, label string) jobButton { return jobButton{j.ID, j.Name, what, label} }

// mib is a limit as forms have it.
func mib(bytesPerSec int64) string {
	if bytesPerSec == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(bytesPerSec)/(1<<20), 'f', -1, 64)
}

func speed(bytesPerSec float64) string { return formatRate(int64(bytesPerSec)) }

func eta(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return duration(d)
}

// fleetShare is what a host has, also of one that tells only how much.
func fleetShare(h daemon.Host) []byte {
	switch {
	case len(h.Have) > 0:
		return h.Have
	case h.Bytes == h.Size:
		return []byte{255}
	}
	return []byte{0}
}
