package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

func (a *app) publishCommand() *cobra.Command {
	var (
		p    publishing
		size string
		stay func() (staying, error)
	)
	cmd := &cobra.Command{
		Use:   "publish PATH...|DEVICE|-",
		Short: "Publish files or directories by name, and serve them",
		Long: `Hashes each PATH, stores its .torrent in the ring under its name and serves it
until interrupted, for the time that --seed-for gives, or, with --seed-until
peers-done, until nobody is fetching it any more and at least one has. The data stays where
it is: a file that changes is served no longer. Published again under the same
name it becomes a new version. A daemon, if one of this Storage runs, does all that
in its place, and serves for good: this command ends when it has been published.

Of a block device, of standard input (-) and of a named pipe a copy is made in
Storage, while it is hashed, and that is served; --name says what it is called.
What is zeros takes no room. It is published as a whole or not at all. A device
that is mounted, or used otherwise, may change meanwhile and is refused; --force
reads it as it is. --size tells how much will come by a pipe, which makes for
better pieces: without it they are of 1 MiB.

With --daemon the daemon of another machine publishes what it is brought: a file, a
device or what a pipe brings. It has all of it when this ends.

As soon as the ring has acknowledged, one line per PATH on standard output:

  published name="x" info_hash=<40 hex> bytes=<n> pieces=<n> copies=<n>

copies is the number of ring members that have the .torrent on disk. With
--json: {"event":"published", the same keys, and path, port, peer_id}.
Interrupting what has been published ends it in order, with exit code 0.`,
		Args: takes(1, -1, "PATH..."),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if p.name != "" && len(args) > 1 {
				return usageError(errors.New("--name can only name one PATH"), "btclient publish")
			}
			if p.name == "" && cmd.Flags().Changed("name") {
				return usageError(errors.New("--name is empty"), "btclient publish")
			}
			if p.stay, err = stay(); err != nil {
				return err
			}
			if p.size, err = sizeOf(size); err != nil {
				return usageError(fmt.Errorf("--size %s: use a number of bytes as 4294967296, 500M or 4G", size), "btclient publish")
			}
			if p.stream = a.elsewhere.url != "" || slices.ContainsFunc(args, isStream); p.stream {
				if isFile(args[0]) && p.name == "" {
					p.name = filepath.Base(args[0])
				}
				if len(args) > 1 || p.name == "" {
					return usageError(fmt.Errorf("%s is no file that could lend its name: publish it alone, with --name NAME", args[0]), "btclient publish")
				}
				if err := client.CheckName(p.name); err != nil {
					return err
				}
				return a.publish(cmd.Context(), args, p)
			}
			for _, path := range args {
				if err := client.CheckPublish(client.PublishRequest{Path: path, Name: p.name}); err != nil {
					return err
				}
			}
			return a.publish(cmd.Context(), args, p)
		},
	}
	f := cmd.Flags()
	a.daemonFlags(f)
	f.StringVar(&p.name, "name", "", "publish under this `NAME` instead of the path's last element")
	f.BoolVar(&p.keepCopy, "copy", false, "keep a copy in Storage and serve that")
	f.StringVar(&size, "size", "", "about how many bytes (`N` as 500M, 4G) a pipe will bring")
	f.BoolVar(&p.force, "force", false, "read a device although it is in use and may change meanwhile")
	f.BoolVar(&p.anySpace, "no-space-check", false, "copy a device although the disk has no room for all of it: zeros take none")
	stay = stayingFlags(cmd, ", then end; 0s ends at once; a daemon serves on")
	p.embed.addFlags(f)
	profileFlag(f, &p.profile)
	a.progressFlag(cmd)
	return cmd
}

// publishing is how something is to be published.
type publishing struct {
	name     string
	keepCopy bool
	stream   bool // it is no file: see streamOf
	size     int64
	force    bool
	anySpace bool
	stay     staying
	embed    embedding
	profile  transfer.Profile
}

// sizeOf reads a number of bytes; -1 when none is given.
func sizeOf(given string) (int64, error) {
	if given == "" {
		return -1, nil
	}
	n, err := parseRate(given)
	if n == 0 {
		n = -1
	}
	return n, err
}

func (a *app) publish(ctx context.Context, paths []string, p publishing) (err error) {
	var from *client.Stream
	if p.stream {
		s, closeStream, err := streamOf(ctx, paths[0], p.size, p.force)
		if err != nil {
			return err
		}
		defer closeStream()
		from = s
	}
	if a.elsewhere.url != "" {
		r, err := a.daemonAt(a.elsewhere.url)
		if err != nil {
			return err
		}
		return a.streamThere(ctx, r, from, p)
	}
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	if r, err := api.Find(storage.Dir()); err != nil {
		return err
	} else if r != nil {
		if from != nil {
			return a.streamThere(ctx, r, from, p)
		}
		a.servesOn(p.stay)
		var add []api.AddPublication
		for _, path := range paths {
			abs, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			add = append(add, api.AddPublication{Path: abs, Name: p.name, Copy: p.keepCopy})
		}
		return a.publishThere(ctx, r, add)
	}
	ring, closeRing, err := a.openRingOrEmbed(ctx, storage, p.embed)
	if err != nil {
		return err
	}
	defer closeRing()
	c := client.New(client.Config{Storage: storage, Ring: ring, Profile: p.profile, Log: a.log})
	defer c.Close()

	var pubs []*client.Publication
	defer func() { a.stopAll(pubs) }()
	for _, path := range paths {
		if from != nil {
			path = from.From
		}
		pub, err := c.Publish(ctx, client.PublishRequest{Path: path, Name: p.name, Copy: p.keepCopy, Stream: from, AnySpace: p.anySpace, OnProgress: a.stages(path)})
		a.meterStop()
		if from != nil {
			err = beginsAnew(err)
		}
		if err != nil {
			return err
		}
		pubs = append(pubs, pub)
		if err := a.published(c, pub); err != nil {
			return err // whoever waits for the line would wait forever
		}
	}
	return a.seed(ctx, pubs, p.stay)
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

// seed serves until ctx ends, it is time to go, or nothing can be served any
// more.
func (a *app) seed(ctx context.Context, pubs []*client.Publication, stay staying) error {
	ctx, end := untilGone(ctx, stay, pubs...)
	defer end()
	if !stay.asked() && a.progressMode == progressBar {
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
