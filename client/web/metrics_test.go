package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
	"chordtorrent/client/web"
)

// metrics asks as Prometheus does.
func (s *site) metrics() string {
	s.t.Helper()
	resp, text := s.do("GET", "/metrics", "", "Authorization", "Bearer "+token)
	if resp.StatusCode != 200 {
		s.t.Fatalf("%s: %s", resp.Status, text)
	}
	return text
}

func TestPrometheusIsToldWhatADaemonDoes(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	h.Publish(a.d, h.File("disk", 300_000))
	j := h.Add(b.d, api.AddDownload{Source: "disk"})
	h.Until(b.d, j.ID, "the download", daemontest.IsServed)
	has := func(s *site, lines ...string) {
		t.Helper()
		text := s.metrics()
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("without %q: %s", line, text)
			}
		}
	}
	has(a, `chordtorrent_client_uploaded_bytes_total 300000`, `chordtorrent_client_ring_reachable 1`,
		`chordtorrent_client_jobs{kind="publication",state="done"} 1`, `chordtorrent_client_jobs{kind="download",state="done"} 0`)
	has(b, `chordtorrent_client_downloaded_bytes_total 300000`, `chordtorrent_client_jobs{kind="download",state="done"} 1`,
		`chordtorrent_client_pieces_total{result="verified"} 19`, `chordtorrent_client_pieces_total{result="wrong"} 0`, `chordtorrent_client_jobs_serving 1`,
		`chordtorrent_client_announces_total{outcome="failed",to="ring"} 0`, `chordtorrent_client_rate_limit_bytes_per_second{direction="down"} 0`)
	problems, err := promlint.New(strings.NewReader(b.metrics())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "chordtorrent_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestSeriesOfDownloadsAreBounded: a daemon with very many does not burst Prometheus, and a
// name of any bytes does no harm, be it a download's or the cluster's.
func TestSeriesOfDownloadsAreBounded(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", func(c *web.Config) { c.Cluster = "lab\xff" })
	for i := range 60 {
		name := fmt.Sprintf("n%02d\"\n\xff", i)
		info := fmt.Sprintf("d6:lengthi16384e4:name%d:%s12:piece lengthi16384e6:pieces20:%se", len(name), name, "01234567890123456789")
		path := filepath.Join(h.Dir, fmt.Sprint(i, ".torrent"))
		if err := os.WriteFile(path, []byte("d8:announce27:http://127.0.0.1:1/announce4:info"+info+"e"), 0o600); err != nil {
			t.Fatal(err)
		}
		h.Add(s.d, api.AddDownload{Source: path})
	}
	text := s.metrics()
	if n := strings.Count(text, "\nchordtorrent_client_download_peers{"); n != 50 {
		t.Errorf("%d downloads have series", n)
	}
	if !strings.Contains(text, "\nchordtorrent_client_open_downloads_not_shown 10\n") {
		t.Error("nothing is said of the others")
	}
}

func TestMetricsNeedTheToken(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", func(c *web.Config) { c.NeedToken = true })
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{401, nil}, {401, []string{"Authorization", "Bearer wrong"}}, {200, []string{"Authorization", "Bearer " + token}},
		{421, []string{"Authorization", "Bearer " + token, "Host", "elsewhere.example"}},
	} {
		if resp, text := s.do("GET", "/metrics", "", c.headers...); resp.StatusCode != c.status {
			t.Errorf("%q: %s, want %d: %s", c.headers, resp.Status, c.status, text)
		}
	}
}
