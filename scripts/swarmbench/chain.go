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
	fetch: func(g *game, i int, out, _ string) ([]string, error) {
		self, err := os.Executable()
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

// Write notes what has been written to the file.
func (a *arrived) Write(b []byte) (int, error) {
	a.mu.Lock()
	a.n += int64(len(b))
	a.mu.Unlock()
	a.more.Broadcast()
	return len(b), nil
}

func (a *arrived) end() {
	a.mu.Lock()
	a.all = true
	a.mu.Unlock()
	a.more.Broadcast()
}

// passCopy fetches a file from another and sends it to whoever connects, while it comes
// and afterwards. It does not return unless something fails.
func passCopy(from, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	there := &arrived{}
	there.more = sync.NewCond(&there.mu)
	served := make(chan error, 1)
	go func() {
		served <- serveEach(":7000", func() error { return nil }, func(c net.Conn) { there.send(c, path) })
	}()
	c, err := dialSoon(from)
	if err != nil {
		return err
	}
	defer c.Close()
	h := sha1.New()
	// In parts as large as a piece of a torrent is.
	if _, err := io.CopyBuffer(io.MultiWriter(f, h, there), whole{c}, make([]byte, 128<<10)); err != nil {
		return err
	}
	there.end()
	fmt.Printf("%x\n", h.Sum(nil))
	if err := os.WriteFile(path+doneSuffix, nil, 0o644); err != nil {
		return err
	}
	return <-served
}

// whole reads as much as is asked for, but at the end.
type whole struct{ io.Reader }

func (w whole) Read(b []byte) (int, error) {
	n, err := io.ReadFull(w.Reader, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
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
