package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

func (a *app) publishCommand() *cobra.Command {
	var (
		name     string
		keepCopy bool
		seedFor  time.Duration
		embed    embedding
		profile  transfer.Profile
	)
	cmd := &cobra.Command{
		Use:   "publish PATH...",
		Short: "Publish files or directories by name, and serve them",
		Long: `Hashes each PATH, stores its .torrent in the ring under its name and serves it
until interrupted, or for the time that --seed-for gives. The data stays where
it is: a file that changes is served no longer. Published again under the same
name it becomes a new version. A daemon, if one of this Storage runs, does all that
in its place, and serves for good: this command ends when it has been published.

As soon as the ring has acknowledged, one line per PATH on standard output:

  published name="x" info_hash=<40 hex> bytes=<n> pieces=<n> copies=<n>

copies is the number of ring members that have the .torrent on disk. With
--json: {"event":"published", the same keys, and path, port, peer_id}.
Interrupting what has been published ends it in order, with exit code 0.`,
		Args: takes(1, -1, "PATH..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name != "" && len(args) > 1 {
				return usageError(errors.New("--name can only name one PATH"), "btclient publish")
			}
			for _, path := range args {
				if err := client.CheckPublish(client.PublishRequest{Path: path, Name: name}); err != nil {
					return err
				}
			}
			if name == "" && cmd.Flags().Changed("name") {
				return usageError(errors.New("--name is empty"), "btclient publish")
			}
			limit, err := howLong(cmd, "seed-for", seedFor)
			if err != nil {
				return err
			}
			return a.publish(cmd.Context(), args, name, keepCopy, limit, embed, profile)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "publish under this `NAME` instead of the path's last element")
	f.BoolVar(&keepCopy, "copy", false, "keep a copy in Storage and serve that")
	f.DurationVar(&seedFor, "seed-for", 0, "serve for so long (`D` as 90s, 2h), then end; 0s ends at once; a daemon serves on")
	embed.addFlags(f)
	profileFlag(f, &profile)
	a.progressFlag(cmd)
	return cmd
}

// publish does it; seedFor < 0 means until interrupted.
func (a *app) publish(ctx context.Context, paths []string, name string, keepCopy bool, seedFor time.Duration, embed embedding, profile transfer.Profile) (err error) {
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	if r, err := api.Find(storage.Dir()); err != nil {
		return err
	} else if r != nil {
		var add []api.AddPublication
		for _, path := range paths {
			abs, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			add = append(add, api.AddPublication{Path: abs, Name: name, Copy: keepCopy})
		}
		a.servesOn(seedFor)
		return a.publishThere(ctx, r, add)
	}
	ring, closeRing, err := a.openRingOrEmbed(ctx, storage, embed)
	if err != nil {
		return err
	}
	defer closeRing()
	c := client.New(client.Config{Storage: storage, Ring: ring, Profile: profile, Log: a.log})
	defer c.Close()

	var pubs []*client.Publication
	defer func() { a.stopAll(pubs) }()
	for _, path := range paths {
		p, err := c.Publish(ctx, client.PublishRequest{Path: path, Name: name, Copy: keepCopy, OnProgress: a.stages(path)})
		a.meterStop()
		if err != nil {
			return err
		}
		pubs = append(pubs, p)
		if err := a.published(c, p); err != nil {
			return err // whoever waits for the line would wait forever
		}
	}
	return a.seed(ctx, pubs, seedFor)
}

// stopAll ends publications in order.
func (a *app) stopAll(pubs []*client.Publication) {
	bye, cancel := farewellContext()
	defer cancel()
	for _, p := range pubs {
		if err := p.Stop(bye); err != nil {
			a.log.Debug("not everything ended in order", "name", p.Name, "err", err)
		}
	}
}

// published tells scripts that something is served; its error is that of standard output.
func (a *app) published(c *client.Client, p *client.Publication) error {
	peerID := c.PeerID()
	e := publishedEvent{Event: "published", Name: p.Name, InfoHash: hex.EncodeToString(p.InfoHash[:]), Bytes: p.Bytes,
		Pieces: p.Pieces, Copies: p.Copies, Path: p.Path, Port: c.Port(), PeerID: hex.EncodeToString(peerID[:])}
	a.out.line(e.String(), e)
	return a.out.failure()
}

// seed serves until ctx ends, the time is over, or nothing can be served any
// more.
func (a *app) seed(ctx context.Context, pubs []*client.Publication, seedFor time.Duration) error {
	var over <-chan time.Time
	if seedFor >= 0 {
		timer := time.NewTimer(seedFor)
		defer timer.Stop()
		over = timer.C
	} else if a.progressMode == progressBar {
		fmt.Fprintln(a.console, "serving until interrupted (Ctrl-C)")
	}
	ended := make(chan struct{})
	defer close(ended)
	failures := make(chan *client.Publication)
	for _, p := range pubs {
		go func() {
			select {
			case <-p.Failed():
				select {
				case failures <- p:
				case <-ended:
				}
			case <-ended:
			}
		}()
	}
	for left := len(pubs); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case p := <-failures:
			err := fmt.Errorf("%q is served no longer: %w", p.Name, p.ServeErr())
			if left--; left == 0 {
				return &client.Hint{Err: err, Next: "publish it again to serve it as it is now"}
			}
			fmt.Fprintf(a.console, "btclient: %v\n", err)
		}
	}
}

// stages shows the stages before bytes move over the network, from the first
// time that one reports.
func (a *app) stages(label string) client.OnProgress {
	if a.progressMode == progressNone {
		return nil
	}
	type state struct {
		stage       client.Stage
		done, total int64
	}
	var current atomic.Pointer[state]
	return func(stage client.Stage, done, total int64) {
		if current.Swap(&state{stage, done, total}) == nil {
			a.startMeter(label, func() sample {
				s := current.Load()
				return sample{state: string(s.stage), done: s.done, total: s.total, rate: -1}
			})
		}
	}
}
