package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// Spec is what an Engine needs to know of a torrent.
type Spec struct {
	InfoHash [20]byte
	Layout   *storage.Layout
	// Content is where pieces are read from and written to. It stays the
	// caller's: to be closed after Stop or Close has returned.
	Content *storage.Content
	// Have tells which pieces are in Content and verified; nil: none. The engine
	// keeps a copy.
	Have *wire.Bits
	// Announcer brings peers; nil: only AddPeers and whoever connects.
	Announcer Announcer
	// WebSeeds are URLs of HTTP servers that have the content too (BEP 19); what is no
	// such URL is passed over.
	WebSeeds []string
	// OnlyWebSeeds: nobody else is expected to give anything. The torrent fails when none
	// of them may be asked any more, with ErrWrongData if one sent what is not right.
	OnlyWebSeeds bool
	// Patient: nobody waits for the first announce of what is complete. It may wait for
	// those of others, as when a machine starts that serves very much.
	Patient bool
	// OnPiece is called by a hash worker after each piece that was verified and
	// written, before peers are told; nil: nobody is. Several workers may call
	// it at once, and it holds up the worker that does.
	OnPiece func(piece int)
	// LimitDown and LimitUp are what SetLimits sets, from the first byte on.
	LimitDown, LimitUp int64
	// Private means that peers come from the Announcer alone, and are told of nobody
	// (BEP 27); so it is also if the Layout says it.
	Private bool
	// Info reads the info dictionary, whose SHA-1 is InfoHash, for peers that came by a
	// magnet link (BEP 9). A worker calls it when somebody asks, and it may block; what it
	// returns is not to be changed. nil, or a Layout without InfoSize: it is not given.
	Info func() ([]byte, error)

	content contentIO // tests bring one that fails; nil: Content
}

// contentIO is what the engine needs of a storage.Content.
type contentIO interface {
	WritePiece(i int, data []byte) error
	Spans(off, n int64) (spans []storage.Span, release func(), err error)
	Rest()
}

func (s *Spec) validate() error {
	if s.Layout == nil {
		return errors.New("transfer: a torrent without a layout")
	}
	s.Private = s.Private || s.Layout.Private
	if s.content == nil {
		if s.Content == nil {
			return errors.New("transfer: a torrent without content")
		}
		s.content = s.Content
	}
	if s.Layout.PieceLength <= 0 || s.Layout.PieceLength > math.MaxInt32 {
		return fmt.Errorf("transfer: piece length %d is not supported", s.Layout.PieceLength)
	}
	n := s.Layout.NumPieces()
	if s.Have == nil {
		s.Have = wire.NewBits(n)
	}
	if s.Have.Len() != n {
		return fmt.Errorf("transfer: a set of %d pieces for a torrent of %d", s.Have.Len(), n)
	}
	if s.Have.All() {
		s.Have = nil // see rest.go
		return nil
	}
	s.Have = s.Have.Clone()
	return nil
}

// Torrent is the handle of a torrent in an Engine. All methods may be called
// from any goroutine.
type Torrent struct {
	e      *Engine
	spec   Spec  // Have is nil once nothing is missing
	l      *loop // where it lives; set before Add returns
	limits limits
	wanted *wanted // if set: only its info dictionary is, see quest.go

	// For the goroutine of l only.
	s    *swarm // its state; nil while it rests and when it has ended
	gone bool   // it has ended
	told told   // its announces

	done   latch
	failed latch
	over   latch // nothing of it is left on any loop
	why    atomic.Pointer[error]
	rest   atomic.Pointer[rested] // while it rests, else nil
	last   atomic.Pointer[Status] // when it was stopped
}

func newTorrent(e *Engine, s Spec) (*Torrent, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	t := &Torrent{e: e, spec: s}
	t.SetLimits(s.LimitDown, s.LimitUp)
	return t, nil
}

// Done is closed when all pieces are verified and written; at once when nothing
// was missing.
func (t *Torrent) Done() <-chan struct{} { return t.done.channel() }

// Failed is closed when the torrent cannot go on: a piece could not be written, for
// another reason than that the disk is full, or a served file has changed. Err then tells which
// file and why. It neither asks for pieces nor serves any more; Stop it, mend
// the cause and Add it again with what it has.
func (t *Torrent) Failed() <-chan struct{} { return t.failed.channel() }

