package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// A program that speaks the protocol and sends what no member sends: it is
// counted by reason, and the node goes on.
func TestImpossibleRingMessagesAreCountedByReason(t *testing.T) {
	cfg := testConfig(t, testCluster())
	n := start(t, cfg)
	liar := rpc.NewTransport(rpc.TransportConfig{Self: chord.Ref{ID: chord.ID{7}, Addr: "127.0.0.1:1"}, Cluster: cfg.Cluster})
	defer liar.Close()
	future := chord.Stamp(time.Now().AddDate(300, 0, 0).UnixMilli() << 16)
	entry := func(e chord.Entry) []chord.Field { return []chord.Field{{Name: "f", Entry: e}} }
	for i, body := range []chord.Body{
		chord.Departing{Pred: chord.Ref{Addr: "10.0.0.1:1"}},
		chord.Grant{To: chord.ID{9}, Epoch: 1 << 40, Ring: 5},
		chord.MergeFields{Key: "\x01k", Fields: entry(chord.Entry{Stamp: future, Value: []byte("v")})},
		chord.MergeFields{Key: "\x01k", Fields: entry(chord.Entry{Stamp: 1, Value: make([]byte, chord.MaxValueBytes+1)})},
	} {
		liar.Send(chord.Envelope{From: chord.Ref{ID: chord.ID{7}, Addr: "127.0.0.1:1"}, To: n.Ref(), Seq: uint64(i + 1), Body: body})
	}
	eventually(t, "the reasons in the metrics", func() bool {
		_, body := get(t, "http://"+n.HTTPAddr()+"/metrics")
		for _, reason := range []string{"impossible_id", "foreign_range", "stamp_in_future", "value_too_large"} {
			if !strings.Contains(body, `chordtorrent_dropped_total{part="ring",reason="`+reason+`"} 1`) {
				return false
			}
		}
		return true
	})
	put(t, n, "\x01k", "f", "v")
}

func TestTheLogTellsOnceOfWhatWasRefused(t *testing.T) {
	before := dropCounts{"rpc": {"connection_malformed": 2, "dial_failed": 1}}
	now := dropCounts{"rpc": {"connection_malformed": 5, "dial_failed": 9}, "ring": {"stamp_in_future": 1}, "port": {"unknown_protocol": 0}, "discovery": {"own": 4}}
	var out bytes.Buffer
	logRefused(slog.New(slog.NewTextHandler(&out, nil)), now.grown(before), func(string) string { return "10.0.0.1:8000" })
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "part=ring reason=stamp_in_future count=1 last_from=10.0.0.1:8000") ||
		!strings.Contains(lines[1], "part=rpc reason=connection_malformed count=3") {
		t.Errorf("the log says\n%s", out.String())
	}
	if again := now.grown(now); len(again) != 0 {
		t.Errorf("said again: %v", again)
	}
}
