package main

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/client/api"
	"chordtorrent/communicator"
	"chordtorrent/scripts/lab"
)

// random writes a file of random bytes.
func random(path string, size int64, seed uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	var key [32]byte
	key[0], key[1], key[2], key[3] = byte(seed), byte(seed>>8), byte(seed>>16), byte(size)
	_, err = io.CopyN(f, rand.NewChaCha8(key), size)
	return errors.Join(err, f.Close())
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// count is how many jobs a daemon has that are served.
func count(ctx context.Context, r *api.Remote) (served int, err error) {
	var jobs []api.Job
	if err := r.Do(ctx, "GET", "/jobs", nil, &jobs); err != nil {
		return 0, err
	}
	for _, j := range jobs {
		if j.State == api.Done && j.Serving {
			served++
		}
		if j.State == api.Failed {
			return 0, fmt.Errorf("%q failed: %s", j.Name, j.Error)
		}
	}
	return served, nil
}

// watch drops one file, then many at once, into a folder.
func (b *bench) watch(ctx context.Context) (any, error) {
	dir, aside := filepath.Join(b.work, "watched"), filepath.Join(b.work, "aside")
	for _, d := range []string{dir, aside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	cmd, r, err := b.daemon(ctx, "watcher", "--watch", dir)
	if err != nil {
		return nil, err
	}
	drop := func(from, to int, size int64) error {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("file-%05d", i)
			if err := random(filepath.Join(aside, name), size, uint64(i)); err != nil {
				return err
			}
		}
		for i := from; i < to; i++ {
			name := fmt.Sprintf("file-%05d", i)
			if err := os.Rename(filepath.Join(aside, name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
	var one []float64
	for i := range 5 {
		if err := drop(i, i+1, 1<<20); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := b.until(ctx, "the file", func() (bool, error) {
			_, err := b.ring.Versions(ctx, fmt.Sprintf("file-%05d", i))
			if errors.Is(err, communicator.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		}); err != nil {
			return nil, err
		}
		one = append(one, seconds(time.Since(began)))
	}
	slices.Sort(one)
	if err := drop(5, b.files+5, 4<<10); err != nil {
		return nil, err
	}
	began := time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for served := 0; served < b.files+5; <-tick.C {
		if served, err = count(ctx, r); err != nil {
			return nil, err
		}
	}
	all := time.Since(began)
	rss, anon, err := lab.MemoryOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return map[string]any{"one_file_seconds_median": one[len(one)/2], "one_file_seconds_most": one[len(one)-1], "files": b.files, "all_files_seconds": seconds(all),
		"daemon_rss_mib": rss / 1024, "daemon_anon_mib": anon / 1024}, b.end(cmd)
}

// idle measures a daemon that serves what nobody fetches.
func (b *bench) idle(ctx context.Context) (any, error) {
	dir := filepath.Join(b.work, "idle-files")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i := range b.seeds {
		if err := random(filepath.Join(dir, fmt.Sprintf("seed-%05d", i)), 64<<10, uint64(i)); err != nil {
			return nil, err
		}
	}
	first, r, err := b.daemon(ctx, "idle", "--watch", dir)
	if err != nil {
		return nil, err
	}
	served := func() (bool, error) {
		n, err := count(ctx, r)
		return n == b.seeds, err
	}
	if err := b.until(ctx, "the seeds", served); err != nil {
		return nil, err
	}
	if err := b.end(first); err != nil {
		return nil, err
	}
	// As on any morning: a start with everything there.
	began := time.Now()
	cmd, r2, err := b.daemon(ctx, "idle")
	if err != nil {
		return nil, err
	}
	r = r2
	if err := b.until(ctx, "the seeds", served); err != nil {
		return nil, err
	}
	again := time.Since(began)
	// Past the announces of a start, and over a whole round of later ones.
	if err := pause(ctx, 150*time.Second); err != nil {
		return nil, err
	}
	const watched = 120 * time.Second
	before, err := lab.CPUTimeOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, watched); err != nil {
		return nil, err
	}
	after, err := lab.CPUTimeOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	rss, anon, err := lab.MemoryOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return map[string]any{"torrents": b.seeds, "served_after_start_seconds": seconds(again), "watched_seconds": watched.Seconds(),
		"cpu_percent_of_a_core": 100 * (after - before).Seconds() / watched.Seconds(), "rss_mib": rss / 1024, "anon_mib": anon / 1024}, b.end(cmd)
}

// large publishes the large file once, and gives its path.
func (b *bench) large(ctx context.Context) (*exec.Cmd, *api.Remote, string, error) {
	path := filepath.Join(b.work, "large")
	if _, err := os.Stat(path); err != nil {
		if err := random(path, b.size, 1); err != nil {
			return nil, nil, "", err
		}
	}
	cmd, r, err := b.daemon(ctx, "source")
	if err != nil {
		return nil, nil, "", err
	}
	_, err = b.command(ctx, "source", "publish", path)
	return cmd, r, path, err
}

// reading asks for the end of a file that is still coming in.
func (b *bench) reading(ctx context.Context) (any, error) {
	source, _, path, err := b.large(ctx)
	if err != nil {
		return nil, err
	}
	sink, r, err := b.daemon(ctx, "reader")
	if err != nil {
		return nil, err
	}
	var j api.Job
	if err := r.Do(ctx, "POST", "/downloads", api.AddDownload{Source: "large", LimitDown: b.size / 40}, &j); err != nil {
		return nil, err
	}
	done := func() (float64, error) {
		err := r.Do(ctx, "GET", api.JobPath(j.ID), nil, &j)
		return float64(j.Done) / float64(b.size), err
	}
	if err := b.until(ctx, "a tenth", func() (bool, error) { share, err := done(); return share >= 0.1, err }); err != nil {
		return nil, err
	}
	at := j.Done
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, "GET", r.URL+"/content/"+j.ID, nil)
	if err != nil {
		return nil, err
	}
	const tail = 1 << 20
	req.Header.Set("Range", fmt.Sprintf("bytes=-%d", tail))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	share, err := done()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	want := make([]byte, tail)
	if _, err := f.ReadAt(want, b.size-tail); err != nil {
		return nil, err
	}
	if string(got) != string(want) {
		return nil, fmt.Errorf("%d bytes came that are not the end of the file", len(got))
	}
	result := map[string]any{"bytes": b.size, "asked_at_percent": 100 * float64(at) / float64(b.size), "answered_at_percent": 100 * share, "answer_seconds": seconds(took)}
	return result, errors.Join(b.end(sink), b.end(source))
}

// change publishes the large file again with one per cent of it changed, in places of
// their own.
func (b *bench) change(ctx context.Context) (any, error) {
	source, _, path, err := b.large(ctx)
	if err != nil {
		return nil, err
	}
	sink, r, err := b.daemon(ctx, "follower", "--follow", "large")
	if err != nil {
		return nil, err
	}
	var j api.Job
	state := func(version int) func() (bool, error) {
		return func() (bool, error) {
			err := r.Do(ctx, "GET", api.JobPath("large"), nil, &j)
			return j.State == api.Done && j.Version == version, err
		}
	}
	if err := b.until(ctx, "the first version", state(1)); err != nil {
		return nil, err
	}
	const places = 10
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	piece := b.size / int64(j.Pieces)
	part := make([]byte, b.size/100/places)
	for i := range places {
		for k := range part {
			part[k] = byte(rand.Uint32())
		}
		if _, err := f.WriteAt(part, int64(i)*b.size/places+12345); err != nil {
			return nil, err
		}
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := b.command(ctx, "source", "publish", path); err != nil {
		return nil, err
	}
	published := time.Since(began)
	if err := b.until(ctx, "the second version", state(2)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if out, err := exec.CommandContext(ctx, "cmp", path, j.Path).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the versions differ: %s", out)
	}
	result := map[string]any{"bytes": b.size, "changed_bytes": len(part) * places, "places": places, "piece_bytes": piece, "fetched_bytes": j.Fetched,
		"allowed_bytes": int64(len(part)*places) + places*piece, "published_seconds": seconds(published), "followed_seconds": seconds(took)}
	return result, errors.Join(b.end(sink), b.end(source))
}

// manyNames fills the ring with names and looks at them.
func (b *bench) manyNames(ctx context.Context) (any, error) {
	began := time.Now()
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	filled := time.Since(began)
	cmd, r, err := b.daemon(ctx, "names")
	if err != nil {
		return nil, err
	}
	var heads []float64
	for range 5 {
		began := time.Now()
		head := exec.CommandContext(ctx, "sh", "-c", `"$0" --cluster "$1" --multicast-ttl 0 --storage "$2" ls | head -n 10`, filepath.Join(b.bin, "btclient"), b.cluster, filepath.Join(b.work, "names"))
		out, err := head.Output()
		if err != nil || strings.Count(string(out), "\n") != 10 {
			return nil, fmt.Errorf("ls | head: %w: %s", err, out)
		}
		heads = append(heads, seconds(time.Since(began)))
	}
	slices.Sort(heads)
	page := func(path string) (float64, error) {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, "GET", r.URL+path, nil)
		if err != nil {
			return 0, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(body), "/swarm/") {
			err = fmt.Errorf("the page %s shows no name", path)
		}
		return seconds(time.Since(began)), err
	}
	first, err := page("/available?search=name")
	if err != nil {
		return nil, err
	}
	var typed []float64
	for _, s := range strings.Fields("n na nam name name- name-0 name-00 name-000 name-0004 name-00042 e- 9 99 999 ame-05 00 000 0007 7 77") {
		took, err := page("/available?part=1&search=" + s)
		if err != nil {
			return nil, err
		}
		typed = append(typed, took)
	}
	slices.Sort(typed)
	rss, anon, err := lab.MemoryOf(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return map[string]any{"names": b.names, "fill_seconds": seconds(filled), "ls_head_seconds_median": heads[len(heads)/2], "ls_head_seconds_most": heads[len(heads)-1],
		"first_page_seconds": first, "search_seconds_median": typed[len(typed)/2], "search_seconds_most": typed[len(typed)-1],
		"daemon_rss_mib": rss / 1024, "daemon_anon_mib": anon / 1024}, b.end(cmd)
}

// fill publishes names by the communicator alone: nobody serves them.
func (b *bench) fill(ctx context.Context) error {
	type info struct {
		Length      int64  `bencode:"length"`
		Name        string `bencode:"name"`
		PieceLength int64  `bencode:"piece length"`
		Pieces      string `bencode:"pieces"`
	}
	next := make(chan int)
	var wg sync.WaitGroup
	var once sync.Once
	var failure error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range 64 {
		wg.Go(func() {
			for i := range next {
				name := fmt.Sprintf("name-%06d.iso", i)
				raw, err := bencode.Marshal(info{Length: 20, Name: name, PieceLength: 16384, Pieces: strings.Repeat("x", 20)})
				if err == nil {
					_, err = b.ring.Publish(ctx, communicator.Version{Name: name, InfoHash: sha1.Sum(raw), Size: int64(i), Pieces: 1},
						fmt.Appendf(nil, "d4:info%se", raw))
				}
				if err != nil {
					once.Do(func() { failure = err })
					cancel()
				}
			}
		})
	}
	for i := 0; i < b.names && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	return failure
}
