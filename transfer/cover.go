package transfer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/mse"
)

const (
	// keyMakers is the number of goroutines that do the arithmetic of covered handshakes.
	// With one, strangers who ask for it as fast as they can take no more than a core, and
	// whoever waits behind the most that may be greeted waits 0.15 s.
	keyMakers = 1
	// maxEarly bounds what is kept of a peer while a worker has its handshake: it can
	// know no more than its key and a pad until it hears of us.
	maxEarly = 1 << 10
	// coverRead is how much is read at once: any step but one with a long payload.
	coverRead = 4 << 10
)

// coverOwner is who has a cover: a greeting or a conn.
type coverOwner interface {
	// covered is called when the handshake is done and the descriptor is its owner's again.
	covered(s mse.Session)
	// drop is called when it has failed.
	drop(why reason, err error)
}

// cover is a handshake of package mse over a descriptor: what comes before the
// handshake of BitTorrent with a peer that wants it hidden. It belongs to the loop; only
// hs is with a worker now and then.
type cover struct {
	l     *loop
	fd    int
	hs    *mse.Handshake
	owner coverOwner
	away  bool        // hs is with a worker: nobody else touches it
	early []byte      // what came meanwhile
	over  atomic.Bool // done, or its owner is gone: set by the loop, and a worker looks
}

func (v *cover) readable() {
	n, err := unix.Read(v.fd, v.l.scratch[:coverRead])
	switch {
	case n > 0:
		v.heard(v.l.scratch[:n])
	case err == nil || !again(err):
		v.refuse(endOf(err), err)
	}
}

// heard takes what came and does what it leads to.
func (v *cover) heard(b []byte) {
	if v.away {
		if v.early = append(v.early, b...); len(v.early) > maxEarly {
			v.refuse(notBitTorrent, fmt.Errorf("%w: %d bytes before it can know what to say", mse.ErrNotMSE, len(v.early)))
		}
		return
	}
	out, need, err := v.hs.Step(b)
	switch {
	case errors.Is(err, mse.ErrUnknown):
		v.refuse(unknownTorrent, err)
		return
	case err != nil:
		v.refuse(notBitTorrent, err)
		return
	}
	if len(out) > 0 {
		// Less than 2 KiB in all, over a new connection: there is room for it.
		n, err := send(v.fd, out, nil, false)
		if n < len(out) {
			if err == nil {
				err = io.ErrShortWrite
			}
			v.refuse(endOf(err), err)
			return
		}
	}
	switch need {
	case mse.Work:
		v.away = true
		v.l.e.keyMakers.submit(v)
	case mse.Nothing:
		s := v.hs.Session()
		v.hs = nil
		v.over.Store(true)
		v.owner.covered(s)
	}
}

func (v *cover) refuse(why reason, err error) {
	v.over.Store(true)
	v.owner.drop(why, err)
}

// leave is called when the owner goes.
func (v *cover) leave() {
	if v != nil {
		v.over.Store(true)
	}
}

// run is on a worker. Who has gone is passed over: others call faster than keys are
// made, and those who stay would wait behind all that did not.
func (v *cover) run() {
	if v.over.Load() {
		return
	}
	v.hs.Compute()
	v.l.post(v)
}

// handle is back on the loop.
func (v *cover) handle(*loop) {
	v.away = false
	if v.over.Load() {
		return
	}
	early := v.early
	v.early = nil
	v.heard(early)
}

// callCovered begins a call that is covered from its first byte, with our handshake
// of BitTorrent in it.
func (c *conn) callCovered() {
	c.state = covering
	c.cover = &cover{l: c.l, fd: c.fd, owner: c, hs: mse.Initiate(c.s.t.spec.InfoHash, mse.Plain|mse.RC4, c.s.handshake(), rand.Reader)}
	c.cover.heard(nil)
}

func (c *conn) covered(s mse.Session) {
	c.state = awaiting
	c.crypt = newCrypt(s)
	c.rest = s.Rest
	c.lookAtHandshake()
}

// answerCovered is for one who does not begin as BitTorrent does.
func (g *greeting) answerCovered() {
	got := g.got
	g.got = nil
	g.cover = &cover{l: g.b.l, fd: g.fd, owner: g, hs: mse.Respond(g.b.named, mse.Plain|mse.RC4, rand.Reader)}
	g.cover.heard(got)
}

// covered goes on to the handshake of BitTorrent, of which some may have come already.
func (g *greeting) covered(s mse.Session) {
	g.crypt, g.got = newCrypt(s), s.Rest
	g.look()
}
