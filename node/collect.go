package node

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
	"chordtorrent/node/store"
)

// state collects what the node's parts know of themselves at the moment that
// somebody looks. It describes nothing beforehand, as the reasons for which
// parts drop things are known only once they have.
type state struct{ n *Node }

func (state) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It waits at most a second for the
// ring's state and leaves it out then.
func (s state) Collect(ch chan<- prometheus.Metric) {
	e := emitter{ch}
	s.ring(e)
	s.store(e)
	s.tracker(e)
	s.dropped(e)
}

// emitter sends samples that are read, not kept; labels are pairs of name and
// value.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) desc(name, help string, labels []string) (*prometheus.Desc, []string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, strings.ToValidUTF8(labels[i+1], "\ufffd")) // else it panics
	}
	return prometheus.NewDesc(name, help, names, nil), values
}

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	d, values := e.desc(name, help, labels)
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, values...)
}

func (e emitter) flag(name, help string, on bool) {
	value := 0.0
	if on {
		value = 1
	}
	e.gauge(name, help, value)
}

func (e emitter) counter(name, help string, value float64, labels ...string) {
	d, values := e.desc(name, help, labels)
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, values...)
}

func (s state) ring(e emitter) {
	n := s.n
	e.gauge("chordtorrent_build_info", "Always 1; the labels say which program and member this is, and which version of the ring protocol it speaks.", 1,
		"version", n.cfg.Version, "protocol", strconv.Itoa(rpc.Version), "cluster", n.cfg.Cluster, "id", n.self.ID.String())
	e.flag("chordtorrent_ready", "1 when the node is part of a ring.", n.isReady())
	e.flag("chordtorrent_leaving", "1 when the node was asked to leave the ring.", n.leaving.Load())
	for i, print := range n.cfg.keeper.Fingerprints() {
		place := "first"
		if i > 0 {
			place = "further"
		}
		e.gauge("chordtorrent_secret_info", "Always 1, for each secret of the ring that this node accepts; the first is the one it uses.", 1,
			"place", place, "fingerprint", print)
	}
	e.gauge("chordtorrent_members", "Members that gossip believes alive, this one included.", float64(n.Members()))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if st, err := n.look(ctx); err == nil {
		e.gauge("chordtorrent_under_replicated_keys", "Owned hard keys that fewer members hold than should.", float64(st.UnderReplicated))
		e.gauge("chordtorrent_incomplete_ranges", "Ranges that this member is still filling.", float64(st.IncompleteRanges))
		e.gauge("chordtorrent_last_repair_timestamp_seconds", "When the range was last repaired completely; 0 for never.", float64(st.LastRepair)/1000)
		missed := 0
		for _, id := range st.Missed {
			if !slices.Contains(st.Forgotten, id) {
				missed++
			}
		}
		e.gauge("chordtorrent_missed_members", "Members known since the ring was last whole that are not there, but for those that an operator has declared gone for good.", float64(missed))
		e.gauge("chordtorrent_forgotten_members", "Missed members that an operator has declared gone for good.", float64(len(st.Forgotten)))
		e.gauge("chordtorrent_clock_offset_seconds", "How far this machine's clock is ahead of ring time.", float64(st.ClockOff)/1000)
	}
}

func (s state) store(e emitter) {
	const keys, bytes = "chordtorrent_keys", "chordtorrent_value_bytes"
	for class, name := range map[chord.Class]string{chord.Hard: "hard", chord.Soft: "soft"} {
		k, b := s.n.db.Count(class)
		e.gauge(keys, "Keys held.", float64(k), "class", name)
		e.gauge(bytes, "Bytes of values held.", float64(b), "class", name)
	}
	st := s.n.db.Commits()
	buckets := map[float64]uint64{}
	for i, bound := range store.CommitBuckets() {
		buckets[bound] = st.Buckets[i]
	}
	d, _ := e.desc("chordtorrent_commit_duration_seconds", "Duration of group commits, fsync included.", nil)
	e.ch <- prometheus.MustNewConstHistogram(d, st.Commits, st.Seconds, buckets)
	e.counter("chordtorrent_commits_failed_total", "Group commits that the disk refused.", float64(st.Failed))
	e.flag("chordtorrent_database_writable", "0 when the disk refused a write of late: the node only reads then.", s.n.db.Trouble() == nil)
	if free, size, ok := s.n.dir.Space(); ok {
		e.gauge("chordtorrent_disk_free_bytes", "Free for the node on the disk of its data directory.", float64(free))
		e.gauge("chordtorrent_disk_size_bytes", "Size of the disk of the data directory.", float64(size))
	}
	e.counter("chordtorrent_damaged_entries_total", "Damaged entries met in the database.", float64(s.n.db.Damaged()))
}

func (s state) tracker(e emitter) {
	st := s.n.clients.Stats()
	const announces = "chordtorrent_tracker_announces_total"
	e.counter(announces, "Announces of ordinary clients that were answered.", float64(st.HTTP), "by", "http")
	e.counter(announces, "Announces of ordinary clients that were answered.", float64(st.UDP), "by", "udp")
	e.counter("chordtorrent_tracker_scrapes_total", "Scrapes of ordinary clients that were answered.", float64(st.Scrapes))
	e.gauge("chordtorrent_tracker_swarms", "Swarms that this node's tracker has a view of.", float64(st.Swarms))
	const peers = "chordtorrent_tracker_peers"
	e.gauge(peers, "Peers in the tracker's view.", float64(st.Own), "announce", "here")
	e.gauge(peers, "Peers in the tracker's view.", float64(st.Peers-st.Own), "announce", "elsewhere")
}

// dropped tells what the parts have refused, by part and reason.
func (s state) dropped(e emitter) {
	for part, reasons := range s.n.dropped() {
		for reason, count := range reasons {
			e.counter("chordtorrent_dropped_total", "What came from the network and was not taken, by reason.",
				float64(count), "part", part, "reason", reason)
		}
	}
}
