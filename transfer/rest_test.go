package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// restful is a content that counts how often it was told to rest.
type restful struct {
	*storage.Content
	rests atomic.Int32
}

func (c *restful) Rest() {
	c.rests.Add(1)
	c.Content.Rest()
}

func resting(t *Torrent) bool { return t.rest.Load() != nil }

// What is served rests when its peers have been gone for a while, tells the same as
// before, and is there for whoever comes next.
func TestServedTorrentRestsAndWakes(t *testing.T) {
	f := makeTorrent(t, 90, 32<<10, 300<<10)
	e := start(t)
	spec := f.seedSpec(t)
	content := &restful{Content: spec.Content}
	spec.content = content
	from := e.add(t, spec)
	if !resting(from) {
		t.Error("nobody has come, and it does not rest")
	}
	fetch := func() {
		leech := start(t)
		spec := f.leechSpec(t)
		to := leech.add(t, spec)
		to.AddPeers([]netip.AddrPort{e.addr()})
		done(t, to)
		f.same(t, spec.Content)
		if resting(to) {
			t.Error("one that has just completed rests at once")
		}
		stop(t, to)
	}
	if n := content.rests.Load(); n != 1 {
		t.Errorf("the files were put to rest %d times at the beginning", n)
	}
	for round := range 2 {
		fetch()
		until(t, "the peer to be gone", func() bool { return len(from.Status().Peers) == 0 })
		e.advance(restAfter - 10*time.Second)
		if resting(from) {
			t.Error("it rests too early")
		}
		e.advance(20 * time.Second)
		until(t, "the rest", func() bool { return resting(from) })
		if n := content.rests.Load(); int(n) != round+2 {
			t.Errorf("the files were put to rest %d times in %d rounds", n-1, round+1)
		}
		st := from.Status()
		if want := int64(round+1) * 300 << 10; st.Uploaded != want || st.BytesDone != 300<<10 || st.BytesTotal != 300<<10 {
			t.Errorf("round %d: %+v", round, st)
		}
	}
	stop(t, from)
	if st := from.Status(); st.Uploaded != 2*300<<10 {
		t.Errorf("after the end: %+v", st)
	}
}

// A download that rests still tells who sent what.
func TestRestKeepsWhoSentWhat(t *testing.T) {
	f := makeTorrent(t, 91, 32<<10, 300<<10)
	seed, e := start(t), start(t)
	from := seed.add(t, f.seedSpec(t))
	to := e.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	stop(t, from)
	until(t, "the seed to be gone", func() bool { return len(to.Status().Peers) == 0 })
	e.advance(restAfter + time.Second)
	until(t, "the rest", func() bool { return resting(to) })
	told := func() {
		t.Helper()
		st := to.Status()
		if len(st.From) != 1 || st.From[0].Bytes != 300<<10 || st.From[0].PeerID != seed.PeerID() || st.Downloaded != 300<<10 {
			t.Errorf("%+v", st)
		}
	}
	told()
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	if resting(to) {
		t.Error("it rests while somebody is connected")
	}
	told()
}

// A failure is told also to those who have left no goroutine waiting, before it happens
// and after.
func TestAfterFailed(t *testing.T) {
	f := makeTorrent(t, 92, 32<<10, 300<<10)
	e := start(t)
	spec := f.seedSpec(t)
	spec.content = &changedFile{spec.Content}
	from := e.add(t, spec)
	heard := make(chan error, 2)
	tell := func() { heard <- from.Err() }
	from.AfterFailed(tell)
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	p.send(wire.Message{ID: wire.Request, Length: blockLen})
	if err := <-heard; !errors.Is(err, storage.ErrChanged) {
		t.Errorf("%v", err)
	}
	from.AfterFailed(tell)
	if err := <-heard; !errors.Is(err, storage.ErrChanged) {
		t.Errorf("afterwards: %v", err)
	}
}

type changedFile struct{ *storage.Content }

func (changedFile) Spans(int64, int64) ([]storage.Span, func(), error) {
	return nil, nil, storage.ErrChanged
}

