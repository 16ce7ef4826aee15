package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
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
	// OnPiece is called by a hash worker after each piece that was verified and
	// written, before peers are told; nil: nobody is. Several workers may call
	// it at once, and it holds up the worker that does.
	OnPiece func(piece int)
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
	s.Have = s.Have.Clone()
	return nil
}

// Torrent is the handle of a torrent in an Engine. All methods may be called
// from any goroutine.
type Torrent struct {
	e      *Engine
	spec   Spec
	l      *loop  // where it lives; set before Add returns
	s      *swarm // its state; for the goroutine of l only
	limits limits
	wanted *wanted // if set: only its info dictionary is, see quest.go

	done      chan struct{}
	failed    chan struct{}
	over      chan struct{} // nothing of it is left on any loop
	announced chan struct{} // the announcer goroutine has ended
	wish      chan struct{} // "more peers, please", at most one waiting
	why       atomic.Pointer[error]
	last      atomic.Pointer[Status] // when it was stopped
	ctx       context.Context        // of the announcer
	cancel    context.CancelFunc
	endOnce   sync.Once
}

func newTorrent(e *Engine, s Spec) (*Torrent, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	return handle(e, s), nil
}

func handle(e *Engine, s Spec) *Torrent {
	t := &Torrent{
		e: e, spec: s,
		done: make(chan struct{}), failed: make(chan struct{}), over: make(chan struct{}),
		announced: make(chan struct{}), wish: make(chan struct{}, 1),
	}
	t.ctx, t.cancel = context.WithCancel(e.ctx)
	return t
}

// Done is closed when all pieces are verified and written; at once when nothing
// was missing.
func (t *Torrent) Done() <-chan struct{} { return t.done }

// Failed is closed when the torrent cannot go on: a piece could not be written, for
// another reason than that the disk is full, or a served file has changed. Err then tells which
// file and why. It neither asks for pieces nor serves any more; Stop it, mend
// the cause and Add it again with what it has.
func (t *Torrent) Failed() <-chan struct{} { return t.failed }

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
		t.addPeers(addrs)
	}
}

func (t *Torrent) addPeers(addrs []netip.AddrPort) {
	t.l.post(addPeers{t: t, addrs: append([]netip.AddrPort(nil), addrs...)})
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
	t.cancel()
	select {
	case <-t.announced:
	case <-ctx.Done():
	}
	ask := stopTorrent{t: t, reply: make(chan Progress, 1)}
	if !t.l.post(ask) {
		return Progress{}, false
	}
	p, first = <-ask.reply
	<-t.over
	return p, first
}

// ended marks that nothing of the torrent is left in the engine.
func (t *Torrent) ended() {
	t.endOnce.Do(func() {
		t.cancel()
		close(t.over)
	})
}

// wantPeers asks the announcer goroutine for peers; it never blocks.
func (t *Torrent) wantPeers() {
	select {
	case t.wish <- struct{}{}:
	default:
	}
}

// beginTorrent puts a torrent on its loop.
type beginTorrent addTorrent

func (b beginTorrent) handle(l *loop) {
	b.t.s = newSwarm(l, b.t)
	l.swarms[b.t.s] = struct{}{}
	b.t.s.checkDone()
	b.reply <- nil
}

func (b beginTorrent) orphaned() { b.reply <- ErrClosed }

type addPeers struct {
	t     *Torrent
	addrs []netip.AddrPort
}

func (a addPeers) handle(l *loop) {
	if s := a.t.s; s != nil {
		s.book.add(a.addrs)
		s.dialMore()
	}
}

// stopTorrent ends a torrent; reply is closed without a value when it was
// stopped before.
type stopTorrent struct {
	t     *Torrent
	reply chan Progress
}

func (a stopTorrent) handle(l *loop) {
	s := a.t.s
	if s == nil || s.stopping {
		close(a.reply)
		return
	}
	a.reply <- s.progress()
	s.stop()
}

func (a stopTorrent) orphaned() { close(a.reply) }

// askProgress is a snapshot for an announce.
type askProgress struct {
	t     *Torrent
	reply chan Progress
}

func (a askProgress) handle(l *loop) {
	if a.t.s == nil {
		close(a.reply)
		return
	}
	a.reply <- a.t.s.progress()
}

func (a askProgress) orphaned() { close(a.reply) }

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
