package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"chordtorrent/chord"
)

const (
	smallDisk = 8 << 20 // bytes
	fullFor   = 10 * time.Second
	largeRow  = 64 << 10 // bytes
)

// diskResult is what became of a member whose disk was full.
type diskResult struct {
	Acked    int64   `json:"writes_acknowledged_meanwhile"`
	Told     string  `json:"trouble_as_told"`
	WholeSec float64 `json:"whole_after_there_was_space_sec"`
}

// fullDisk gives a member a small disk and fills it. The ring goes on, reads
// and writes; the member says what is wrong, and recovers when there is space. The
// disk is a tmpfs that only this process and its members see.
func (f *fleet) fullDisk(l *load, r *report) error {
	m := f.inRingOrder()[0]
	l.disturb(false)
	m.kill()
	r.Kills++
	if err := smallMount(m.dir, smallDisk); err != nil {
		return fmt.Errorf("a small disk for %s: %w", m.addr, err)
	}
	defer func() { // it is busy until the member is down
		m.kill()
		unmount(m.dir)
	}()
	r.WithoutDisk++
	if err := f.comeBack(m, false, 0); err != nil {
		return err
	}
	if _, _, err := f.settle(3 * time.Minute); err != nil {
		return err
	}
	ballast := filepath.Join(m.dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	acked := l.acked.Load()
	d := &diskResult{}
	// What the load writes may fit in pages of the database that were given back: a
	// member whose disk is full says so when it wants more of it.
	rows := 0
	st, err := f.until(m, time.Minute, func(st chord.Status) bool {
		if st.Trouble == "" {
			rows++
			l.writeLarge(fmt.Sprintf("large-%d", rows))
		}
		return st.Trouble != ""
	})
	if err != nil {
		l.violate("the disk of %s is full, and it does not say so: %v", m.addr, err)
		return nil
	}
	d.Told = st.Trouble
	time.Sleep(fullFor) // under load; reads that fail count
	d.Acked = l.acked.Load() - acked
	if d.Acked == 0 {
		l.violate("one member's disk is full, and no write is acknowledged for %v", fullFor)
	}
	began := time.Now()
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if _, _, err = f.settle(3 * time.Minute); err != nil {
		return err
	}
	d.WholeSec = time.Since(began).Seconds()
	r.FullDisk = d
	// It is told of for a while longer.
	if _, err := f.until(m, time.Minute, func(st chord.Status) bool { return st.Trouble == "" }); err != nil {
		l.violate("there is space again at %s: %v", m.addr, err)
	}
	fmt.Fprintf(os.Stderr, "full disk: %q; %d writes acknowledged meanwhile, whole %.1f s after there was space\n", d.Told, d.Acked, d.WholeSec)
	return nil
}

// writeLarge writes a row so large that the free pages of a database have no room for many.
// Whether it is acknowledged does not matter: one of its owners may have a full disk.
func (l *load) writeLarge(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), writePatience)
	defer cancel()
	_, _ = l.ring[0].Call(ctx, chord.Put{Key: testKey(name), Updates: []chord.Update{{Name: "v", Value: make([]byte, largeRow)}}})
}

// fill writes a file until there is no space for more.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 4<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return file.Close()
}

// until asks a member for its status until that is as wanted.
func (f *fleet) until(m *member, limit time.Duration, wanted func(chord.Status) bool) (st chord.Status, err error) {
	end := time.Now().Add(limit)
	t := time.NewTicker(150 * time.Millisecond)
	defer t.Stop()
	for time.Now().Before(end) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		st, err = m.status(ctx, f)
		cancel()
		if err == nil && wanted(st) {
			return st, nil
		}
		<-t.C
	}
	return st, fmt.Errorf("%s is not as wanted after %v: trouble %q, error %v", m.addr, limit, st.Trouble, err) //nolint:errorlint // it may be nil
}