// servedCrowd adds many torrents of one piece that all have the same content.
func servedCrowd(t *testing.T, e *engine, f *fixture, from, n int, a Announcer) (all []*Torrent) {
	t.Helper()
	for i := range n {
		spec := Spec{InfoHash: f.hash, Layout: f.layout, Content: f.source(t), Have: f.all(), Announcer: a}
		binary.BigEndian.PutUint32(spec.InfoHash[:], uint32(from+i))
		all = append(all, e.add(t, spec))
	}
	return all
}

type quietAnnouncer struct{}

func (quietAnnouncer) Announce(context.Context, Progress) (Answer, error) {
	return Answer{Interval: time.Hour}, nil
}

// A torrent that nobody wants costs no goroutine, and less than a kilobyte beside what
// its content takes.
func TestRestingTorrentsAreSmall(t *testing.T) {
	f := makeTorrent(t, 93, 32<<10, 10<<10)
	e := start(t)
	servedCrowd(t, e, f, 0, 100, quietAnnouncer{}) // what grows once
	goroutines, before := runtime.NumGoroutine(), liveHeap()
	const n = 2000
	all := servedCrowd(t, e, f, 100, n, quietAnnouncer{})
	until(t, "the announces to be over", func() bool { return runtime.NumGoroutine() <= goroutines })
	if each := (liveHeap() - before) / n; each > 1500 {
		t.Errorf("%d bytes each, content and all", each)
	}
	runtime.KeepAlive(all)
}

// blockingAnnouncer holds announces until the test lets them go, and counts them.
type blockingAnnouncer struct {
	mu    sync.Mutex
	under int
	most  int
	began chan struct{}
	goOn  chan struct{}
}

func (a *blockingAnnouncer) Announce(ctx context.Context, p Progress) (Answer, error) {
	a.mu.Lock()
	a.under++
	a.most = max(a.most, a.under)
	a.mu.Unlock()
	defer func() { a.mu.Lock(); a.under--; a.mu.Unlock() }()
	a.began <- struct{}{}
	select {
	case <-a.goOn:
	case <-ctx.Done():
	}
	return Answer{Interval: time.Minute}, ctx.Err()
}

// When the time has come for very many that need nothing, they are announced some at a
// time. What is new, and what fetches, does not wait for them.
func TestIdleAnnouncesWaitForEachOther(t *testing.T) {
	const n = 5 * idleAtOnce
	f := makeTorrent(t, 94, 32<<10, 10<<10)
	e := start(t, func(c *Config) { c.Loops = 1 })
	a := &blockingAnnouncer{began: make(chan struct{}, 10*n), goOn: make(chan struct{})}
	servedCrowd(t, e, f, 0, n, a)
	for range n {
		<-a.began // the first ones all at once
	}
	for range n {
		a.goOn <- struct{}{}
	}
	until(t, "the first round", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.under == 0 })
	e.advance(0) // all of them are known to be over
	a.most = 0
	e.advance(2 * time.Minute)
	for range idleAtOnce {
		<-a.began
	}
	e.advance(time.Second)
	a.mu.Lock()
	if a.under != idleAtOnce {
		t.Errorf("%d at a time", a.under)
	}
	a.mu.Unlock()

	patient := Spec{InfoHash: [20]byte{1}, Layout: f.layout, Content: f.source(t), Have: f.all(), Announcer: a, Patient: true}
	e.add(t, patient) // waits like those that have been announced before
	started := &announcer{calls: make(chan Progress), answer: func(Progress) (Answer, error) { return Answer{Interval: time.Hour}, nil }}
	servedCrowd(t, e, f, n, 1, started)
	started.next(t)
	other := makeTorrent(t, 95, 32<<10, 300<<10)
	spec := other.leechSpec(t)
	fetches := &announcer{calls: make(chan Progress), answer: func(Progress) (Answer, error) { return Answer{Interval: time.Minute}, nil }}
	spec.Announcer = fetches
	e.add(t, spec)
	fetches.next(t)
	until(t, "the second announce of what fetches", func() bool {
		e.advance(2 * time.Minute) // from when the first one is over
		select {
		case <-fetches.calls:
			return true
		default:
			return false
		}
	})

	for range n + 1 {
		a.goOn <- struct{}{}
	}
	until(t, "the second round", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.under == 0 })
	if a.most != idleAtOnce {
		t.Errorf("up to %d at a time", a.most)
	}
}
