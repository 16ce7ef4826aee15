package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/scripts/lab"
)

// party is how a program is made to seed and to fetch.
type party struct {
	ring bool // it speaks to our ring, not to a tracker
	// seed starts a seed on a host; it returns when others may come.
	seed func(g *game, host int) (*lab.Process, error)
	// fetch gives the command line of the i-th that fetches to out, and touches done
	// when it has all.
	fetch func(g *game, i int, out, done string) ([]string, error)
}

// contender is who seeds and who fetches.
type contender struct{ seed, fetch *party }

var contenders = map[string]contender{
	"btclient":            {&ours, &ours},
	"aria2":               {&aria2, &aria2},
	"libtorrent":          {&libtorrent, &libtorrent},
	"copy":                {&copying, &copying},
	"chain":               {&copying, &chaining},
	"btclient>aria2":      {&ours, &aria2},
	"aria2>btclient":      {&aria2, &ours},
	"btclient>libtorrent": {&ours, &libtorrent},
	"libtorrent>btclient": {&libtorrent, &ours},
}

// prepare starts what is needed, and the seeds. The .torrent is always the one that
// btclient makes, if it plays: there is one info hash.
func (g *game) prepare(with contender) error {
	ringSeeds, ringFetches := with.seed.ring, with.fetch.ring
	switch {
	case with.seed == &copying:
		return g.seedAll(with.seed)
	case !ringSeeds && !ringFetches:
		return inOrder(g.makeTorrent, g.startTracker, func() error { return g.seedAll(with.seed) })
	case ringSeeds:
		if err := inOrder(g.startRing, func() error { return g.seedAll(with.seed) }); err != nil {
			return err
		}
		g.torrent = g.publishedTorrent()
		if ringFetches {
			return g.startLiars()
		}
		return inOrder(g.startTracker, func() error { return g.tell(1, "tell-tracker", g.lab.Addr(0)+":6969") })
	default: // published by us, and then seeded by somebody else
		published := func() error {
			p, err := ours.seed(g, 1)
			if err != nil {
				return err
			}
			g.torrent = g.publishedTorrent()
			return p.Stop()
		}
		return inOrder(g.startRing, published, g.startTracker, func() error { return g.seedAll(with.seed) },
			func() error { return g.tell(1, "tell-ring", g.lab.Addr(1)+":7000") })
	}
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (g *game) publishedTorrent() string {
	return filepath.Join(g.dir, "seed-1", "torrents", "payload.torrent")
}

func (g *game) seedAll(p *party) error {
	for host := 1; host <= g.o.seeds; host++ {
		one, err := p.seed(g, host)
		if err != nil {
			return err
		}
		g.seeds = append(g.seeds, one)
	}
	return nil
}

func (g *game) startRing() error {
	for k := range g.o.nodes {
		p, err := g.start(0, g.o.bin+"/chordnode", "--data-dir", filepath.Join(g.dir, fmt.Sprint("node-", k)),
			"--bind", fmt.Sprintf("%s:81%02d", g.lab.Addr(0), k), "--cluster", cluster, "--http", g.lab.Addr(0)+":0", "--udp", g.lab.Addr(0)+":0")
		if err != nil {
			return err
		}
		if err := p.Says("ready id="); err != nil {
			return err
		}
	}
	time.Sleep(2 * time.Second) // the ring grants its ranges
	return nil
}

// cluster is the ring's name.
const cluster = "swarmbench"

var ours = party{
	ring: true,
	seed: func(g *game, host int) (*lab.Process, error) {
		p, err := g.start(host, g.o.bin+"/btclient", "--cluster", cluster, "--storage", filepath.Join(g.dir, fmt.Sprint("seed-", host)), "publish", g.file, "--name", "payload")
		if err != nil {
			return nil, err
		}
		const hashed = 20 << 20 // bytes a second, on a slow disk
		return p, p.SaysWithin(time.Minute+time.Duration(g.o.size/hashed)*time.Second, "published name=")
	},
	fetch: func(g *game, i int, out, done string) ([]string, error) {
		return []string{g.o.bin + "/btclient", "--cluster", cluster, "--storage", out + ".storage", "download", "payload", "-o", out,
			"--progress", "none", "--seed-for", "1h", "--exec", "touch " + done}, nil
	},
}

var aria2 = party{
	seed: func(g *game, host int) (*lab.Process, error) {
		p, err := g.start(host, append(aria2Line(g, filepath.Dir(g.file)), "--bt-seed-unverified=true", g.torrent)...)
		if err != nil {
			return nil, err
		}
		return p, g.listed()
	},
	fetch: func(g *game, i int, out, done string) ([]string, error) {
		hook := out + ".hook"
		if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+done+"\n"), 0o755); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(out+".d", 0o755); err != nil {
			return nil, err
		}
		g.fetchers[i].out = filepath.Join(out+".d", filepath.Base(g.file))
		return append(aria2Line(g, out+".d"), "--on-bt-download-complete="+hook, g.torrent), nil
	},
}

func aria2Line(g *game, dir string) []string {
	return []string{"aria2c", "--dir=" + dir, "--seed-ratio=0", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
		"--file-allocation=none", "--bt-max-peers=0", "--listen-port=7000", "--summary-interval=0", "--console-log-level=warn",
		"--bt-tracker=http://" + g.lab.Addr(0) + ":6969/announce"}
}

var libtorrent = party{
	seed: func(g *game, host int) (*lab.Process, error) {
		p, err := g.start(host, libtorrentLine(g, filepath.Dir(g.file), "")...)
		if err != nil {
			return nil, err
		}
		return p, errors.Join(p.Says("seeding"), g.listed())
	},
	fetch: func(g *game, i int, out, done string) ([]string, error) {
		if err := os.MkdirAll(out+".d", 0o755); err != nil {
			return nil, err
		}
		g.fetchers[i].out = filepath.Join(out+".d", filepath.Base(g.file))
		return libtorrentLine(g, out+".d", done), nil
	},
}

func libtorrentLine(g *game, dir, done string) []string {
	return []string{"/usr/bin/python3", g.o.scripts + "/peer_libtorrent.py", g.torrent, dir, "http://" + g.lab.Addr(0) + ":6969/announce", done}
}
