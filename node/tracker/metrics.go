package tracker

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// mostShares is how many hosts of a swarm have series of their own, those with least first.
const mostShares = 256

// swarmMetrics is the page of a swarm for Prometheus. It is not a part of the node's own
// metrics: whoever configures it says which names are worth a series for each host, and in a
// ring with a secret only who has the passkey sees names.
func (t *Tracker) swarmMetrics(w http.ResponseWriter, r *http.Request) {
	h, err := t.swarmOf(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		t.refuse(w, err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(sampled(h))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// sampled is a swarm as it was just told.
type sampled hosts

var (
	swarmSeeders  = prometheus.NewDesc("chordtorrent_swarm_seeders", "Peers that have all of it.", []string{"name"}, nil)
	swarmLeechers = prometheus.NewDesc("chordtorrent_swarm_leechers", "Peers that do not.", []string{"name"}, nil)
	swarmSize     = prometheus.NewDesc("chordtorrent_swarm_size_bytes", "Size of the current version.", []string{"name", "info_hash"}, nil)
	swarmLast     = prometheus.NewDesc("chordtorrent_swarm_remaining_seconds", "Until the last of those that fetch is done, at the rates of now; absent while that is not known of all, 0 when all are.", []string{"name"}, nil)
	swarmShare    = prometheus.NewDesc("chordtorrent_swarm_host_done_ratio", "How much of it a host has, from 0 to 1; of the 256 that have least.", []string{"name", "host"}, nil)
	swarmRate     = prometheus.NewDesc("chordtorrent_swarm_host_receive_bytes_per_second", "How fast a host gets on; absent while it is not known.", []string{"name", "host"}, nil)
)

// Describe implements prometheus.Collector.
func (sampled) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{swarmSeeders, swarmLeechers, swarmSize, swarmLast, swarmShare, swarmRate} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s sampled) Collect(ch chan<- prometheus.Metric) {
	name := strings.ToValidUTF8(s.Name, "\ufffd") // a label that is no UTF-8 panics
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
	}
	gauge(swarmSeeders, float64(s.Seeders))
	gauge(swarmLeechers, float64(s.Leechers))
	gauge(swarmSize, float64(s.Size), s.InfoHash)
	switch {
	case s.LastETA != nil:
		gauge(swarmLast, *s.LastETA)
	case s.Leechers == 0:
		gauge(swarmLast, 0)
	}
	shown := map[string]bool{} // several peers may say that they are at one address
	for _, h := range s.Hosts {
		if len(shown) == mostShares {
			return
		}
		if shown[h.Addr] || h.Share == nil {
			continue
		}
		shown[h.Addr] = true
		gauge(swarmShare, *h.Share, h.Addr)
		if h.Rate != nil {
			gauge(swarmRate, *h.Rate, h.Addr)
		}
	}
}
