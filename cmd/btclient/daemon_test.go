package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"chordtorrent/client/api"
	"chordtorrent/transfer/storage"
)

// daemonOf asks the daemon of a user.
func daemonOf(ts *testscript.TestScript, user string) *api.Remote {
	r, err := api.Find(ts.MkAbs("storage-" + user))
	ts.Check(err)
	if r == nil {
		ts.Fatalf("%s has no daemon", user)
	}
	return r
}

// daemonof USER: the URL of the daemon is in $DAEMON.
func cmdDaemonOf(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv("DAEMON", daemonOf(ts, args[0]).URL)
}

// job PROCESS USER NAME STATE [VERSION]: waits until the daemon's job of that name is in
// a state, with that many versions; gone means that there is none.
func cmdJob(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name, state := args[2], args[3]
	r := daemonOf(ts, args[1])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var jobs []api.Job
		ts.Check(r.Do(ctx, "GET", "/jobs", nil, &jobs))
		seen := "gone"
		for _, j := range jobs {
			if j.Name == name {
				seen = fmt.Sprintf("%s %d", j.State, j.Version)
			}
		}
		if want := state; seen == want || len(args) > 4 && seen == want+" "+args[4] {
			return
		}
		select {
		case <-tick.C:
		case <-processOf(ts, args[0]).done:
			ts.Fatalf("the daemon has ended:\n%s", processOf(ts, args[0]).both.String())
		case <-ctx.Done():
			ts.Fatalf("%s is %s, not %v", name, seen, args[3:])
		}
	}
}

// reaches USER: waits until the daemon has a ring in reach.
func cmdReaches(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := daemonOf(ts, args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for st := (api.Status{}); !st.Ring; <-tick.C {
		ts.Check(r.Do(ctx, "GET", "/status", nil, &st))
	}
}

// change FILE OFFSET: one byte becomes another.
func cmdChange(ts *testscript.TestScript, neg bool, args []string) {
	at, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	ts.Check(err)
	b[0]++
	_, err = f.WriteAt(b, at)
	ts.Check(err)
}

// daemonkilled FILE...: a daemon downloads all of them, is killed as often as
// -btclient.kills says once about as much is on disk as chance says, and started again.
func cmdDaemonKilled(ts *testscript.TestScript, neg bool, files []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	seed := rand.Uint64()
	ts.Logf("seed %#x", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var total int64
	pieceLength := map[string]int64{}
	for _, f := range files {
		mi, err := os.ReadFile(filepath.Join(ts.MkAbs("storage-p"), "torrents", f+".torrent"))
		ts.Check(err)
		_, layout, err := storage.ParseTorrent(mi)
		ts.Check(err)
		total += layout.Total
		pieceLength[f] = layout.PieceLength
	}
	path := func(f string) string {
		final := filepath.Join(ts.MkAbs("storage-d"), "files", f)
		if _, err := os.Stat(final); err == nil {
			return final
		}
		return final + ".part"
	}
	onDisk := func() (sum int64) {
		for _, f := range files {
			var st syscall.Stat_t
			if syscall.Stat(path(f), &st) == nil {
				sum += st.Blocks * 512
			}
		}
		return sum
	}
	wholeOnDisk := func() (sum int64) {
		for _, f := range files {
			sum += wholePieces(ts, path(f), ts.MkAbs(f), pieceLength[f])
		}
		return sum
	}
	var whole int64
	for n := range *kills + 1 {
		p := spawn(ts, "d-"+strconv.Itoa(n), "btclient", append(common(ts, "d"), "serve", "--web", "127.0.0.1:0", "--max-downloads", "5")...)
		p.await(ts, "ready", func(all string) bool { return strings.Contains(all, "ready web=") })
		r := daemonOf(ts, "d")
		if n == 0 {
			for _, f := range files {
				ts.Check(r.Do(ctx, "POST", "/downloads", api.AddDownload{Source: f}, nil))
			}
		}
		if n == *kills {
			break
		}
		killWhen(p, func(at int64) bool { return onDisk() >= at }, whole+random.Int64N(max((total-whole)/2, 1)))
		now := wholeOnDisk()
		if now < whole {
			ts.Fatalf("after kill %d %d bytes are whole on disk, before it %d were", n, now, whole)
		}
		whole = now
		ts.Logf("kill %d: %d of %d bytes were whole on disk", n, whole, total)
	}
	r := daemonOf(ts, "d")
	var fetched int64
	for _, f := range files {
		cmdJob(ts, false, []string{"d-" + strconv.Itoa(*kills), "d", f, "done", "1"})
		cmdSame(ts, false, []string{f, path(f)})
	}
	var jobs []api.Job
	ts.Check(r.Do(ctx, "GET", "/jobs", nil, &jobs))
	if len(jobs) != len(files) {
		ts.Fatalf("%d jobs are remembered: %+v", len(jobs), jobs)
	}
	for _, j := range jobs {
		fetched += j.Fetched
	}
	if fetched > total-whole {
		ts.Fatalf("%d bytes were fetched, at most %d were missing", fetched, total-whole)
	}
}

// killWhen kills a process as soon as a condition holds, or it has ended.
func killWhen(p *process, reached func(int64) bool, at int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	enough := time.After(patience) // all may be there already
	for {
		if reached(at) {
			_ = p.cmd.Process.Kill() // it may have ended
		}
		select {
		case <-p.done:
			return
		case <-enough:
			_ = p.cmd.Process.Kill()
		case <-tick.C:
		}
	}
}
