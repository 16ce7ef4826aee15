package main

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
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
	listEvery    = 4 * time.Second
	// A read that has no confirmed answer by then has failed.
	readPatience  = 2 * time.Second
	writePatience = 12 * time.Second
	// afterKill is for how long after a kill a few reads may fail.
	afterKill = 2 * time.Second
)

// load is what the clients do all the time.
type load struct {
	ring      []*communicator.Communicator
	registers [registers]register
	files     *setChecker
	hash      [20]byte // of the torrent whose peers announce
	peers     *setChecker

	mu         sync.Mutex
	violations []string
	failures   []string  // reads that failed, some of them
	disturbed  time.Time // the last kill, or cut
	tolerant   bool      // reads may fail: the ring is cut

	writes, acked, degraded, refused   atomic.Int64
	reads, failedSoon, failedLate      atomic.Int64
	readsSoon                          atomic.Int64
	published, notPublished, listsDone atomic.Int64
	next                               atomic.Int64

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// testKey is the key of a register: of a kind that nothing else uses.
func testKey(name string) chord.Key { return chord.Key("\x7fkilltest/" + name) }

func openRing(ctx context.Context, o *options, list string) (*communicator.Communicator, error) {
	return communicator.Open(ctx, communicator.Config{
		Ring: list, Cluster: o.cluster, Multicast: o.clientCast(), MulticastTTL: o.ttl(), Wait: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
}

func startLoad(o *options, list string) (*load, error) {
	l := &load{files: newSetChecker(), peers: newSetChecker()}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for range clients {
		c, err := openRing(ctx, o, list)
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
	l.every(ctx, listEvery, func() { l.list(ctx) })
	l.hash = sha1.Sum([]byte("killtest swarm"))
	for i := range 20 {
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

// write writes the next value of one of the client's own registers.
func (l *load) write(ctx context.Context, client int) {
	i := client + clients*rand.IntN(registers/clients)
	r := &l.registers[i]
	n := r.begin()
	known, err := l.put(ctx, client, fmt.Sprint(i), n)
	l.writes.Add(1)
	var degraded *chord.ErrDegraded
	switch {
	case known:
		r.ack(n)
		l.acked.Add(1)
	case errors.As(err, &degraded):
		l.degraded.Add(1)
	default:
		l.refused.Add(1)
	}
}

// put reports whether the write was acknowledged.
func (l *load) put(ctx context.Context, client int, name string, n uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	for {
		reply, err := l.ring[client].Call(ctx, chord.Put{Key: testKey(name), Updates: []chord.Update{{Name: "v", Value: strconv.AppendUint(nil, n, 10)}}})
		if err != nil {
			return false, err
		}
		r := reply.(chord.PutReply)
		switch r.Code {
		case chord.CodeOK:
			return true, nil
		case chord.CodeLeaving, chord.CodeUnavailable, chord.CodeNotOwner:
			if pauseFor(ctx, 50*time.Millisecond) {
				continue
			}
		}
		return false, r.Err()
	}
}

// get gives a confirmed value, 0 for nothing.
func (l *load) get(ctx context.Context, client int, name string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for {
		reply, err := l.ring[client].Call(ctx, chord.Get{Key: testKey(name)})
		if err != nil {
			return 0, err
		}
		r := reply.(chord.GetReply)
		switch {
		case r.Code == chord.CodeNotFound:
			return 0, nil
		case r.Code == chord.CodeOK && !r.Unconfirmed && len(r.Fields) == 1:
			return strconv.ParseUint(string(r.Fields[0].Value), 10, 64)
		}
		if !pauseFor(ctx, 50*time.Millisecond) {
			if r.Unconfirmed {
				return 0, errors.New("no confirmed answer in time")
			}
			return 0, r.Code.Err()
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
	r := &l.registers[i]
	floor, began := r.floor(), time.Now()
	got, err := l.get(ctx, client, fmt.Sprint(i))
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	soon, tolerant := began.Sub(l.disturbed) < afterKill, l.tolerant
	l.mu.Unlock()
	if tolerant && err != nil {
		return
	}
	l.reads.Add(1)
	if soon {
		l.readsSoon.Add(1)
	}
	if err == nil {
		if bad := r.read(floor, got); bad != nil {
			l.violate("register %d: %v", i, bad)
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
		l.failures = append(l.failures, fmt.Sprintf("%s register %d (place %s), %.1f s after the last disturbance: %v", began.Format("15:04:05.000"), i, chord.HashKey(testKey(fmt.Sprint(i))).Short(), began.Sub(l.disturbed).Seconds(), err))
	}
}

// torrent makes a metainfo of its own for a name.
func torrent(name string) (metainfo []byte, infoHash [20]byte) {
	info := fmt.Sprintf("d6:lengthi1e4:name%d:%s12:piece lengthi16384e6:pieces20:%se", len(name), name, "01234567890123456789")
	return []byte("d4:info" + info + "e"), sha1.Sum([]byte(info))
}

func (l *load) publish(ctx context.Context) {
	name := fmt.Sprintf("kt-%06d", l.next.Add(1))
	metainfo, hash := torrent(name)
	l.files.begin(name)
	_, err := l.anyRing().Publish(ctx, communicator.Version{Name: name, InfoHash: hash, Size: 1, Pieces: 1}, metainfo)
	if err != nil {
		l.notPublished.Add(1)
		return
	}
	l.published.Add(1)
	l.files.ack(name, time.Now())
}

func (l *load) anyRing() *communicator.Communicator { return l.ring[rand.IntN(len(l.ring))] }

// list reads all names. What it gives is confirmed only in a ring at rest; the
// typed listing does not tell, so it is judged by the fates at the end alone.
func (l *load) list(ctx context.Context) {
	l.mu.Lock()
	calm := !l.tolerant && time.Since(l.disturbed) > 30*time.Second
	l.mu.Unlock()
	began := time.Now()
	files, err := l.anyRing().Files(ctx, "kt-")
	if err != nil || !calm {
		return
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	l.files.read(began, names)
	l.listsDone.Add(1)
}

// announceLoop has one peer announce as often as it is told.
func (l *load) announceLoop(ctx context.Context, i int) {
	var id [20]byte
	binary.BigEndian.PutUint64(id[12:], uint64(i)+1)
	name := fmt.Sprintf("%x", id)
	l.peers.begin(name)
	l.wg.Go(func() {
		for {
			swarm, err := l.anyRing().Announce(ctx, communicator.Announce{
				InfoHash: l.hash, PeerID: id, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 99, 1, byte(i)}), 7000), Size: 1, Want: -1,
			})
			pause := time.Second
			if err == nil {
				l.peers.ack(name, time.Now())
				pause = max(swarm.Interval, time.Second)
			}
			if !pauseFor(ctx, min(pause, 30*time.Second)) {
				return
			}
		}
	})
}

// lastLook reads everything once more, from a ring that is whole.
func (l *load) lastLook(ctx context.Context) error {
	for i := range l.registers {
		r := &l.registers[i]
		floor := r.floor()
		got, err := l.get(ctx, i%clients, fmt.Sprint(i))
		if err != nil {
			return fmt.Errorf("register %d in a whole ring: %w", i, err)
		}
		if bad := r.read(floor, got); bad != nil {
			l.violate("register %d, at the end: %v", i, bad)
		}
	}
	began := time.Now()
	files, err := l.anyRing().Files(ctx, "kt-")
	if err != nil {
		return fmt.Errorf("listing in a whole ring: %w", err)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	l.files.read(began, names)
	began = time.Now()
	swarm, err := l.anyRing().Peers(ctx, "", l.hash, 50)
	if err != nil {
		return fmt.Errorf("peers in a whole ring: %w", err)
	}
	names = nil
	for _, p := range swarm.Peers {
		names = append(names, fmt.Sprintf("%x", p.PeerID))
	}
	l.peers.read(began, names)
	return nil
}