// AfterFailed has f called, on a goroutine of its own, once Failed is closed; at once when
// it is. One f at a time is remembered. It is for those who serve so much that a goroutine
// each to wait would be dear.
func (t *Torrent) AfterFailed(f func()) { t.failed.after(f) }

// Err is the reason of Failed, nil while it has not failed.
func (t *Torrent) Err() error {
	if p := t.why.Load(); p != nil {
		return *p
	}
	return nil
}

// AddPeers tells of peers that may have the torrent: addresses to connect to.
// Known ones are kept as they are. A private torrent takes none (BEP 27).
func (t *Torrent) AddPeers(addrs []netip.AddrPort) {
	if !t.spec.Private {
		t.l.post(addPeers{t: t, addrs: append([]netip.AddrPort(nil), addrs...)})
	}
}

// Hurry says which pieces somebody waits for, the most urgent first, as when the file
// is read while it comes in. They are fetched before all others, until Hurry says
// otherwise.
func (t *Torrent) Hurry(pieces []int) {
	t.l.post(hurry{t: t, pieces: append([]int(nil), pieces...)})
}

// Stop ends the torrent: it closes all of its connections, waits for pieces
// that are being written, takes it out of the engine and announces "stopped".
// Afterwards its Content is not used any more. It blocks until that is done;
// ctx bounds the announcing, whose error is returned. A second call only waits.
func (t *Torrent) Stop(ctx context.Context) error {
	p, first := t.end(ctx)
	if !first || t.spec.Announcer == nil {
		return nil
	}
	p.Event = Stopped
	if _, err := t.spec.Announcer.Announce(ctx, p); err != nil {
		return fmt.Errorf("transfer: announce that this peer stops: %w", err)
	}
	return nil
}

// end is Stop without a word to others; it tells how far the torrent was, and whether
// this call has ended it.
func (t *Torrent) end(ctx context.Context) (p Progress, first bool) {
	ask := stopTorrent{t: t, reply: make(chan farewell, 1)}
	if !t.l.post(ask) {
		return Progress{}, false
	}
	bye, first := <-ask.reply
	<-t.over.channel()
	if first && bye.flight != nil {
		select {
		case <-bye.flight.over:
		case <-ctx.Done():
		}
	}
	return bye.p, first
}

// beginTorrent puts a torrent on its loop.
type beginTorrent addTorrent

func (b beginTorrent) handle(l *loop) {
	if b.t.spec.Have == nil {
		b.t.spec.content.Rest() // which may have been read to make sure of it
		b.t.rest.Store(untouched)
		b.t.done.fire()
	} else {
		b.t.wake()
	}
	l.beginAnnounces(b.t)
	b.reply <- nil
}

func (b beginTorrent) orphaned() { b.reply <- ErrClosed }

type addPeers struct {
	t     *Torrent
	addrs []netip.AddrPort
}

func (a addPeers) handle(l *loop) {
	s := a.t.s
	if s == nil && len(a.addrs) > 0 {
		s = a.t.wake() // who rests is told of those alone that fetch
	}
	if s != nil {
		if s.complete() {
			s.book.expect(a.addrs, l.now)
			return
		}
		s.book.add(a.addrs)
		s.dialMore()
	}
}

// farewell is what is left to be said of a torrent that ends, and the announce to wait
// for before; nil: none is under way.
type farewell struct {
	p      Progress
	flight *flight
}

// stopTorrent ends a torrent; reply is closed without a value when it was
// stopped before.
type stopTorrent struct {
	t     *Torrent
	reply chan farewell
}

func (a stopTorrent) handle(l *loop) {
	t := a.t
	if t.gone || t.s != nil && t.s.stopping {
		close(a.reply)
		return
	}
	bye := farewell{p: t.progress(), flight: l.endAnnounces(t)}
	if t.s != nil {
		t.s.stop()
	} else {
		final := t.rest.Load().status(t)
		t.last.Store(&final)
		l.retire(t)
	}
	a.reply <- bye
}

// orphaned: with its loop the torrent has ended.
func (a stopTorrent) orphaned() {
	a.t.over.fire()
	close(a.reply)
}

type hurry struct {
	t      *Torrent
	pieces []int
}

func (h hurry) handle(*loop) {
	if s := h.t.s; s != nil && s.pick != nil && !s.complete() {
		s.pick.Urgent(h.pieces)
		s.wakeAll()
	}
}
