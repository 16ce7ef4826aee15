package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/client/api"
	"chordtorrent/communicator"
	"chordtorrent/scripts/lab"
)

// untilServing waits until a daemon serves so many jobs. It asks once a second, and for
// their number alone: of a hundred thousand, more would be felt.
func untilServing(ctx context.Context, r *api.Remote, jobs int) error {
	for {
		var st api.Status
		if err := r.Do(ctx, "GET", "/status", nil, &st); err != nil || st.Serving >= jobs {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// manyFiles drops a very large number of small files into a folder, and looks what serving
// them costs while nobody wants any.
func (b *bench) manyFiles(ctx context.Context) (any, error) {
	dir, aside := filepath.Join(b.work, "many"), filepath.Join(b.work, "many-aside")
	for _, d := range []string{dir, aside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	cmd, r, err := b.daemon(ctx, "many-storage", "--watch", dir)
	if err != nil {
		return nil, err
	}
	name := func(i int) string { return fmt.Sprintf("file-%06d", i) }
	for i := range b.many {
		if err := random(filepath.Join(aside, name(i)), 1<<10, uint64(i)); err != nil {
			return nil, err
		}
	}
	for i := range b.many {
		if err := os.Rename(filepath.Join(aside, name(i)), filepath.Join(dir, name(i))); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := untilServing(ctx, r, b.many); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, _, err := lab.MemoryOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	// Past the second announce of those that were published last.
	if err := pause(ctx, 30*time.Second); err != nil {
		return nil, err
	}
	const watched = 60 * time.Second
	cpu := func() (daemon, ring time.Duration, err error) {
		for _, p := range b.procs {
			used, e := lab.CPUTimeOf(p.Process.Pid)
			if err = errors.Join(err, e); p == cmd {
				daemon = used
			} else {
				ring += used
			}
		}
		return daemon, ring, err
	}
	daemon, ring, err := cpu()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, watched); err != nil {
		return nil, err
	}
	daemonThen, ringThen, err := cpu()
	if err != nil {
		return nil, err
	}
	rss, anon, err := lab.MemoryOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	// One more, with all the others there: until somebody else could fetch it.
	if err := random(filepath.Join(aside, "one more"), 1<<10, 1); err != nil {
		return nil, err
	}
	dropped := time.Now()
	if err := os.Rename(filepath.Join(aside, "one more"), filepath.Join(dir, "one more")); err != nil {
		return nil, err
	}
	if err := b.until(ctx, "one more file", func() (bool, error) {
		v, err := b.ring.Versions(ctx, "one more")
		if errors.Is(err, communicator.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s, err := b.ring.Peers(ctx, "one more", v[0].InfoHash, 1)
		return s.Seeders > 0, err
	}); err != nil {
		return nil, err
	}
	found := time.Since(dropped)
	ending := time.Now()
	if err := b.end(cmd); err != nil {
		return nil, err
	}
	ended := time.Since(ending)
	began = time.Now()
	if cmd, r, err = b.daemon(ctx, "many-storage"); err != nil {
		return nil, err
	}
	ready := time.Since(began)
	if err := untilServing(ctx, r, b.many+1); err != nil {
		return nil, err
	}
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / watched.Seconds() }
	return map[string]any{
		"files": b.many, "all_files_seconds": seconds(took), "rss_mib_then": after / 1024,
		"watched_seconds": watched.Seconds(), "cpu_percent_of_a_core": percent(daemonThen - daemon), "ring_cpu_percent_of_a_core": percent(ringThen - ring),
		"rss_mib": rss / 1024, "anon_mib": anon / 1024, "anon_bytes_per_file": anon * 1024 / int64(b.many),
		"one_more_found_seconds": seconds(found), "end_seconds": seconds(ended), "ready_again_seconds": seconds(ready), "served_again_seconds": seconds(time.Since(began)),
	}, b.end(cmd)
}

// pause lets some time pass.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
