package node

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"chordtorrent/chord"
)

// refusedEvery is how often the log tells of what was refused: whoever sends
// rubbish does not fill it.
const refusedEvery = time.Minute

// refusals counts what was refused, by reason.
type refusals struct {
	mu     sync.Mutex
	counts map[string]uint64
	last   map[string]chord.Ref // who sent the last one
}

func (r *refusals) add(reason string, from chord.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts, r.last = map[string]uint64{}, map[string]chord.Ref{}
	}
	r.counts[reason]++
	r.last[reason] = from
}

func (r *refusals) snapshot() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (r *refusals) sender(reason string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[reason].Addr
}

// dropCounts is what the parts of the node did not take, by part and reason.
type dropCounts map[string]map[string]uint64

// dropped gathers the counts of all parts.
func (n *Node) dropped() dropCounts {
	parts := dropCounts{
		"port":    n.split.Counters(),
		"rpc":     n.transport.Counters(),
		"ring":    n.loop.refused.snapshot(),
		"gossip":  n.gossip.refused(),
		"tracker": n.clients.Refused(),
	}
	if n.multicast != nil {
		parts["discovery"] = n.multicast.Counters()
	}
	return parts
}

// harmless are reasons, or their last words, that come with the lives and deaths of
// members, or that tell of this machine's own troubles and multicast; the rest has been
// sent by somebody who should not have.
var harmless = []string{"own", "idle", "timeout", "broken", "slow_reader", "dial_failed", "undelivered", "queue_full", "unsendable", "closed", "accept_failed", "newer_message", "not_registered", "not_connected", "ring_silent", "busy"}

// grown gives what was refused since the counts before.
func (now dropCounts) grown(before dropCounts) dropCounts {
	out := dropCounts{}
	for part, reasons := range now {
		for reason, count := range reasons {
			known := slices.ContainsFunc(harmless, func(h string) bool { return reason == h || strings.HasSuffix(reason, "_"+h) })
			if more := count - before[part][reason]; more > 0 && !known {
				if out[part] == nil {
					out[part] = map[string]uint64{}
				}
				out[part][reason] = more
			}
		}
	}
	return out
}

// tellRefused writes to the log, once a minute, what was refused in it.
func (n *Node) tellRefused(ctx context.Context) {
	tick := time.NewTicker(refusedEvery)
	defer tick.Stop()
	before := n.dropped()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := n.dropped()
		logRefused(n.log, now.grown(before), n.loop.refused.sender)
		before = now
	}
}

func logRefused(log *slog.Logger, grown dropCounts, sender func(reason string) string) {
	for _, part := range slices.Sorted(maps.Keys(grown)) {
		for _, reason := range slices.Sorted(maps.Keys(grown[part])) {
			attrs := []any{"part", part, "reason", reason, "count", grown[part][reason]}
			if part == "ring" {
				attrs = append(attrs, "last_from", sender(reason))
			}
			log.Warn("in the last minute, refused what came from the network", attrs...)
		}
	}
}
