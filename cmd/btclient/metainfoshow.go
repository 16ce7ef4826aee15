package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"chordtorrent/client"
)

// metainfoInfo is what show prints with --json.
type metainfoInfo struct {
	Event       string             `json:"event"` // "metainfo"
	Name        string             `json:"name"`
	InfoHash    string             `json:"info_hash"`
	Bytes       int64              `json:"bytes"`
	Pieces      int                `json:"pieces"`
	PieceLength int64              `json:"piece_length"`
	Private     bool               `json:"private"`
	Comment     string             `json:"comment,omitempty"`
	CreatedBy   string             `json:"created_by,omitempty"`
	Created     string             `json:"created,omitempty"` // RFC 3339, UTC
	Trackers    [][]string         `json:"trackers"`          // by tier
	WebSeeds    []string           `json:"web_seeds"`
	Files       []metainfoFileInfo `json:"files"`
	Odd         []string           `json:"odd"`
}

type metainfoFileInfo struct {
	Path       string `json:"path"` // below the name; of a single file the name
	Bytes      int64  `json:"bytes"`
	Executable bool   `json:"executable,omitempty"`
	LinkTo     string `json:"link_to,omitempty"` // of a symbolic link
}

func metainfoOf(m *client.Metainfo) metainfoInfo {
	l := m.Layout
	info := metainfoInfo{
		Event: "metainfo", Name: l.Name, InfoHash: hex.EncodeToString(m.InfoHash[:]), Bytes: l.Total, Pieces: l.NumPieces(), PieceLength: l.PieceLength,
		Private: l.Private, Comment: m.Comment, CreatedBy: m.CreatedBy, Trackers: m.Tiers, WebSeeds: m.WebSeeds, Odd: m.Odd,
	}
	if !m.Created.IsZero() {
		info.Created = formatTime(m.Created)
	}
	for _, f := range l.Files {
		if !f.Pad {
			info.Files = append(info.Files, metainfoFileInfo{Path: f.Path, Bytes: f.Length, Executable: f.Exec})
		}
	}
	for _, link := range l.Links {
		info.Files = append(info.Files, metainfoFileInfo{Path: link.Path, LinkTo: link.To})
	}
	// Empty lists, not null: whoever reads this may iterate.
	info.Trackers = append([][]string{}, info.Trackers...)
	info.WebSeeds = append([]string{}, info.WebSeeds...)
	info.Odd = append([]string{}, info.Odd...)
	return info
}

func (a *app) metainfoShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE.torrent",
		Short: "Show what is in a .torrent",
		Long: `Shows what a .torrent says: its name, info hash, pieces and files, trackers by tier,
web seeds, comment, and what is odd about it. With --json one object with event
"metainfo" and name, info_hash, bytes, pieces, piece_length, private, comment,
created_by, created, trackers, web_seeds, files, odd.`,
		Args: takes(1, 1, "FILE.torrent"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := client.ReadMetainfo(args[0])
			if err != nil {
				return err
			}
			info := metainfoOf(m)
			a.out.line(metainfoText(info), info)
			return nil
		},
	}
}

// plain is what a stranger wrote, for a terminal: quoted when it is more than text.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

func metainfoText(m metainfoInfo) string {
	var b strings.Builder
	row := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s%s\n", key, fmt.Sprintf(format, args...))
	}
	row("name", "%s", plain(m.Name))
	row("size", "%d (%s)", m.Bytes, client.FormatBytes(m.Bytes))
	row("info_hash", "%s", m.InfoHash)
	row("pieces", "%d", m.Pieces)
	row("piece_length", "%d", m.PieceLength)
	if m.Private {
		row("private", "yes")
	}
	if m.Comment != "" {
		row("comment", "%s", plain(m.Comment))
	}
	if m.CreatedBy != "" {
		row("created_by", "%s", plain(m.CreatedBy))
	}
	if m.Created != "" {
		row("created", "%s", m.Created)
	}
	for i, tier := range m.Trackers {
		for _, t := range tier {
			row("tracker", "%d  %s", i+1, plain(t))
		}
	}
	for _, w := range m.WebSeeds {
		row("web_seed", "%s", plain(w))
	}
	for _, f := range m.Files {
		switch {
		case f.LinkTo != "":
			row("link", "%s -> %s", plain(f.Path), plain(f.LinkTo))
		case f.Executable:
			row("file", "%d  %s  executable", f.Bytes, plain(f.Path))
		default:
			row("file", "%d  %s", f.Bytes, plain(f.Path))
		}
	}
	for _, o := range m.Odd {
		row("odd", "%s", plain(o))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
