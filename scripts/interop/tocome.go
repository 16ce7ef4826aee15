package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// errNotYet wraps what btclient says of what it does not know.
var errNotYet = errors.New("btclient does not do that yet")

// playToCome asks for what btclient may not know: magnet links (BEP 9), and connections
// that are encrypted. It is asked first; what it does not know is not tried with others.
func (w *world) playToCome(r *report) {
	for _, one := range []struct {
		what  string
		how   manner
		known func() error
	}{
		{"magnet", manner{tracker: "http", magnet: true}, w.knowsMagnets},
		{"encryption", manner{tracker: "http", encrypted: true}, w.knowsEncryption},
	} {
		if !slices.Contains(w.o.cases, one.what) {
			continue
		}
		known := one.known()
		w.endClients()
		for _, cl := range w.o.clients {
			if !slices.Contains([]string{"aria2", "transmission", "libtorrent"}, cl.name) {
				continue
			}
			for _, role := range w.o.roles {
				took, err := time.Duration(0), known
				if err == nil {
					took, err = w.ask(cl, role, one.how, limited)
					w.endClients()
				}
				c := cell{Client: cl.name, Role: role, Tracker: one.how.tracker, Shape: limited.name}.judge(took, err)
				r.ToCome = append(r.ToCome, answer{one.what, c})
				r.tell(r.ToCome[len(r.ToCome)-1])
			}
		}
	}
}

// knowsMagnets asks btclient to download by a magnet link what another serves.
func (w *world) knowsMagnets() error {
	c, err := w.make(limited)
	if err != nil {
		return err
	}
	if _, err := w.seed(firstHost, c); err != nil {
		return err
	}
	torrent, err := w.torrent(c, false)
	if err != nil {
		return err
	}
	link, err := w.magnet(c, torrent)
	if err != nil {
		return err
	}
	to, err := w.target(thirdHost, c, "")
	if err != nil {
		return err
	}
	p, err := w.fetch(thirdHost, link, to.path, to.done)
	if err != nil {
		return err
	}
	select {
	case <-p.Over():
		words := lastWords(p.Log)
		if _, after, found := strings.Cut(words, "announce "); found { // of the link, which it repeats
			words = after
		}
		return fmt.Errorf("%w: a download by a magnet link ends with %d: %s", errNotYet, p.ExitCode(), words)
	case <-time.After(3 * time.Second): // it has begun
	}
	return w.whole(p, nil, to, c, patience)
}

// knowsEncryption asks a btclient that serves whether it answers a connection that begins
// with a public key and not with the protocol's name.
func (w *world) knowsEncryption() error {
	c, err := w.make(limited)
	if err != nil {
		return err
	}
	if _, err := w.seed(firstHost, c); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := w.output(secondHost, self, "call-encrypted", w.lab.Addr(firstHost)+":7001", "tcp"); err != nil {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	return nil
}

// callEncrypted begins an encrypted connection and waits for the other's public key. It
// runs on a host of the lab.
func callEncrypted(addr, network string) error {
	c, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	key := make([]byte, 96) // 768 bits, as noise as what it is meant to be
	if _, err := rand.Read(key); err != nil {
		return err
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(key); err != nil {
		return err
	}
	if n, err := io.ReadFull(c, key); err != nil {
		return fmt.Errorf("a connection that begins with 96 bytes of a public key gets %d bytes back: %w", n, err)
	}
	return nil
}
