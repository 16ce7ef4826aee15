package node

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"maps"
	"strings"
	"sync"
)

// gossipLog takes what memberlist writes. It passes it on as debug messages, and
// counts what was refused: memberlist tells that nowhere else.
type gossipLog struct {
	to *slog.Logger

	mu     sync.Mutex
	counts map[string]uint64
}

// gossipRefusals are parts of memberlist's lines, in the order in which they are
// looked for.
var gossipRefusals = []struct{ text, reason string }{
	{"unacceptable label", "other_cluster"},
	{"label header", "malformed"},
	{"encryption is not configured", "secret_where_none_is"},
	{"encryption is configured", "no_secret"},
	{"could decrypt", "other_secret"},
	{"Decrypt packet failed", "no_secret"}, // or garbage
}

func (g *gossipLog) logger() *log.Logger { return log.New(g, "", 0) }

func (g *gossipLog) Write(p []byte) (int, error) {
	line := string(bytes.TrimSpace(p))
	if g.to.Enabled(context.Background(), slog.LevelDebug) {
		g.to.Debug("gossip", "text", line)
	}
	for _, r := range gossipRefusals {
		if strings.Contains(line, r.text) {
			g.mu.Lock()
			if g.counts == nil {
				g.counts = map[string]uint64{}
			}
			g.counts[r.reason]++
			g.mu.Unlock()
			break
		}
	}
	return len(p), nil
}

// snapshot gives the counts, by reason.
func (g *gossipLog) snapshot() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.counts)
}
