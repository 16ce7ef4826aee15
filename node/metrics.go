package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/node/store"
)

// metrics counts clients' operations. Everything else is counted by whoever
// does it and read when somebody looks, so that two counts cannot disagree.
type metrics struct {
	mu    sync.Mutex
	ended map[outcome]uint64
	times map[string]*opTimes
}

// outcome is how operations of one kind ended.
type outcome struct{ op, code string }

// opTimes is a histogram of durations, by opBounds.
type opTimes struct {
	buckets [len(opBounds)]uint64
	count   uint64
	seconds float64
}

// opBounds are upper bounds in seconds: a local read to one that times out.
var opBounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

func newMetrics() *metrics {
	return &metrics{ended: map[outcome]uint64{}, times: map[string]*opTimes{}}
}

// operation counts one that ended.
func (m *metrics) operation(op, reply any, took time.Duration) {
	name, code := opName(op), codeName(replyCode(reply))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[outcome{name, code}]++
	t := m.times[name]
	if t == nil {
		t = new(opTimes)
		m.times[name] = t
	}
	t.count++
	t.seconds += took.Seconds()
	for i, bound := range opBounds {
		if took.Seconds() <= bound {
			t.buckets[i]++
		}
	}
}

func (m *metrics) write(e *exposition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	const ended, seconds = "chordtorrent_operations_total", "chordtorrent_operation_seconds"
	e.family(ended, "counter", "Clients' operations that ended, by kind and outcome.")
	for _, o := range slices.SortedFunc(maps.Keys(m.ended), func(a, b outcome) int {
		return cmp.Or(cmp.Compare(a.op, b.op), cmp.Compare(a.code, b.code))
	}) {
		e.sample(ended, float64(m.ended[o]), "op", o.op, "code", o.code)
	}
	e.family(seconds, "histogram", "How long clients' operations took.")
	for _, op := range slices.Sorted(maps.Keys(m.times)) {
		t := m.times[op]
		e.histogram(seconds, opBounds[:], t.buckets[:], t.count, t.seconds, "op", op)
	}
}

func replyCode(reply any) chord.Code {
	switch r := reply.(type) {
	case chord.GetReply:
		return r.Code
	case chord.PutReply:
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
	case chord.AssignID:
		return "assign_id"
	case chord.GetStatus:
		return "status"
	}
	return "unknown"
}

var codeNames = map[chord.Code]string{
	chord.CodeOK: "ok", chord.CodeNotFound: "not_found", chord.CodeNotReady: "not_ready",
	chord.CodeUnavailable: "unavailable", chord.CodeTooLarge: "too_large", chord.CodeBadRequest: "bad_request",
	chord.CodeStore: "store", chord.CodeLeaving: "leaving", chord.CodeDegraded: "degraded", chord.CodeNotOwner: "not_owner",
}

func codeName(c chord.Code) string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprint("code_", uint8(c))
}

// serveMetrics answers in Prometheus' text format.
func (n *Node) serveMetrics(w http.ResponseWriter, r *http.Request) {
	var e exposition
	n.writeRing(r.Context(), &e)
	n.writeStore(&e)
	n.metrics.write(&e)
	n.writeDropped(&e)
	n.writeProcess(&e)
	w.Header().Set("Content-Type", expositionType)
	_, _ = e.WriteTo(w) // the client is gone then
}

func (n *Node) writeRing(ctx context.Context, e *exposition) {
	const build = "chordtorrent_build_info"
	e.family(build, "gauge", "Always 1; the labels say which program and member this is.")
	e.sample(build, 1, "version", n.cfg.Version, "cluster", n.cfg.Cluster, "id", n.self.ID.String())
	ready := 0.0
	if n.isReady() {
		ready = 1
	}
	e.gauge("chordtorrent_ready", "1 when the node is part of a ring.", ready)
	e.gauge("chordtorrent_members", "Members that gossip believes alive, this one included.", float64(n.Members()))
	// Past the count of operations: looking should not change what is seen.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer := make(chan any, 1)
	n.loop.queue.post(asked{chord.GetStatus{}, func(reply any) { answer <- reply }})
	select {
	case reply := <-answer:
		st, _ := reply.(chord.Status)
		e.gauge("chordtorrent_under_replicated_keys", "Owned hard keys that fewer members hold than should.", float64(st.UnderReplicated))
		e.gauge("chordtorrent_incomplete_ranges", "Ranges that this member is still filling.", float64(st.IncompleteRanges))
		e.gauge("chordtorrent_last_repair_timestamp_seconds", "When the range was last repaired completely; 0 for never.", float64(st.LastRepair)/1000)
	case <-ctx.Done():
	}
}

func (n *Node) writeStore(e *exposition) {
	const keys, bytes, commits = "chordtorrent_keys", "chordtorrent_value_bytes", "chordtorrent_commit_seconds"
	hardKeys, hardBytes := n.db.Count(chord.Hard)
	softKeys, softBytes := n.db.Count(chord.Soft)
	e.family(keys, "gauge", "Keys held.")
	e.sample(keys, float64(hardKeys), "class", "hard")
	e.sample(keys, float64(softKeys), "class", "soft")
	e.family(bytes, "gauge", "Bytes of values held.")
	e.sample(bytes, float64(hardBytes), "class", "hard")
	e.sample(bytes, float64(softBytes), "class", "soft")
	st := n.db.Commits()
	e.family(commits, "histogram", "Duration of group commits, fsync included.")
	e.histogram(commits, store.CommitBuckets(), st.Buckets[:], st.Commits, st.Seconds)
	e.counter("chordtorrent_commits_failed_total", "Group commits that the disk refused.", float64(st.Failed))
	e.counter("chordtorrent_damaged_entries_total", "Damaged entries met in the database.", float64(n.db.Damaged()))
}

// writeDropped tells what the parts have refused, by part and reason.
func (n *Node) writeDropped(e *exposition) {
	parts := map[string]map[string]uint64{
		"port":   n.split.Counters(),
		"rpc":    n.transport.Counters(),
		"gossip": {"not_gossip": n.gossip.transport.foreign.Load()},
	}
	if n.multicast != nil {
		parts["discovery"] = n.multicast.Counters()
	}
	const name = "chordtorrent_dropped_total"
	e.family(name, "counter", "What came from the network and was not taken, by reason.")
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		for _, reason := range slices.Sorted(maps.Keys(parts[part])) {
			e.sample(name, float64(parts[part][reason]), "part", part, "reason", reason)
		}
	}
}

func (n *Node) writeProcess(e *exposition) {
	e.gauge("process_start_time_seconds", "When the node was started, since the Unix epoch.", float64(n.started.UnixMilli())/1000)
	e.gauge("go_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	e.gauge("go_memstats_heap_alloc_bytes", "Bytes of heap objects.", float64(mem.HeapAlloc))
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		e.gauge("process_open_fds", "Open file descriptors.", float64(len(fds)))
	}
}
