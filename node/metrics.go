package node

import (
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"chordtorrent/chord"
)

// metrics counts clients' operations. Everything else is counted by whoever
// does it and read when somebody looks (collect.go), so that two counts cannot
// disagree.
type metrics struct {
	registry *prometheus.Registry
	ended    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// goCollector adds what the last garbage collection has found in use: unlike the
// process's size, which goes in steps, it shows at once whether something leaks.
func goCollector() prometheus.Collector {
	liveHeap := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}
	return collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap))
}

// opBounds are upper bounds in seconds: a local read to one that times out.
var opBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chordtorrent_operations_total",
			Help: "Clients' operations that ended, by kind and outcome.",
		}, []string{"op", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "chordtorrent_operation_duration_seconds",
			Help:    "How long clients' operations took, until the answer or its failure.",
			Buckets: opBounds,
		}, []string{"op"}),
	}
	m.registry.MustRegister(m.ended, m.seconds,
		goCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// operation counts one that ended.
func (m *metrics) operation(op, reply any, took time.Duration) {
	name := opName(op)
	m.ended.WithLabelValues(name, replyCode(reply).String()).Inc()
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
}

// handler answers in Prometheus' format with all that is counted, the node's
// own state included.
func (m *metrics) handler(n *Node) http.Handler {
	m.registry.MustRegister(state{n})
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func replyCode(reply any) chord.Code {
	switch r := reply.(type) {
	case chord.GetReply:
		return r.Code
	case chord.PutReply:
		return r.Code
	case chord.ForgetReply:
		return r.Code
	case chord.AssignIDReply:
		return r.Code
	}
	return chord.CodeOK
}

func opName(op any) string {
	switch op.(type) {
	case chord.Get:
		return "get"
	case chord.Put:
		return "put"
	case chord.Forget:
		return "forget"
	case chord.AssignID:
		return "assign_id"
	case chord.GetStatus:
		return "status"
	}
	return "unknown"
}
