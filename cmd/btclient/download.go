package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

// lingerMost is how long a finished download serves those who still fetch.
const lingerMost = 60 * time.Second

func (a *app) downloadCommand() *cobra.Command {
	var (
		target   string
		stay     func() (staying, error)
		force    bool
		hook     string
		profile  transfer.Profile
		reserve  bool
		anySpace bool
		follow   bool
		from     string
	)
	cmd := &cobra.Command{
		Use:   "download NAME|FILE.torrent|URL|MAGNET [PATH]",
		Short: "Download a file or directory by its name, from everyone who has it",
		Long: `Downloads what was published as NAME, or what a .torrent describes, from everyone
who has it, and serves it to others while it runs. The .torrent may be a file, the
http or https URL of one, or stand behind a magnet link (in quotes: the shell
takes & for itself). What this ring knows comes from the ring; for other
torrents their own trackers are asked, by HTTP and UDP, and no ring is needed.

PATH, or -o PATH, is the file or directory itself; with a trailing slash, or if
it is an existing directory, it goes inside. The default is files/NAME in
Storage. Until it is complete the data is in PATH.part; interrupted, also by a
power cut, the same command continues it. What is at the target already is
verified and used, but never overwritten unless it is an earlier version that
this Storage downloaded there.

PATH may be a block device: it is written in place, from its begin on, zeros as
well, and synced before the line below. One that is too small, mounted or in use
otherwise is refused; --force writes to one in use. Interrupted, the same command
goes on; what somebody may have changed meanwhile is hashed first. The device stays
ours until this command ends (--seed-for 0s), and is not served afterwards.
With -o -, a named pipe or a character device the bytes are written there in order,
verified, while they come in; they gather in a file in Storage that goes with this
command. With -o - the lines of this command go to standard error. Both take a
single file only, stay with the version that they began, and are done by this
command also where a daemon runs.

When every byte is verified, one line on standard output:

  downloaded name="x" path="/where/x" info_hash=<40 hex> bytes=<n>

With --json {"event":"downloaded", the same keys}, then as the last object
{"event":"done", the same keys, "seconds":s, "fetched":n, "from":[{"addr":a,
"peer_id":p,"bytes":n}]}; with --progress json also, once a second,
{"event":"progress","name":...,"bytes_done":n,"bytes_total":n,
"rate_bytes_per_sec":n,"peers":n,"eta_sec":n or null,"state":...}.

It then stays until no connected peer is still fetching, 60 s at most, or as
long as --seed-for says; a daemon, if one of this Storage runs, fetches it in its
place and serves it for good. --exec CMD runs CMD by sh at completion with BT_NAME,
BT_PATH and BT_INFO_HASH in its environment and its output on standard error;
its failure is ours.`,
		Args: takes(1, 2, "NAME|FILE.torrent|URL|MAGNET [PATH]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				if cmd.Flags().Changed("output") {
					return usageError(errors.New("the target is given twice, as an argument and with -o"), "btclient download")
				}
				target = args[1]
			}
			if target == "" && (len(args) == 2 || cmd.Flags().Changed("output")) {
				return usageError(errors.New("the target is an empty path"), "btclient download")
			}
			howLong, err := stay()
			if err != nil {
				return err
			}
			req := client.DownloadRequest{Source: args[0], Target: target, Preallocate: reserve, AnySpace: anySpace, Force: force}
			var kind client.TargetKind
			req.Target, kind = kindOfTarget(target)
			if req.Target == "-" {
				a.out.moveTo(a.console) // standard output is data
			}
			if kind != client.ToFiles && (follow || reserve) {
				return usageError(fmt.Errorf("%s is no file: --follow and --preallocate are for files", target), "btclient download")
			}
			if from != "" {
				if follow || a.elsewhere.url != "" {
					return usageError(errors.New("--from is for this command alone: leave out --follow and --daemon"), "btclient download")
				}
				return a.downloadFrom(cmd.Context(), from, req, howLong, hook)
			}
			return a.download(cmd.Context(), req, follow, howLong, hook, profile)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&target, "output", "o", "", "the target `PATH`")
	stay = stayingFlags(cmd, " after it is complete; 0s leaves at once; a daemon serves on")
	f.BoolVar(&force, "force", false, "write to a device although it is in use")
	f.StringVar(&hook, "exec", "", "run `CMD` by sh at completion")
	f.BoolVar(&follow, "follow", false, "keep to the newest version of NAME from now on; needs the daemon, see btclient serve")
	f.BoolVar(&anySpace, "no-space-check", false, "begin although the disk has no room for all of it, and wait when it is full")
	f.BoolVar(&reserve, "preallocate", false, "reserve the space for all of it first, so that the disk cannot become full meanwhile")
	f.StringVar(&from, "from", "", "fetch it from `WHERE` alone: the URL of a daemon, http://HOST:PORT, or storage, which is what this Storage has")
	a.daemonFlags(f)
	profileFlag(f, &profile)
	a.progressFlag(cmd)
	return cmd
}

