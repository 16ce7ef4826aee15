package node

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"strings"

	"chordtorrent/chord"
)

// gossipLog takes what memberlist writes. It passes it on as debug messages, and
// counts what was refused: memberlist tells that nowhere else.
type gossipLog struct {
	to *slog.Logger
	refusals
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
			g.add(r.reason, chord.Ref{}) // memberlist says who only in words
			break
		}
	}
	return len(p), nil
}
