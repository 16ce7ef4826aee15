package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

func (a *app) uploadCommand() *cobra.Command {
	var (
		stay    func() (staying, error)
		profile transfer.Profile
	)
	cmd := &cobra.Command{
		Use:   "upload FILE TORRENT",
		Short: "Serve a file or directory as the content of a .torrent that is there",
		Long: `Reads FILE, a file or directory, compares every piece with the hashes in TORRENT,
whoever made that, and serves it until interrupted, or for the time that
--seed-for gives. The torrent's trackers hear of it, and the ring, in which it is
published under the torrent's name: others get it by btclient download NAME, or
by btclient download TORRENT FILE. Private torrents (BEP 27) are their trackers'
alone. Trackers are enough: then no ring is needed, and copies is 0.

One line on standard output when it is served, as of btclient publish:

  published name="x" info_hash=<40 hex> bytes=<n> pieces=<n> copies=<n>

Exit code 4 when FILE is not the content of TORRENT. btclient publish is for what
has no .torrent yet.`,
		Args: takes(2, 2, "FILE TORRENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := client.UploadRequest{Path: args[0], Torrent: args[1]}
			if _, _, err := client.CheckUpload(req); err != nil {
				return err
			}
			howLong, err := stay()
			if err != nil {
				return err
			}
			return a.upload(cmd.Context(), req, howLong, profile)
		},
	}
	f := cmd.Flags()
	stay = stayingFlags(cmd, ", then end; 0s ends at once; a daemon serves on")
	profileFlag(f, &profile)
	a.progressFlag(cmd)
	return cmd
}

// upload does it.
func (a *app) upload(ctx context.Context, req client.UploadRequest, stay staying, profile transfer.Profile) error {
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	if r, err := api.Find(storage.Dir()); err != nil {
		return err
	} else if r != nil {
		add := api.AddPublication{}
		if add.Path, err = filepath.Abs(req.Path); err != nil {
			return err
		}
		if add.Torrent, err = filepath.Abs(req.Torrent); err != nil {
			return err
		}
		a.servesOn(stay)
		return a.publishThere(ctx, r, []api.AddPublication{add})
	}
	ring, err := a.openRingWaiting(ctx, storage, -1)
	if err != nil {
		return err
	}
	defer ring.Close()
	c := client.New(client.Config{Storage: storage, Ring: ring, Profile: profile, Log: a.log})
	defer c.Close()
	req.OnProgress = a.stages(req.Path)
	p, err := c.Upload(ctx, req)
	a.meterStop()
	if err != nil {
		return err
	}
	pubs := []*client.Publication{p}
	defer a.stopAll(pubs)
	if err := a.published(c, p); err != nil {
		return err
	}
	return a.seed(ctx, pubs, stay)
}
