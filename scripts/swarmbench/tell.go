package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/communicator"
)

// tell runs this program on a host, to make a peer known where it is not by itself.
func (g *game) tell(host int, what, where string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := g.lab.On(host, self, what, g.torrent, where)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", what, err, out)
	}
	return nil
}

func openRing(ctx context.Context) (*communicator.Communicator, error) {
	return communicator.Open(ctx, communicator.Config{Cluster: cluster, MulticastTTL: 1, Wait: 10 * time.Second, Log: slog.New(slog.DiscardHandler)})
}

// load reads a .torrent.
func load(torrent string) (hash [20]byte, info metainfo.Info, err error) {
	mi, err := metainfo.LoadFromFile(torrent)
	if err != nil {
		return hash, info, err
	}
	info, err = mi.UnmarshalInfo()
	return mi.HashInfoBytes(), info, err
}

// tellRing announces a seed that does not know the ring, which listens at addr.
func tellRing(torrent, addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	hash, info, err := load(torrent)
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	c, err := openRing(ctx)
	if err != nil {
		return err
	}
	_, err = c.Announce(ctx, communicator.Announce{
		Name: "payload", InfoHash: hash, PeerID: [20]byte([]byte("-XX0000-" + fmt.Sprintf("%012x", os.Getpid()))), Addr: at, Size: info.TotalLength(), Want: -1,
	})
	return errors.Join(err, c.Close())
}

// tellTracker announces the ring's seed on this host to a tracker that knows no ring.
func tellTracker(torrent, tracker string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	hash, _, err := load(torrent)
	if err != nil {
		return err
	}
	c, err := openRing(ctx)
	if err != nil {
		return err
	}
	swarm, err := c.Peers(ctx, "payload", hash, 1)
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	if len(swarm.Peers) == 0 {
		return errors.New("the ring knows no peer")
	}
	for {
		err = announceHTTP(ctx, tracker, hash, swarm.Peers[0].PeerID, int(swarm.Peers[0].Addr.Port()))
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		time.Sleep(50 * time.Millisecond) // it starts
	}
}

func announceHTTP(ctx context.Context, tracker string, hash, id [20]byte, port int) error {
	q := url.Values{"info_hash": {string(hash[:])}, "peer_id": {string(id[:])}, "port": {fmt.Sprint(port)},
		"uploaded": {"0"}, "downloaded": {"0"}, "left": {"0"}, "compact": {"1"}, "event": {"completed"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+tracker+"/announce?"+plain(q.Encode()), http.NoBody)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<16))
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("the tracker says %s: %s", reply.Status, text)
	}
	return err
}

// startTracker starts a tracker that knows no ring, for the one torrent. It changes its
// root to a directory of its own.
func (g *game) startTracker() error {
	hash, _, err := load(g.torrent)
	if err != nil {
		return err
	}
	dir := filepath.Join(g.dir, "tracker")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "allowed"), fmt.Appendf(nil, "%X\n", hash), 0o644)); err != nil {
		return err
	}
	_, err = g.start(0, "opentracker", "-i", g.lab.Addr(0), "-p", "6969", "-u", "nobody", "-d", dir, "-w", "allowed")
	return err
}

// listed waits until the tracker knows a seed.
func (g *game) listed() error {
	for range 300 {
		argv := g.lab.On(0, "curl", "-s", "http://"+g.lab.Addr(0)+":6969/scrape?info_hash="+g.escapedHash())
		if out, err := exec.Command(argv[0], argv[1:]...).Output(); err == nil && completeOne(out) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the tracker does not hear of the seed")
}

func (g *game) escapedHash() string {
	hash, _, err := load(g.torrent)
	if err != nil {
		return ""
	}
	return plain(url.QueryEscape(string(hash[:])))
}

// plain writes spaces as trackers read them: a plus is one in forms only.
func plain(query string) string { return strings.ReplaceAll(query, "+", "%20") }
