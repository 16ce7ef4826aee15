// Package deploy_test holds what is given to Prometheus and Grafana to what the programs
// really tell.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"chordtorrent/chord/secret"
	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/web"
	"chordtorrent/communicator"
	"chordtorrent/node"
)

// patience bounds every wait of a hung test.
const patience = time.Minute

// get reads a page of metrics.
func get(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", address, resp.Status, err, b)
	}
	return string(b)
}

// told is everything that a running node and a daemon tell: a ring of one with a secret, a
// publication, and a download that has to wait.
func told(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	ring := filepath.Join(dir, "secret")
	if err := secret.Write(ring); err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Config{DataDir: filepath.Join(dir, "node"), Bind: "127.0.0.1:0", HTTP: "127.0.0.1:0", UDP: "127.0.0.1:0",
		Cluster: "deploy", SecretFile: ring, Multicast: node.Off, Version: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(t.Context()) })
	comm := communicator.New(n, netip.MustParseAddr("127.0.0.1"))
	t.Cleanup(func() { _ = comm.Close() })
	storage, err := client.OpenStorage(filepath.Join(dir, "storage"))
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Config{Storage: storage, Ring: comm, Log: log})
	t.Cleanup(func() { _ = c.Close() })
	d, err := daemon.Start(daemon.Config{Storage: storage, Ring: comm, Client: c, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	handler, err := web.New(web.Config{Daemon: d, Client: c, Ring: comm, Token: "token", Version: "test", Cluster: "deploy", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = handler.Serving()
	srv.Start()
	t.Cleanup(srv.Close)

	file := filepath.Join(dir, "disk.img")
	if err := os.WriteFile(file, bytes.Repeat([]byte("disk"), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddPublication(t.Context(), api.AddPublication{Path: file}); err != nil {
		t.Fatal(err)
	}
	// A name of which nobody has anything.
	info := "d6:lengthi70000e4:name5:empty12:piece lengthi65536e6:pieces40:0123456789012345678901234567890123456789e"
	if err := os.WriteFile(filepath.Join(dir, "empty.torrent"), []byte("d8:announce27:http://127.0.0.1:1/announce4:info"+info+"e"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddDownload(t.Context(), api.AddDownload{Source: filepath.Join(dir, "empty.torrent")}); err != nil {
		t.Fatal(err)
	}
	keeper, err := secret.Open(ring)
	if err != nil {
		t.Fatal(err)
	}
	ofNode, ofSwarm := "http://"+n.HTTPAddr()+"/metrics", "http://"+n.HTTPAddr()+"/"+keeper.Passkey()+"/swarm/metrics?name="+url.QueryEscape("disk.img")
	await(t, srv.URL+"/metrics", `chordtorrent_client_download_done_ratio{`)
	await(t, srv.URL+"/metrics", `chordtorrent_client_jobs{kind="publication",state="done"} 1`)
	await(t, ofNode, "chordtorrent_ready 1")
	// Somebody who has no secret, so that something was refused.
	bad, err := http.Get("http://" + n.HTTPAddr() + "/files")
	if err != nil || bad.Body.Close() != nil || bad.StatusCode != http.StatusForbidden {
		t.Fatalf("%v, %v", bad, err)
	}
	pages := []string{get(t, srv.URL+"/metrics"), get(t, ofNode), get(t, ofSwarm)}
	for _, page := range pages {
		problems, err := promlint.New(strings.NewReader(page)).Lint()
		if err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Metric, "go_") && !strings.HasPrefix(p.Metric, "process_") { // the library's own
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	}
	return strings.Join(pages, "")
}

// await asks for a page until a line begins so.
func await(t *testing.T, address, begins string) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(get(t, address), "\n"+begins) {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited in vain for %s: %s", begins, get(t, address))
		}
	}
}

// only says which metrics come when something has happened that these tests do not bring
// about; their names are compared with the source instead.
var only = []string{"chordtorrent_dropped_total", "chordtorrent_swarm_host_receive_bytes_per_second", "chordtorrent_swarm_remaining_seconds", "chordtorrent_client_dropped_connections_total"}

var (
	metricName = regexp.MustCompile(`\b(chordtorrent_[a-z0-9_]+|process_[a-z_]+|go_[a-z_]+)\b`)
	labelUse   = regexp.MustCompile(`\b(chordtorrent_[a-z0-9_]+)\{([^}]*)\}`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

// TestWhatPrometheusAndGrafanaAskForIsTold: each metric, and each label by which one is
// chosen, in the alerts and the dashboard is there.
func TestWhatPrometheusAndGrafanaAskForIsTold(t *testing.T) {
	page := told(t)
	series := map[string]bool{}
	labels := map[string]string{}
	for line := range strings.Lines(page) {
		if name := metricName.FindString(line); name != "" && !strings.HasPrefix(line, "#") {
			series[name] = true
			labels[name] += line
		}
	}
	for _, name := range only {
		series[name] = true
	}
	for file, text := range map[string]string{"prometheus/alerts.yml": read(t, "prometheus/alerts.yml"), "grafana/chordtorrent.json": strings.Join(expressions(t), "\n")} {
		names := slices.Compact(slices.Sorted(slices.Values(metricName.FindAllString(quoted.ReplaceAllString(text, `""`), -1))))
		if len(names) < 15 {
			t.Fatalf("%s names %d metrics: is it read as it should be?", file, len(names))
		}
		for _, name := range names {
			if !series[name] {
				t.Errorf("%s asks for %s, which nobody tells", file, name)
			}
		}
		for _, use := range labelUse.FindAllStringSubmatch(text, -1) {
			for _, label := range regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)`).FindAllStringSubmatch(quoted.ReplaceAllString(use[2], ""), -1) {
				if !slices.Contains(only, use[1]) && !strings.Contains(labels[use[1]], label[1]+`="`) {
					t.Errorf("%s chooses %s by %s, a label that it has not", file, use[1], label[1])
				}
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// expressions are the queries of the dashboard, after a look at whether it can be one.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr, LegendFormat string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/chordtorrent.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 || (p.Type != "row") != (len(p.Targets) > 0) {
			t.Errorf("panel %d %q has the id of another, no title, no place or no query: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			all = append(all, q["query"].(string))
		}
	}
	return all
}

// TestOperatingNamesEachAlert: whoever is called at night finds there what to do.
func TestOperatingNamesEachAlert(t *testing.T) {
	doc := read(t, "../docs/operating.md")
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "prometheus/alerts.yml"), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(doc, "`"+a[1]+"`") {
			t.Errorf("docs/operating.md does not say what to do about %s", a[1])
		}
	}
}
