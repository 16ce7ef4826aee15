package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// fileInfo is a line of `ls --json`.
type fileInfo struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	InfoHash  string `json:"info_hash"`
	Published string `json:"published"` // RFC 3339, UTC
	Seeders   int    `json:"seeders"`
	Leechers  int    `json:"leechers"`
}

// heldInfo is a line of `ls --from --json`.
type heldInfo struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	InfoHash string `json:"info_hash"`
}

func (a *app) lsCommand() *cobra.Command {
	from := ""
	cmd := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List the names in the ring",
		Long: `Prints the names in the ring, one per line, sorted; with a PREFIX those that begin
so. With --json an object per line: name, size (bytes), info_hash, published,
seeders, leechers. With --from no ring is asked: it lists what a daemon, by its URL
http://HOST:PORT, or this Storage, by the word storage, has all of; name, size and
info_hash of each.`,
		Args: takes(0, 1, "[PREFIX]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from != "" {
				return a.listHeld(cmd.Context(), from, strings.Join(args, ""))
			}
			return a.lookUp(cmd.Context(), func(ring *communicator.Communicator) error {
				return a.list(cmd.Context(), ring, strings.Join(args, ""))
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "list what is held at `WHERE`, the URL of a daemon or storage, and not what the ring knows")
	a.tokenFlag(cmd.Flags())
	return cmd
}

// listHeld lists what a daemon or this Storage has all of.
func (a *app) listHeld(ctx context.Context, from, prefix string) error {
	files, err := a.heldAt(ctx, from)
	if err != nil {
		return a.interruptedOr(ctx, err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name, prefix) {
			a.out.line(a.out.shown(f.Name), heldInfo{f.Name, f.Size, f.InfoHash})
		}
		if a.out.silenced() {
			return nil
		}
	}
	return nil
}

func (a *app) heldAt(ctx context.Context, from string) (files []api.File, err error) {
	if from != fromStorage {
		r, err := a.daemonAt(from)
		if err != nil {
			return nil, err
		}
		return r.Held(ctx)
	}
	storage, err := a.openStorage()
	if err != nil {
		return nil, err
	}
	all, err := storage.AllHeld()
	for _, h := range all {
		files = append(files, api.FileOf(h))
	}
	return files, err
}

// listBatch is how many bytes of names are written at once.
const listBatch = 32 << 10

func (a *app) list(ctx context.Context, ring *communicator.Communicator, prefix string) error {
	// With an error there may be a part of the list: it is shown before the
	// error is.
	files, listErr := ring.Files(ctx, prefix)
	if listErr != nil {
		listErr = a.interruptedOr(ctx, fmt.Errorf("the list is not complete: %w", listErr))
	}
	if !a.out.json {
		var batch []byte
		for _, f := range files {
			batch = append(append(batch, a.out.shown(f.Name)...), '\n')
			if len(batch) >= listBatch {
				a.out.write(batch)
				batch = batch[:0]
			}
			if a.out.silenced() {
				return nil
			}
		}
		a.out.write(batch)
		return listErr
	}
	err := client.ListSwarms(ctx, ring, files, func(l client.Listed) error {
		a.out.object(fileInfo{Name: l.Name, Size: l.Size, InfoHash: hex.EncodeToString(l.InfoHash[:]),
			Published: formatTime(l.Published), Seeders: l.Seeders, Leechers: l.Leechers})
		if a.out.silenced() {
			return errSilenced
		}
		return nil
	})
	if err != nil {
		return a.interruptedOr(ctx, err)
	}
	return listErr
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show what the ring knows about a name: versions and peers",
		Long: `Shows size, info hash, versions (the current one first) and peers of a name, each
peer with its address, how much of the file it has, how fast it gets more, when it
will have all, and when it said so. With --json one object with event "show" and
name, size, info_hash, pieces, seeders, leechers, versions, peers.`,
		Args: takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, name := cmd.Context(), args[0]
			return a.lookUp(ctx, func(ring *communicator.Communicator) error {
				known, err := client.New(client.Config{Ring: ring, Log: a.log}).Show(ctx, name)
				if err != nil {
					return err
				}
				e := api.ShownOf(name, known)
				shown := e
				shown.Name = a.out.shown(name)
				a.out.line(showText(shown), e)
				return nil
			})
		},
	}
}

// showText is the text form, for people and for line-oriented tools.
func showText(e api.Shown) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name       %s\nsize       %d (%s)\ninfo_hash  %s\npieces     %d\nseeders    %d\nleechers   %d\n",
		e.Name, e.Size, client.FormatBytes(e.Size), e.InfoHash, e.Pieces, e.Seeders, e.Leechers)
	for i, v := range e.Versions {
		current := ""
		if i == 0 {
			current = "  current"
		}
		fmt.Fprintf(&b, "version    %s  %s  %d bytes%s\n", v.InfoHash, v.Published, v.Size, current)
	}
	for _, p := range e.Peers {
		fmt.Fprintf(&b, "peer       %s  %.1f%%", p.Addr, p.Percent)
		if p.Rate > 0 {
			fmt.Fprintf(&b, "  %s/s, done in %v", client.FormatBytes(p.Rate), time.Duration(p.ETA*float64(time.Second)).Round(time.Second))
		}
		fmt.Fprintf(&b, "  said at %s\n", p.LastSeen)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
