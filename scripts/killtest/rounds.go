package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// killRounds kills two neighbours, waits until the ring is whole, and so on.
func (f *fleet) killRounds(l *load, r *report) error {
	var took []time.Duration
	var grown growth
	for round := range f.o.rounds {
		began := time.Now()
		if err := f.killPair(l, r); err != nil {
			return err
		}
		if _, _, err := f.settle(3 * time.Minute); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		took = append(took, time.Since(began))
		if err := grown.sample(f.witnesses()); err != nil {
			return err
		}
		f.stablePhase(l, r, fmt.Sprint("round ", round+1))
		r.Rounds, r.WholeMedian, r.WholeMax = round+1, quantile(took, 0.5), quantile(took, 1)
		r.Slopes = grown.slopes()
		if (round+1)%10 == 0 || round+1 == f.o.rounds {
			fmt.Fprintf(os.Stderr, "round %d: whole again after %.1f s in the median, %.1f s at most; %d writes acknowledged, %d reads failed\n",
				round+1, r.WholeMedian, r.WholeMax, l.acked.Load(), l.failedSoon.Load()+l.failedLate.Load())
		}
	}
	return nil
}

// killPair kills two neighbours, which are in several replica sets together, and
// waits until both have come back.
func (f *fleet) killPair(l *load, r *report) error {
	ring := f.inRingOrder()
	i := rand.IntN(len(ring))
	for ring[i].witness || ring[(i+1)%len(ring)].witness {
		i = rand.IntN(len(ring))
	}
	victims := []*member{ring[i], ring[(i+1)%len(ring)]}
	l.disturb(false)
	for _, m := range victims { // both at once, and then each is waited for
		if err := m.cmd.Process.Kill(); err != nil {
			return fmt.Errorf("killing %s: %w", m.addr, err)
		}
	}
	var back [2]error
	var wg sync.WaitGroup
	for k, m := range victims {
		m.kill()
		r.Kills++
		wipe := rand.IntN(2) == 0
		if wipe {
			r.WithoutDisk++
		}
		wg.Go(func() { back[k] = f.comeBack(m, wipe, rand.N(6*time.Second)) })
	}
	wg.Wait()
	return errors.Join(back[:]...)
}

// comeBack starts a member again after a while, with or without what it had.
func (f *fleet) comeBack(m *member, wipe bool, after time.Duration) error {
	time.Sleep(after)
	if wipe {
		if err := os.RemoveAll(m.dir); err != nil {
			return err
		}
	}
	ready, err := m.start(f.lab)
	if err != nil {
		return err
	}
	return <-ready
}

// stablePhase has all clients write and read one register at the same time in a
// ring that is whole, asks whether what they saw can be explained by one order,
// and reads the lists.
func (f *fleet) stablePhase(l *load, r *report, name string) {
	var h history
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for k := range 12 {
				call := time.Now()
				if rand.IntN(2) == 0 {
					n := uint64(c*100 + k + 1)
					_, err := l.put(context.Background(), c, name, n)
					h.note(c, regInput{true, n}, 0, call, time.Now(), err == nil)
					continue
				}
				if got, _, err := l.get(context.Background(), c, name); err == nil {
					h.note(c, regInput{}, got, call, time.Now(), true)
				}
			}
		})
	}
	wg.Wait()
	switch h.linearizable(0) {
	case porcupine.Ok:
		r.Histories++
	case porcupine.Unknown:
		r.Undecided++
	default:
		l.violate("%s: no order explains what the clients saw: %v", name, h.ops)
	}
	if err := l.readLists(context.Background()); err != nil {
		l.violate("%s: %v", name, err)
	}
}

// killConstantly kills a member every few seconds without waiting, and starts it
// again some time later. More than two of one replica set may be dead at once, so
// each keeps its disk: the promise covers no more.
func (f *fleet) killConstantly(l *load, r *report) error {
	var wg sync.WaitGroup
	back := make(chan error, 1)
	for range f.o.rounds {
		up := f.inRingOrder()
		if len(up) > len(f.members)-3 {
			m := up[rand.IntN(len(up))]
			l.disturb(true)
			m.kill()
			r.Kills++
			wg.Go(func() {
				if err := f.comeBack(m, false, 2*time.Second+rand.N(6*time.Second)); err != nil {
					select {
					case back <- err:
					default:
					}
				}
			})
		}
		time.Sleep(3 * time.Second)
	}
	wg.Wait()
	select {
	case err := <-back:
		return err
	default:
	}
	_, took, err := f.settle(3 * time.Minute)
	r.Strikes, r.StrikesWhole = f.o.rounds, took.Seconds()
	l.disturb(false)
	return err
}
