package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"chordtorrent/scripts/lab"
)

// copying is what no client of a swarm can beat by much where there is one that
// fetches: a plain copy from the seed to each, hashed as it comes.
var copying = party{
	seed: func(g *game, host int) (*lab.Process, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p, err := g.start(host, self, "serve-copies", g.lab.Addr(host)+":7000", g.file)
		if err != nil {
			return nil, err
		}
		return p, p.Says("serving")
	},
	fetch: func(g *game, i int, out, done string) ([]string, error) {
		self, err := os.Executable()
		return []string{"/bin/sh", "-c", fmt.Sprintf("%s get-copy %s:7000 %s && touch %s && exec sleep 3600", self, g.lab.Addr(1), out, done)}, err
	},
}

// serveEach accepts connections at addr, once ready has returned, and closes each when
// serve has.
func serveEach(addr string, ready func() error, serve func(net.Conn)) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// serveCopies sends a file to whoever connects.
func serveCopies(addr, path string) error {
	ready := func() error {
		fmt.Println("serving")
		return nil
	}
	return serveEach(addr, ready, func(c net.Conn) {
		if f, err := os.Open(path); err == nil {
			_, _ = io.Copy(c, f) // sendfile(2); who has gone has gone
			_ = f.Close()
		}
	})
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
