package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chordtorrent/client"
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
