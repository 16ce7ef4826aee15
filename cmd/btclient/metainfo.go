package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/transfer/storage"
)

// metainfoCommand is about .torrent files and nothing else: no ring is asked.
func (a *app) metainfoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metainfo",
		Short: "Make, show and check .torrent files, without a ring",
		Args:  takes(0, 0, "create|show|verify"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return usageError(errors.New("say what to do: metainfo create, show or verify"), "btclient metainfo")
		},
	}
	cmd.AddCommand(a.metainfoCreateCommand(), a.metainfoShowCommand(), a.metainfoVerifyCommand())
	return cmd
}

// tierFlag collects trackers from --announce and --tier in the order in which they are
// given: every use is one tier.
type tierFlag struct {
	tiers  *[][]string
	commas bool
}

func (t tierFlag) String() string { return "" }
func (t tierFlag) Type() string   { return "URL" }

func (t tierFlag) Set(text string) error {
	tier := []string{text}
	if t.commas {
		tier = strings.Split(text, ",")
	}
	if slices.Contains(tier, "") {
		return errors.New("an empty URL")
	}
	*t.tiers = append(*t.tiers, tier)
	return nil
}

type createdEvent struct {
	Event       string `json:"event"` // "created"
	Name        string `json:"name"`
	Path        string `json:"path"`
	InfoHash    string `json:"info_hash"`
	Bytes       int64  `json:"bytes"`
	Pieces      int    `json:"pieces"`
	PieceLength int64  `json:"piece_length"`
}

func (a *app) metainfoCreateCommand() *cobra.Command {
	var (
		req      client.MetainfoRequest
		target   string
		pieceLen string
	)
	cmd := &cobra.Command{
		Use:   "create PATH... -o FILE.torrent",
		Short: "Make a .torrent of files or directories",
		Long: `Hashes a file or directory, or several that lie in one directory, on all cores and
writes a .torrent for any BitTorrent client. FILE is replaced if it is there; - is
standard output. The same content and flags give the same bytes.

Each --announce is a tracker that is tried before those that follow; each --tier
URL,URL,... are several that are equal (BEP 12). A --web-seed is an HTTP server that
has the content: the URL of the file, or, ending in /, of the directory in which the
file or directory lies (BEP 19).

One line, nothing when FILE is -: created name="x" path="FILE" info_hash=<40 hex>
bytes=<n> pieces=<n> piece_length=<n>.`,
		Args: takes(1, -1, "PATH..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			if target == "" {
				return usageError(errors.New("-o FILE is missing: where to save the .torrent"), "btclient metainfo create")
			}
			if req.Name == "" && cmd.Flags().Changed("name") {
				return usageError(errors.New("--name is empty"), "btclient metainfo create")
			}
			if pieceLen != "" {
				n, err := parseRate(pieceLen)
				if err != nil {
					return usageError(fmt.Errorf("--piece-length %s: use a power of two as 262144, 256K or 1M", pieceLen), "btclient metainfo create")
				}
				req.PieceLength = n
			}
			req.Paths, req.OnProgress = args, a.stages(args[0])
			return a.createMetainfo(cmd.Context(), req, target)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&target, "output", "o", "", "the `FILE` to write, - for standard output")
	f.StringVar(&req.Name, "name", "", "call the torrent `NAME` instead of the path's last element")
	f.Var(tierFlag{&req.Tiers, false}, "announce", "a tracker, tried before those that follow")
	f.Var(tierFlag{&req.Tiers, true}, "tier", "trackers that are equal, `URL,URL...`")
	f.StringArrayVar(&req.WebSeeds, "web-seed", nil, "the `URL` of an HTTP server that has the content")
	f.BoolVar(&req.Private, "private", false, "peers are to come from these trackers alone")
	f.StringVar(&pieceLen, "piece-length", "", "`BYTES` per piece, a power of two as 256K or 1M (default: by the size of the content)")
	f.StringVar(&req.Comment, "comment", "", "a `TEXT` for whoever looks at it")
	a.progressFlag(cmd)
	return cmd
}

func (a *app) createMetainfo(ctx context.Context, req client.MetainfoRequest, target string) error {
	m, err := client.CreateMetainfo(ctx, req)
	a.meterStop()
	if err != nil {
		return err
	}
	if target == "-" {
		a.out.write(m.Bytes)
		return nil
	}
	if err := client.ReplaceFile(target, m.Bytes); err != nil {
		return fmt.Errorf("saving the .torrent of %q: %w", m.Layout.Name, err)
	}
	e := createdEvent{Event: "created", Name: m.Layout.Name, Path: target, InfoHash: hex.EncodeToString(m.InfoHash[:]),
		Bytes: m.Layout.Total, Pieces: m.Layout.NumPieces(), PieceLength: m.Layout.PieceLength}
	a.out.line(fmt.Sprintf("created name=%q path=%q info_hash=%s bytes=%d pieces=%d piece_length=%d", e.Name, e.Path, e.InfoHash, e.Bytes, e.Pieces, e.PieceLength), e)
	return nil
}

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
