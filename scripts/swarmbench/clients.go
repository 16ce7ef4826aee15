package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// contender is how a program is made to seed and to fetch. Host 0 is for what both
// need, host 1 seeds, the others fetch.
type contender struct {
	// prepare starts what the others need.
	prepare func(g *game) error
	// seed starts the seed; it returns when others may come.
	seed func(g *game) error
	// fetch gives the command line of the i-th that fetches to out, and touches done
	// when it has all.
	fetch func(g *game, i int, out, done string) []string
}

var contenders = map[string]*contender{
	"btclient": {
		prepare: func(g *game) error {
			for k := range 3 {
				addr := fmt.Sprintf("%s:81%02d", g.lab.Addr(0), k)
				p, err := g.start(0, g.o.bin+"/chordnode", "--data-dir", filepath.Join(g.dir, fmt.Sprint("node-", k)),
					"--bind", addr, "--cluster", "swarmbench", "--http", g.lab.Addr(0)+":0", "--udp", g.lab.Addr(0)+":0")
				if err != nil {
					return err
				}
				if err := p.says("ready id="); err != nil {
					return err
				}
			}
			time.Sleep(2 * time.Second) // the ring grants its ranges
			return nil
		},
		seed: func(g *game) error {
			p, err := g.start(1, g.o.bin+"/btclient", "--cluster", "swarmbench", "--storage", filepath.Join(g.dir, "seed"), "publish", g.file, "--name", "payload")
			if err != nil {
				return err
			}
			g.seedProcess = p
			return p.says("published name=")
		},
		fetch: func(g *game, i int, out, done string) []string {
			return []string{g.o.bin + "/btclient", "--cluster", "swarmbench", "--storage", out + ".storage", "download", "payload", "-o", out,
				"--progress", "none", "--seed-for", "1h", "--exec", "touch " + done}
		},
	},
	"aria2": {
		prepare: func(g *game) error {
			if _, err := g.start(0, "opentracker", "-i", g.lab.Addr(0), "-p", "6969"); err != nil {
				return err
			}
			return g.makeTorrent()
		},
		seed: func(g *game) error {
			argv := append(aria2(g, filepath.Dir(g.file)), "--bt-seed-unverified=true", g.torrent)
			p, err := g.start(1, argv...)
			if err != nil {
				return err
			}
			g.seedProcess = p
			time.Sleep(3 * time.Second) // until it has announced itself
			return nil
		},
		fetch: func(g *game, i int, out, done string) []string {
			hook := out + ".hook"
			if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+done+"\n"), 0o755); err != nil {
				return nil
			}
			if err := os.MkdirAll(out+".d", 0o755); err != nil {
				return nil
			}
			g.outputs[i] = filepath.Join(out+".d", filepath.Base(g.file))
			return append(aria2(g, out+".d"), "--on-bt-download-complete="+hook, g.torrent)
		},
	},
	"copy": {
		prepare: func(*game) error { return nil },
		seed: func(g *game) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			p, err := g.start(1, self, "serve-copies", g.lab.Addr(1)+":7000", g.file)
			if err != nil {
				return err
			}
			g.seedProcess = p
			return p.says("serving")
		},
		fetch: func(g *game, i int, out, done string) []string {
			self, _ := os.Executable() // it was found before
			return []string{"/bin/sh", "-c", fmt.Sprintf("%s get-copy %s:7000 %s && touch %s && exec sleep 3600", self, g.lab.Addr(1), out, done)}
		},
	},
}

func aria2(g *game, dir string) []string {
	return []string{"aria2c", "--dir=" + dir, "--seed-ratio=0", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
		"--file-allocation=none", "--bt-max-peers=0", "--listen-port=7000", "--summary-interval=0", "--console-log-level=warn",
		"--bt-tracker=http://" + g.lab.Addr(0) + ":6969/announce"}
}

// makeTorrent writes a .torrent for clients that know no ring, with pieces as ours has.
func (g *game) makeTorrent() error {
	info := metainfo.Info{PieceLength: 16 << 10}
	for info.PieceLength < 1<<20 && g.o.size/info.PieceLength > 1024 {
		info.PieceLength *= 2
	}
	if err := info.BuildFromFilePath(g.file); err != nil {
		return err
	}
	bytes, err := bencode.Marshal(info)
	if err != nil {
		return err
	}
	g.torrent = filepath.Join(g.dir, "payload.torrent")
	f, err := os.Create(g.torrent)
	if err != nil {
		return err
	}
	defer f.Close()
	return (&metainfo.MetaInfo{InfoBytes: bytes}).Write(f)
}

// serveCopies sends a file to whoever connects.
func serveCopies(addr, path string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if f, err := os.Open(path); err == nil {
				_, _ = io.Copy(c, f) // sendfile(2); who has gone has gone
				_ = f.Close()
			}
		}()
	}
}

// getCopy fetches it, and hashes what comes.
func getCopy(addr, path string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	h := sha1.New()
	_, err = io.CopyBuffer(io.MultiWriter(f, h), struct{ io.Reader }{c}, make([]byte, 1<<20))
	fmt.Printf("%x\n", h.Sum(nil))
	return errors.Join(err, f.Close())
}

// says waits for a line of the process that begins so.
func (p *process) says(what string) error {
	late := time.After(60 * time.Second)
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return fmt.Errorf("%s has ended: see %s", p.name, p.log)
			}
			if strings.HasPrefix(line, what) {
				go func() {
					for range p.lines { // nobody reads what follows
					}
				}()
				return nil
			}
		case <-late:
			return fmt.Errorf("%s does not say %q: see %s", p.name, what, p.log)
		}
	}
}
