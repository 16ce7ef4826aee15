package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/transfer/storage"
)

type soundEvent struct {
	Event    string   `json:"event"` // "sound"
	Name     string   `json:"name"`
	InfoHash string   `json:"info_hash"`
	Bytes    int64    `json:"bytes"`
	Pieces   int      `json:"pieces"`
	Odd      []string `json:"odd"`
}

type wrongEvent struct {
	Event  string `json:"event"` // "wrong"
	File   string `json:"file"`
	Why    string `json:"why,omitempty"`
	Pieces string `json:"pieces,omitempty"` // as 3,7-9
}

func (a *app) metainfoVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE.torrent [PATH]",
		Short: "Check a .torrent, or data against it",
		Long: `Without PATH it tells whether the .torrent itself is sound, and if not, what is wrong
with it in words (exit code 1). A line odd what="..." for each thing that is unusual,
then: sound name="x" info_hash=<40 hex> bytes=<n> pieces=<n>.

With PATH, the file or directory that it is about or the directory in which that lies,
it reads the data and compares every piece with its hash. If all is right:
verified name="x" path="/where/x" info_hash=<40 hex> bytes=<n> pieces=<n>; else a line
for each file that is not: wrong file="a/b" why="it is missing" pieces=3,7-9, and exit
code 4. A piece that spans files is named with each of them.`,
		Args: takes(1, 2, "FILE.torrent [PATH]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := client.ReadMetainfo(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				a.sound(m)
				return nil
			}
			return a.compareData(cmd.Context(), m, args[1])
		},
	}
	a.progressFlag(cmd)
	return cmd
}

func (a *app) sound(m *client.Metainfo) {
	info := metainfoOf(m)
	if !a.out.json {
		for _, o := range info.Odd {
			a.out.line(fmt.Sprintf("odd what=%q", o), nil)
		}
	}
	e := soundEvent{Event: "sound", Name: info.Name, InfoHash: info.InfoHash, Bytes: info.Bytes, Pieces: info.Pieces, Odd: info.Odd}
	a.out.line(fmt.Sprintf("sound name=%q info_hash=%s bytes=%d pieces=%d", e.Name, e.InfoHash, e.Bytes, e.Pieces), e)
}

func (a *app) compareData(ctx context.Context, m *client.Metainfo, path string) error {
	at, wrong, err := m.Compare(ctx, path, a.stages(m.Layout.Name))
	a.meterStop()
	for _, d := range wrong {
		e := wrongEvent{Event: "wrong", File: d.Path, Why: d.Why, Pieces: runsText(d.Pieces)}
		text := fmt.Sprintf("wrong file=%q", e.File)
		if e.Why != "" {
			text += fmt.Sprintf(" why=%q", e.Why)
		}
		if e.Pieces != "" {
			text += " pieces=" + e.Pieces
		}
		a.out.line(text, e)
	}
	if err != nil {
		return err
	}
	e := verifiedEvent{Event: "verified", Name: m.Layout.Name, Path: at, InfoHash: hex.EncodeToString(m.InfoHash[:]), Bytes: m.Layout.Total, Pieces: m.Layout.NumPieces()}
	a.out.line(e.String(), e)
	return nil
}

func runsText(runs []storage.Run) string {
	parts := make([]string, len(runs))
	for i, r := range runs {
		if parts[i] = strconv.Itoa(r.First); r.Last > r.First {
			parts[i] += "-" + strconv.Itoa(r.Last)
		}
	}
	return strings.Join(parts, ",")
}