// download does it.
func (a *app) download(ctx context.Context, req client.DownloadRequest, follow bool, stay staying, hook string, profile transfer.Profile) error {
	ask := func(r *api.Remote) error {
		a.servesOn(stay)
		return a.downloadThere(ctx, r, api.AddDownload{Source: req.Source, Target: req.Target, Follow: follow, Preallocate: req.Preallocate, AnySpace: req.AnySpace}, hook)
	}
	if a.elsewhere.url != "" {
		r, err := a.daemonAt(a.elsewhere.url)
		if err != nil {
			return err
		}
		return ask(r)
	}
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	switch r, err := api.Find(storage.Dir()); {
	case err != nil:
		return err
	case r != nil && client.KindOfTarget(req.Target) == client.ToFiles:
		return ask(r)
	case follow:
		return errNoDaemon
	}
	wait := time.Duration(0)
	if !client.IsName(req.Source) {
		wait = -1 // it may do without
	}
	ring, err := a.openRingWaiting(ctx, storage, wait)
	if err != nil {
		return err
	}
	defer ring.Close()
	c := client.New(client.Config{Storage: storage, Ring: ring, Profile: profile, Log: a.log})
	defer c.Close()
	return a.fetch(ctx, c, req, stay, hook)
}

// downloadFrom downloads from one place alone, in this process also when there is a daemon.
func (a *app) downloadFrom(ctx context.Context, from string, req client.DownloadRequest, stay staying, hook string) error {
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	req.From = storage.FromStorage()
	if from != fromStorage {
		r, err := a.daemonAt(from)
		if err != nil {
			return err
		}
		req.From = r.Origin()
	}
	ring := client.NoRing()
	defer ring.Close()
	c := client.New(client.Config{Storage: storage, Ring: ring, Log: a.log})
	defer c.Close()
	return a.fetch(ctx, c, req, stay, hook)
}

// fromStorage is what --from calls the Storage of the command.
const fromStorage = "storage"

// fetch downloads in this process.
func (a *app) fetch(ctx context.Context, c *client.Client, req client.DownloadRequest, stay staying, hook string) error {
	if kind := client.KindOfTarget(req.Target); kind != client.ToFiles {
		return a.downloadInto(ctx, c, req, kind, hook, stay)
	}
	req.OnProgress = a.stages(req.Source)
	d, err := a.newest(ctx, c, req)
	if d != nil {
		defer a.leave(d)
	}
	if err != nil {
		return err
	}
	return a.completed(ctx, d, hook, stay)
}

// completed does what is to be done with a complete download; the error is that of the hook.
func (a *app) completed(ctx context.Context, d *client.Download, hook string, stay staying) (hookErr error) {
	a.report(d)
	if hook != "" {
		hookErr = client.RunHook(ctx, hook, client.Completed{Name: d.Name, Path: d.Path, InfoHash: hex.EncodeToString(d.InfoHash[:])}, a.console)
	}
	a.stay(ctx, d, stay)
	return hookErr
}

