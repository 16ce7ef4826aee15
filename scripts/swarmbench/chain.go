package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// chaining is what no swarm can do with much less: each host gets the file once, over one
// connection, hashes and writes it as it comes, and sends it once, to the next host. What
// it leaves of the machine's time is what a swarm may take for all that it does besides.
var chaining = party{
	seed: copying.seed,
	fetch: func(g *game, i int, out, done string) ([]string, error) {
		self, err := os.Executable()
		if done != out+doneSuffix {
			return nil, fmt.Errorf("%s is not where a copy says that it is done", done)
		}
		return []string{self, "pass-copy", g.lab.Addr(g.fetchers[i].host-1) + ":7000", out}, err
	},
}

// arrived is how much of a file is there, for those who send it on.
type arrived struct {
	mu   sync.Mutex
	more *sync.Cond
	n    int64
	all  bool
}

// passCopy fetches a file from another and sends it to whoever connects, while it comes
// and afterwards. It does not return unless something fails.
func passCopy(from, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	there := &arrived{}
	there.more = sync.NewCond(&there.mu)
	failed := make(chan error, 2)
	go func() {
		failed <- serveEach(":7000", func() error { return nil }, func(c net.Conn) { there.send(c, path) })
	}()
	go func() {
		if err := there.fetch(from, f); err != nil {
			failed <- err
			return
		}
		if err := os.WriteFile(path+doneSuffix, nil, 0o644); err != nil {
			failed <- err
		}
	}()
	return <-failed
}

// fetch reads from another, in parts as large as a piece of a torrent is.
func (a *arrived) fetch(from string, to *os.File) error {
	c, err := dialSoon(from)
	if err != nil {
		return err
	}
	defer c.Close()
	h, buf := sha1.New(), make([]byte, 128<<10)
	for {
		n, err := io.ReadFull(c, buf)
		h.Write(buf[:n])
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		over := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !over {
			return err
		}
		a.mu.Lock()
		a.n, a.all = a.n+int64(n), over
		a.mu.Unlock()
		a.more.Broadcast()
		if over {
			fmt.Printf("%x\n", h.Sum(nil))
			return nil
		}
	}
}

// send sends the file as it comes; who has gone has gone.
func (a *arrived) send(c net.Conn, path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	for sent := int64(0); ; {
		a.mu.Lock()
		for a.n == sent && !a.all {
			a.more.Wait()
		}
		n, all := a.n-sent, a.all
		a.mu.Unlock()
		if _, err := io.CopyN(c, f, n); err != nil || all { // sendfile(2)
			return
		}
		sent += n
	}
}

// dialSoon connects to one that may still be beginning.
func dialSoon(addr string) (net.Conn, error) {
	for end := time.Now().Add(patience); ; time.Sleep(lookEvery) {
		if c, err := net.Dial("tcp", addr); err == nil || time.Now().After(end) {
			return c, err
		}
	}
}
