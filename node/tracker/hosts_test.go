package tracker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestThePageOfASwarmTellsWhoHasHowMuch(t *testing.T) {
	ring := ringtest.New(1)
	c := communicator.New(ring, netip.MustParseAddr("10.0.0.1"))
	t.Cleanup(func() { c.Close() })
	w := &world{t: t, ring: c, tr: New(Config{Ring: c})}
	hash := w.publish("<b>disk.img")
	tell := func(i byte, left int64, have []byte) {
		if _, err := c.Announce(t.Context(), communicator.Announce{Name: "<b>disk.img", InfoHash: hash, PeerID: [20]byte{i}, Left: left, Have: have,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 7000), Size: 20}); err != nil {
			t.Fatal(err)
		}
	}
	get := func() (h hosts) {
		code, b := w.get("10.0.0.9:1", "/swarm.json?name=%3Cb%3Edisk.img")
		if err := json.Unmarshal(b, &h); err != nil || code != 200 {
			t.Fatalf("%d %s: %v", code, b, err)
		}
		return h
	}
	tell(1, 0, nil)
	tell(2, 15, []byte{64, 0})
	tell(3, -1, []byte{255, 0, 255, 0})
	h := get()
	if h.Size != 20 || h.Seeders != 1 || h.Leechers != 2 || len(h.Hosts) != 3 || h.LastETA != nil {
		t.Fatalf("%+v", h)
	}
	if a := h.Hosts[0]; a.Addr != "10.0.0.2:7000" || *a.Share != 0.25 || *a.Left != 15 || a.Rate != nil || a.ETA != nil || string(a.Have) != "\x40\x00" {
		t.Errorf("%+v", a)
	}
	if a := h.Hosts[1]; *a.Share != 0.5 || a.Left != nil {
		t.Errorf("%+v", a)
	}
	if a := h.Hosts[2]; !a.Seeds || *a.Share != 1 {
		t.Errorf("%+v", a)
	}
	// Two seconds later one has fetched five bytes more, the other is done.
	ring.Advance(2 * time.Second)
	tell(2, 10, nil)
	tell(3, 0, nil)
	h = get()
	if a := h.Hosts[0]; a.Rate == nil || *a.Rate != 2.5 || *a.ETA != 4 || h.LastETA == nil || *h.LastETA != 4 {
		t.Errorf("%+v", h)
	}
	if a := get().Hosts[0]; a.Rate == nil || *a.Rate != 2.5 {
		t.Errorf("looked at again: %+v", a)
	}
	code, b := w.get("10.0.0.9:1", "/swarm/metrics?name=%3Cb%3Edisk.img")
	for _, line := range []string{
		`chordtorrent_swarm_seeders{name="<b>disk.img"} 2`, `chordtorrent_swarm_leechers{name="<b>disk.img"} 1`,
		`chordtorrent_swarm_host_done_ratio{host="10.0.0.2:7000",name="<b>disk.img"} 0.5`, `chordtorrent_swarm_remaining_seconds{name="<b>disk.img"} 4`,
		`chordtorrent_swarm_host_receive_bytes_per_second{host="10.0.0.2:7000",name="<b>disk.img"} 2.5`,
	} {
		if !strings.Contains(string(b), line+"\n") {
			t.Errorf("%d, without %q: %s", code, line, b)
		}
	}
	lint(t, w, "/swarm/metrics?name=%3Cb%3Edisk.img")
	code, b = w.get("10.0.0.9:1", "/swarm?name=%3Cb%3Edisk.img")
	if page := string(b); code != 200 || strings.Contains(page, "<b>disk") || !strings.Contains(page, "50.0 %") || !strings.Contains(page, "10.0.0.2:7000") || !strings.Contains(page, "20 bytes, 2 seeders, 1 leecher; the last is done in 4s") {
		t.Errorf("%d %s", code, page)
	}
	for _, path := range []string{"/swarm?name=nothing", "/swarm/metrics?name=nothing", "/swarm/metrics?name=%ff"} {
		if code, _ := w.get("10.0.0.9:1", path); code != 404 {
			t.Errorf("no such name: %s: %d", path, code)
		}
	}
}

// lint checks what is told to Prometheus as promtool would.
func lint(t *testing.T, w *world, path string) {
	t.Helper()
	_, b := w.get("10.0.0.9:1", path)
	problems, err := promlint.New(bytes.NewReader(b)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestASwarmHasABoundedNumberOfSeries(t *testing.T) {
	var h hosts
	for i := range 3 * mostShares {
		share := float64(i) / (3 * mostShares)
		h.Hosts = append(h.Hosts, host{Addr: fmt.Sprint("10.0.0.1:", i/2), Share: &share})
	}
	h.Hosts[7].Share = nil // does not say
	if n := testutil.CollectAndCount(sampled(h), "chordtorrent_swarm_host_done_ratio"); n != mostShares {
		t.Errorf("%d hosts have series", n)
	}
	h.Name = "\xff"
	if n := testutil.CollectAndCount(sampled(h), "chordtorrent_swarm_seeders"); n != 1 {
		t.Errorf("a name that is no UTF-8: %d", n)
	}
}
