package web

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
)

const (
	// openJobs is how many downloads have series of their own: a daemon may have a hundred
	// thousand jobs.
	openJobs = 50
	// surveyPatience is how long the daemon's loop is waited for; without it jobs are left out.
	surveyPatience = 2 * time.Second
)

// goCollector is as in package node, with the live heap: it shows a leak at once.
func goCollector() prometheus.Collector {
	liveHeap := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}
	return collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap))
}

// metrics answers in Prometheus' format. Everything is counted by whoever does it, and read
// when somebody looks.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(seen{s}, goCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// seen is a daemon as it is at the moment that somebody looks.
type seen struct{ s *Server }

// Describe implements prometheus.Collector: nothing is known beforehand, as reasons and jobs
// come and go.
func (seen) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (v seen) Collect(ch chan<- prometheus.Metric) {
	e := emitter{ch}
	e.gauge("build_info", "Always 1; the labels say which program this is, and of which cluster.", 1, "version", v.s.cfg.Version, "cluster", v.s.cfg.Cluster)
	e.flag("ring_reachable", "1 when a member of the ring is at hand.", v.s.cfg.Ring.Connected())
	if free, size, ok := v.s.cfg.Client.Storage().Space(); ok {
		e.gauge("storage_free_bytes", "Free for the daemon on the disk of Storage.", float64(free))
		e.gauge("storage_size_bytes", "Size of the disk of Storage.", float64(size))
	}
	v.engine(e)
	v.jobs(e)
}

func (v seen) engine(e emitter) {
	st := v.s.cfg.Client.Stats()
	e.counter("downloaded_bytes_total", "Piece data that came over the network.", float64(st.Downloaded))
	e.counter("uploaded_bytes_total", "Piece data that was sent.", float64(st.Uploaded))
	e.counter("wasted_bytes_total", "Of what came: what came twice, unasked, or was wrong.", float64(st.Wasted))
	const pieces = "pieces_total"
	e.counter(pieces, "Pieces that were compared with their hashes.", float64(st.PiecesVerified), "result", "verified")
	e.counter(pieces, "Pieces that were compared with their hashes.", float64(st.PiecesWrong), "result", "wrong")
	e.counter("banned_total", "Peers and web seeds that were banned, as they sent wrong data.", float64(st.Banned))
	e.gauge("connections", "Connections with peers, those being called included.", float64(st.Connections))
	e.gauge("swarms", "Torrents that somebody is connected for, or that are being fetched.", float64(st.Swarms))
	for reason, n := range st.Drops {
		e.counter("dropped_connections_total", "Connections with peers that have ended, by reason.", float64(n), "reason", reason)
	}
	e.gauge("piece_buffer_used_bytes", "Memory for pieces that is in use, or kept for what was asked for.", float64(st.BufferUsed))
	e.gauge("piece_buffer_limit_bytes", "The most that is used for that.", float64(st.BufferLimit))
	e.counter("loop_turns_total", "Turns of the event loops.", float64(st.Turns))
	e.counter("loop_busy_seconds_total", "Time that the event loops took for their turns, waiting not included.", st.Busy.Seconds())
	e.counter("loop_long_holds_total", "Handlers that held an event loop for more than 50 ms: all its connections waited.", float64(st.LongHolds))
	e.gauge("loop_longest_hold_seconds", "The longest that a handler has held an event loop.", st.Longest.Seconds())
	const announces, help = "announces_total", "Announces that have ended, by whom they were made to and how they went."
	e.counter(announces, help, float64(st.Ring.OK), "to", "ring", "outcome", "ok")
	e.counter(announces, help, float64(st.Ring.Failed), "to", "ring", "outcome", "failed")
	e.counter(announces, help, float64(st.Trackers.OK), "to", "trackers", "outcome", "ok")
	e.counter(announces, help, float64(st.Trackers.Failed), "to", "trackers", "outcome", "failed")
}

var (
	allKinds  = []api.Kind{api.Download, api.Publication}
	allStates = []api.State{api.Queued, api.Running, api.Paused, api.Done, api.Failed, api.Cancelled}
)

func (v seen) jobs(e emitter) {
	ctx, cancel := context.WithTimeout(context.Background(), surveyPatience)
	defer cancel()
	survey, err := v.s.cfg.Daemon.Survey(ctx, openJobs)
	if err != nil {
		return
	}
	const limit, help = "rate_limit_bytes_per_second", "What all jobs together may receive and send; 0: no limit."
	e.gauge(limit, help, float64(survey.Settings.LimitDown), "direction", "down")
	e.gauge(limit, help, float64(survey.Settings.LimitUp), "direction", "up")
	for _, kind := range allKinds {
		for _, state := range allStates {
			n := survey.Jobs[daemon.Group{Kind: kind, State: state}]
			e.gauge("jobs", "Jobs, by what they do and where they are in their life.", float64(n), "kind", string(kind), "state", string(state))
		}
	}
	e.gauge("jobs_serving", "Jobs that others can fetch from.", float64(survey.Serving))
	e.gauge("open_downloads_not_shown", "Downloads that are not done and have no series of their own: "+strconv.Itoa(openJobs)+" have.", float64(survey.NotShown))
	for i := range survey.Open {
		j := &survey.Open[i]
		labels := []string{"id", j.ID, "name", j.Name}
		if j.Bytes > 0 {
			e.gauge("download_done_ratio", "How much there is of a download that is not done, from 0 to 1.", float64(j.Done)/float64(j.Bytes), labels...)
		}
		e.gauge("download_size_bytes", "Size of a download that is not done; 0 while it is not known.", float64(j.Bytes), labels...)
		e.gauge("download_receive_bytes_per_second", "How fast it comes.", float64(j.RateDown), labels...)
		e.gauge("download_peers", "Peers that it is connected to.", float64(j.Peers), labels...)
		e.flag("download_stalled", "1 when it waits, or nothing moves, for a reason that is told in words.",
			j.Reason != "" && (j.State == api.Running || j.State == api.Queued), labels...)
	}
}

// emitter sends samples that are read, not kept; labels are pairs of name and value.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) send(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, strings.ToValidUTF8(labels[i+1], "\ufffd")) // else it panics
	}
	e.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("chordtorrent_client_"+name, help, names, nil), kind, value, values...)
}

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	e.send(prometheus.GaugeValue, name, help, value, labels)
}

func (e emitter) flag(name, help string, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	e.gauge(name, help, value, labels...)
}

func (e emitter) counter(name, help string, value float64, labels ...string) {
	e.send(prometheus.CounterValue, name, help, value, labels)
}