// newest downloads; when a newer version is published meanwhile, that, with what both
// share. What it gives with an error is to be left as well.
func (a *app) newest(ctx context.Context, c *client.Client, req client.DownloadRequest) (*client.Download, error) {
	for {
		d, err := c.Download(ctx, req)
		a.meterStop()
		if err != nil {
			return nil, err
		}
		err = a.await(ctx, d, req.Source == d.Name)
		if !errors.Is(err, errNewer) {
			return d, err
		}
		fmt.Fprintf(a.console, "btclient: a newer version of %q was published: going on with that\n", d.Name)
		a.leave(d)
	}
}

// leave ends a download in order.
func (a *app) leave(d *client.Download) {
	bye, cancel := farewellContext()
	defer cancel()
	if err := d.Stop(bye); err != nil {
		a.log.Warn("the download did not end in order", "name", d.Name, "err", err)
	}
}

// errNewer ends the waiting for a version that is not the newest any more.
var errNewer = errors.New("a newer version was published")

// newerEvery is how often it is asked whether there is one.
const newerEvery = 3 * time.Second

// untilNewer gives a channel that is closed when the ring has a newer version.
func untilNewer(ctx context.Context, d *client.Download) <-chan struct{} {
	found := make(chan struct{})
	go func() {
		tick := time.NewTicker(newerEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if yes, err := d.Newer(ctx); err == nil && yes { // what cannot be asked now is asked again
				close(found)
				return
			}
		}
	}()
	return found
}

// await shows the download until it is complete, failed, or interrupted; byName also
// until there is a newer version.
func (a *app) await(ctx context.Context, d *client.Download, byName bool) error {
	a.startMeter(d.Name, func() sample {
		st := d.Status()
		return sample{state: downloading, done: st.BytesDone, total: st.BytesTotal, rate: int64(st.RateDown),
			peers: len(st.Peers), note: st.Reason}
	})
	defer a.meterStop()
	look := time.NewTicker(10 * time.Second)
	defer look.Stop()
	var newer <-chan struct{}
	if byName {
		asking, cancel := context.WithCancel(ctx)
		defer cancel()
		newer = untilNewer(asking, d)
	}
	said := ""
	for {
		select {
		case <-d.Done():
			return d.Err()
		case <-ctx.Done():
			st := d.Status()
			return fmt.Errorf("%w: %q has %s of %s", client.ErrInterrupted, d.Name, client.FormatBytes(st.BytesDone), client.FormatBytes(st.BytesTotal))
		case <-newer:
			return errNewer
		case <-look.C:
			// Whoever sees no bar is told once why it stands still.
			if reason := d.Status().Reason; reason != said && a.progressMode == progressNone {
				said = reason
				if reason != "" {
					a.log.Warn("the download stands still", "name", d.Name, "reason", reason)
				}
			}
		}
	}
}

// report tells scripts that it is complete.
func (a *app) report(d *client.Download) {
	a.meterStop()
	infoHash := hex.EncodeToString(d.InfoHash[:])
	e := downloadedEvent{Event: "downloaded", Name: d.Name, Path: d.Path, InfoHash: infoHash, Bytes: d.Bytes}
	a.out.line(e.String(), e)
	if !a.out.json {
		return
	}
	st := d.Status()
	done := doneEvent{Event: "done", Name: d.Name, Path: d.Path, InfoHash: infoHash, Bytes: d.Bytes,
		Seconds: d.Took().Seconds(), Fetched: st.Downloaded, From: []api.From{}}
	for _, from := range st.From {
		done.From = append(done.From, api.From{Addr: from.Where(), PeerID: hex.EncodeToString(from.PeerID[:]), Bytes: from.Bytes})
	}
	a.out.object(done)
}

// stay serves a complete download as long as asked.
func (a *app) stay(ctx context.Context, d *client.Download, stay staying) {
	if !stay.asked() {
		d.Linger(ctx, lingerMost)
		return
	}
	ctx, end := untilGone(ctx, stay, d)
	defer end()
	select {
	case <-ctx.Done():
	case <-d.Failed():
		fmt.Fprintf(a.console, "btclient: %q is served no longer: %v\n", d.Name, d.ServeErr())
	}
}
