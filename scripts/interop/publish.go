package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/communicator"
	"chordtorrent/scripts/lab"
	"chordtorrent/transfer/storage"
)

// content is something that is published in a world.
type content struct {
	shape shape
	name  string
	path  string // what is given to the first seed
	sums  sums
}

// make makes content under a name that was not there before: each cell has a swarm of
// its own.
func (w *world) make(s shape) (*content, error) {
	w.names++
	c := &content{shape: s, name: fmt.Sprintf("content %d.bin", w.names)}
	c.path = filepath.Join(w.dir, "source", c.name)
	err := s.make(c.path, byte(w.names))
	if err == nil {
		c.sums, err = s.sumsOf(c.path)
	}
	return c, err
}

// btclient is a command line of ours, with a Storage of its own for each host.
func (w *world) btclient(host int, args ...string) []string {
	return append([]string{w.o.bin + "/btclient", "--cluster", cluster, "--storage", filepath.Join(w.dir, fmt.Sprint("storage-", host))}, args...)
}

// publish puts content into the ring, from a host that serves it no longer when this
// returns.
func (w *world) publish(host int, c *content) error {
	if c.shape.pieceLength == 0 {
		_, err := w.output(host, w.btclient(host, "publish", c.path, "--name", c.name, "--seed-for", "0s", "--progress", "none")...)
		return err
	}
	self, err := os.Executable()
	if err == nil {
		_, err = w.output(host, self, "publish-small-pieces", c.name, c.path)
	}
	return err
}

// seed publishes content from a host that goes on serving it.
func (w *world) seed(host int, c *content) (*lab.Process, error) {
	if c.shape.pieceLength > 0 {
		if err := w.publish(host, c); err != nil {
			return nil, err
		}
		return w.seedCopy(host, c, c.path)
	}
	p, err := w.start(host, w.btclient(host, "publish", c.path, "--name", c.name, "--progress", "none")...)
	if err != nil {
		return nil, err
	}
	return p, p.Says("published name=")
}

// seedCopy has a btclient on a host serve what was published, and is there already.
func (w *world) seedCopy(host int, c *content, there string) (*lab.Process, error) {
	done := filepath.Join(w.dir, fmt.Sprintf("serving-%d-%d", host, w.started))
	p, err := w.fetch(host, c.name, there, done)
	if err != nil {
		return nil, err
	}
	return p, w.eventually(time.Minute, "btclient serves", func() error {
		_, err := os.Stat(done)
		return err
	})
}

// fetch has a btclient on a host download something and serve it on.
func (w *world) fetch(host int, what, out, done string) (*lab.Process, error) {
	return w.start(host, w.btclient(host, "download", what, "-o", out, "--seed-for", "1h", "--progress", "none", "--exec", "touch "+done)...)
}

// smallPieces publishes with pieces that btclient would not choose. It runs on a host of
// the lab.
func smallPieces(name, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	layout, torrent, hash, err := storage.Build(ctx, path, name, 0, nil, storage.WithPieceLength(16<<10))
	if err != nil {
		return err
	}
	c, err := communicator.Open(ctx, communicator.Config{Cluster: cluster, MulticastTTL: 1, Wait: 10 * time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = c.Publish(ctx, communicator.Version{Name: name, InfoHash: hash, Size: layout.Total, Pieces: layout.NumPieces()}, torrent)
	return errors.Join(err, c.Close())
}

// torrent fetches the .torrent of a name as a person would, from the first node; with
// its trackers by UDP alone if udp.
func (w *world) torrent(c *content, udp bool) (string, error) {
	path := filepath.Join(w.dir, c.name+".torrent")
	text, err := w.get(0, "/t/"+url.PathEscape(c.name)+".torrent")
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil || !udp {
		return path, err
	}
	mi, err := metainfo.LoadFromFile(path)
	if err != nil {
		return "", err
	}
	mi.AnnounceList = nil
	for i := range nodes {
		mi.AnnounceList = append(mi.AnnounceList, []string{"udp://" + w.udpTracker(i) + "/announce"})
	}
	mi.Announce = mi.AnnounceList[0][0]
	out, err := os.Create(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(mi.Write(out), out.Close())
}

// magnet is a link to a name, with all nodes as its trackers.
func (w *world) magnet(c *content, torrent string) (string, error) {
	mi, err := metainfo.LoadFromFile(torrent)
	if err != nil {
		return "", err
	}
	hash := mi.HashInfoBytes()
	link := "magnet:?xt=urn:btih:" + hex.EncodeToString(hash[:]) + "&dn=" + url.PathEscape(c.name)
	for i := range nodes {
		link += "&tr=" + url.QueryEscape("http://"+w.tracker(i)+"/announce")
	}
	return link, nil
}
