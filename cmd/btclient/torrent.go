package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// errSilenced ends a listing that nobody can read any more.
var errSilenced = errors.New("standard output takes no more")

// interruptedOr is err, or client.ErrInterrupted when it came from that. That
// standard output takes no more is no error of the listing: finish knows.
func (a *app) interruptedOr(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errSilenced):
		return nil
	case ctx.Err() != nil:
		return client.ErrInterrupted
	}
	return err
}

type savedEvent struct {
	Event    string `json:"event"` // "saved"
	Name     string `json:"name"`
	Path     string `json:"path"`
	InfoHash string `json:"info_hash"`
	Bytes    int    `json:"bytes"` // of the .torrent
}

func (a *app) torrentCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "torrent NAME -o FILE",
		Short: "Save the .torrent of a name",
		Long: `Saves the .torrent of a name, for any BitTorrent client. FILE is replaced if it is
there; - is standard output. One line: saved name="x" path="FILE"
info_hash=<40 hex> bytes=<n>; nothing when FILE is -.`,
		Args: takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if target == "" {
				return usageError(errors.New("-o FILE is missing: where to save the .torrent"), "btclient torrent")
			}
			ctx, name := cmd.Context(), args[0]
			return a.lookUp(ctx, func(ring *communicator.Communicator) error {
				v, metainfo, err := client.New(client.Config{Ring: ring, Log: a.log}).Torrent(ctx, name)
				if err != nil {
					return err
				}
				if target == "-" {
					a.out.write(metainfo)
					return nil
				}
				if err := client.ReplaceFile(target, metainfo); err != nil {
					return fmt.Errorf("saving the .torrent of %q: %w", name, err)
				}
				e := savedEvent{Event: "saved", Name: name, Path: target, InfoHash: hex.EncodeToString(v.InfoHash[:]), Bytes: len(metainfo)}
				a.out.line(fmt.Sprintf("saved name=%q path=%q info_hash=%s bytes=%d", e.Name, e.Path, e.InfoHash, e.Bytes), e)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&target, "output", "o", "", "the `FILE` to write, - for standard output")
	return cmd
}

type unpublishedEvent struct {
	Event string `json:"event"` // "unpublished"
	Name  string `json:"name"`
}

func (a *app) unpublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unpublish NAME",
		Short: "Take a name out of the ring",
		Long: `Takes a name with all its versions out of the ring. Data stays where it is, and
who downloads already goes on. One line: unpublished name="x".`,
		Args: takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, name := cmd.Context(), args[0]
			storage, err := a.openStorage()
			if err != nil {
				return err
			}
			if err := a.unpublish(ctx, storage, name); err != nil {
				return err
			}
			a.out.line(fmt.Sprintf("unpublished name=%q", name), unpublishedEvent{Event: "unpublished", Name: name})
			return nil
		},
	}
}

func (a *app) unpublish(ctx context.Context, storage *client.Storage, name string) error {
	r, err := api.Find(storage.Dir())
	if err != nil {
		return err
	}
	if r != nil {
		return a.interruptedOr(ctx, r.Do(ctx, "DELETE", "/files/"+url.PathEscape(name), nil, nil))
	}
	ring, err := a.openRing(ctx, storage)
	if err != nil {
		return err
	}
	defer ring.Close()
	return client.New(client.Config{Storage: storage, Ring: ring, Log: a.log}).Unpublish(ctx, name)
}

type verifiedEvent struct {
	Event    string `json:"event"` // "verified"
	Name     string `json:"name"`
	Path     string `json:"path"`
	InfoHash string `json:"info_hash"`
	Bytes    int64  `json:"bytes"`
	Pieces   int    `json:"pieces"`
}

func (e verifiedEvent) String() string {
	return fmt.Sprintf("verified name=%q path=%q info_hash=%s bytes=%d pieces=%d", e.Name, e.Path, e.InfoHash, e.Bytes, e.Pieces)
}

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify NAME",
		Short: "Read what Storage published or downloaded and compare it with its hashes",
		Long: `Reads the data that this Storage published or downloaded as NAME, the latest of
it, and compares every piece with its hash; asks no ring. One line:
verified name="x" path="/where/x" info_hash=<40 hex> bytes=<n> pieces=<n>.
Exit code 4 when it does not match.`,
		Args: takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			storage, err := a.openStorage()
			if err != nil {
				return err
			}
			v, err := storage.Verify(cmd.Context(), args[0], a.stages(args[0]))
			a.meterStop()
			if err != nil {
				return err
			}
			e := verifiedEvent{Event: "verified", Name: v.Name, Path: v.Path, InfoHash: hex.EncodeToString(v.InfoHash[:]), Bytes: v.Bytes, Pieces: v.Pieces}
			a.out.line(e.String(), e)
			return nil
		},
	}
	a.progressFlag(cmd)
	return cmd
}
