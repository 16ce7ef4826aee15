package main

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
)

const (
	clients      = 4
	registers    = 60
	writeEvery   = 25 * time.Millisecond // of all writers together
	readEvery    = 10 * time.Millisecond
	publishEvery = 1500 * time.Millisecond
	// A run of hours keeps as much as one of minutes: after so many names, the
	// first ones are published again.
	names      = 60
	announcers = 20
	// A read that has no confirmed answer by then has failed; see options.patience.
	readPatience  = 2 * time.Second
	writePatience = 12 * time.Second
	// afterKill is for how long after a kill a few reads may fail.
	afterKill = 2 * time.Second
)

// load is what the clients do all the time.
type load struct {
	patience  time.Duration // of a read
	ring      []*communicator.Communicator
	registers [registers]atomic.Pointer[register] // one in doubt gives its place to a new one
	retired   retirees
	files     *setChecker
	hash      [20]byte // of the torrent whose peers announce
	peers     *setChecker

	mu         sync.Mutex
	violations []string
	failures   []string  // reads that failed, some of them
	unwritten  []string  // writes that were not acknowledged, some of them
	disturbed  time.Time // the last kill, or cut
	tolerant   bool      // reads may fail: the ring is cut

	writes, acked, degraded, refused   atomic.Int64
	reads, failedSoon, failedLate      atomic.Int64
	readsSoon, readsCut, failedCut     atomic.Int64
	published, notPublished, listsRead atomic.Int64
	next, made                         atomic.Int64 // names and registers made so far

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// testKey is the key of a register: of a kind that nothing else uses.
func testKey(name string) chord.Key { return chord.Key("\x7fkilltest/" + name) }

func openRing(ctx context.Context, o *options, list, secretFile string) (*communicator.Communicator, error) {
	return communicator.Open(ctx, communicator.Config{
		Ring: list, Cluster: o.cluster, SecretFile: secretFile, Multicast: o.clientCast(), MulticastTTL: o.ttl(), Wait: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
}

func startLoad(o *options, list string) (*load, error) {
	l := &load{patience: o.patience(readPatience), files: newSetChecker(), peers: newSetChecker(), hash: sha1.Sum([]byte("killtest swarm"))}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range l.registers {
		l.renew(i)
	}
	for range clients {
		c, err := openRing(ctx, o, list, o.secretOf(0))
		if err != nil {
			return nil, err
		}
		l.ring = append(l.ring, c)
	}
	for i := range clients {
		l.every(ctx, writeEvery*clients, func() { l.write(ctx, i) })
		l.every(ctx, readEvery*clients, func() { l.read(ctx, i) })
	}
	l.every(ctx, publishEvery, func() { l.publish(ctx) })
	for i := range announcers {
		l.announceLoop(ctx, i)
	}
	return l, nil
}

// every does f again and again, each some time after the last has ended.
func (l *load) every(ctx context.Context, d time.Duration, f func()) {
	l.wg.Go(func() {
		t := time.NewTimer(rand.N(d))
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				f()
				t.Reset(d/2 + rand.N(d))
			}
		}
	})
}

func (l *load) end() {
	l.stop()
	l.wg.Wait()
	for _, c := range l.ring {
		_ = c.Close()
	}
}

func (l *load) violate(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// disturb notes that something was just done to the ring.
func (l *load) disturb(tolerant bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disturbed, l.tolerant = time.Now(), tolerant
}

// renew puts a new register in place i.
func (l *load) renew(i int) {
	l.registers[i].Store(&register{key: fmt.Sprintf("%d-%d", i, l.made.Add(1))})
}

// write writes the next value of one of the client's own registers.
func (l *load) write(ctx context.Context, client int) {
	i := client + clients*rand.IntN(registers/clients)
	r := l.registers[i].Load()
	n, began := r.begin(), time.Now()
	reply, err := l.put(ctx, client, r.key, n)
	r.end(n, err == nil)
	r.follow("client %d wrote %d: stamp %x, %d copies, %v", client, n, reply.Stamp, reply.Copies, err)
	var degraded *chord.ErrDegraded
	if err != nil && ctx.Err() != nil {
		return // the load has ended, and this with it
	}
	l.writes.Add(1)
	if err != nil {
		l.mu.Lock()
		if len(l.unwritten) < 50 {
			l.unwritten = append(l.unwritten, fmt.Sprintf("%s register %s (place %s), after %.1f s: %v", began.Format("15:04:05.000"), r.key, chord.HashKey(testKey(r.key)).Short(), time.Since(began).Seconds(), err))
		}
		l.mu.Unlock()
	}
	switch {
	case err == nil:
		l.acked.Add(1)
		return
	case errors.As(err, &degraded):
		l.degraded.Add(1)
	default:
		l.refused.Add(1)
	}
	l.retired.add(r)
	l.renew(i)
}

// put reports whether the write was acknowledged; the reply is the last one.
func (l *load) put(ctx context.Context, client int, name string, n uint64) (reply chord.PutReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	for {
		answer, err := l.ring[client].Call(ctx, chord.Put{Key: testKey(name), Updates: []chord.Update{{Name: "v", Value: strconv.AppendUint(nil, n, 10)}}})
		if err != nil {
			return reply, err
		}
		reply = answer.(chord.PutReply)
		switch reply.Code {
		case chord.CodeLeaving, chord.CodeUnavailable, chord.CodeNotOwner:
			if pauseFor(ctx, 50*time.Millisecond) {
				continue
			}
		}
		return reply, reply.Err()
	}
}

// get gives a confirmed value with its stamp, 0 for nothing.
func (l *load) get(ctx context.Context, client int, name string) (uint64, chord.Stamp, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	answers := 0
	for {
		answer, err := l.ring[client].Call(ctx, chord.Get{Key: testKey(name)})
		if err != nil {
			return 0, 0, fmt.Errorf("%w, after %d answers that do not count", err, answers)
		}
		r := answer.(chord.GetReply)
		answers++
		switch {
		case r.Code == chord.CodeNotFound:
			return 0, 0, nil
		case r.Code == chord.CodeOK && !r.Unconfirmed && len(r.Fields) == 1:
			n, err := strconv.ParseUint(string(r.Fields[0].Value), 10, 64)
			return n, r.Fields[0].Stamp, err
		}
		if !pauseFor(ctx, 50*time.Millisecond) {
			if r.Unconfirmed {
				return 0, 0, errors.New("no confirmed answer in time")
			}
			return 0, 0, r.Code.Err()
		}
	}
}

// pauseFor waits; false when ctx has ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *load) read(ctx context.Context, client int) {
	i := rand.IntN(registers)
	r := l.registers[i].Load()
	floor, began := r.floor(), time.Now()
	got, stamp, err := l.get(ctx, client, r.key)
	if ctx.Err() != nil {
		return
	}
	r.follow("client %d read %d from %s: stamp %x, %v", client, got, began.Format("05.000"), stamp, err)
	l.mu.Lock()
	soon, tolerant := began.Sub(l.disturbed) < afterKill, l.tolerant
	l.mu.Unlock()
	if tolerant { // told, not judged: whom the client asks may be on the smaller side
		l.readsCut.Add(1)
		if err != nil {
			l.failedCut.Add(1)
			return
		}
	}
	l.reads.Add(1)
	if soon {
		l.readsSoon.Add(1)
	}
	if err == nil {
		if bad := r.read(floor, got); bad != nil {
			l.violate("register %s (place %s): %v: %s", r.key, chord.HashKey(testKey(r.key)).Short(), bad, r.history())
		}
		return
	}
	if soon {
		l.failedSoon.Add(1)
	} else {
		l.failedLate.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 50 {
		l.failures = append(l.failures, fmt.Sprintf("%s register %s (place %s), %.1f s after the last disturbance: %v", began.Format("15:04:05.000"), r.key, chord.HashKey(testKey(r.key)).Short(), began.Sub(l.disturbed).Seconds(), err))
	}
}

// readAll reads every register once more, the retired ones too, from a ring that
// is whole.
func (l *load) readAll(ctx context.Context) error {
	all := l.retired.list()
	for i := range l.registers {
		all = append(all, l.registers[i].Load())
	}
	for i, r := range all {
		floor := r.floor()
		got, _, err := l.get(ctx, i%clients, r.key)
		if err != nil {
			return fmt.Errorf("register %s in a whole ring: %w", r.key, err)
		}
		if bad := r.read(floor, got); bad != nil {
			l.violate("register %s, at the end: %v: %s", r.key, bad, r.history())
		}
	}
	return nil
}

// retirees are the registers in doubt: read again at the end.
type retirees struct {
	mu   sync.Mutex
	kept []*register
}

func (r *retirees) add(one *register) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, one)
}

func (r *retirees) list() []*register {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.kept)
}
