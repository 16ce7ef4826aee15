package store

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"chordtorrent/chord"
)

// maxCommitBytes bounds what one commit carries, so that its pages fit in
// memory and its confirmations do not wait for a whole backlog.
const maxCommitBytes = 8 << 20

// Apply takes ops over and returns at once. done is called once per op with a
// token, never from within Apply: for hard keys and StoreState after the
// fsync of the group commit that holds the op, for soft keys as soon as reads
// see it. The ops of one call on hard keys are committed together. The slices
// in ops must not be changed afterwards.
func (d *DB) Apply(ops []chord.StoreOp, done func(token uint64, err error)) {
	var hard, soft []chord.StoreOp
	for _, op := range ops {
		if op.Kind != chord.StoreState && op.Key.Class() == chord.Soft {
			soft = append(soft, op)
		} else {
			hard = append(hard, op)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		go request{ops, done}.confirm(ErrClosed)
		return
	}
	for _, op := range soft {
		d.soft.apply(op)
	}
	if len(soft) > 0 {
		d.confirm = append(d.confirm, request{soft, done})
	}
	if len(hard) > 0 {
		d.queue = append(d.queue, request{hard, done})
	}
	d.wake.Broadcast()
}

// confirm reports one outcome for all ops of the request.
func (r request) confirm(err error) {
	if r.done == nil {
		return
	}
	for _, op := range r.ops {
		if op.Token != 0 {
			r.done(op.Token, err)
		}
	}
}

func (r request) bytes() (n int) {
	for _, op := range r.ops {
		n += 64 + len(op.Key)
		for _, f := range op.Merge {
			n += 64 + len(f.Name) + len(f.Value)
		}
	}
	return n
}

// confirmLoop reports soft ops, apart from commitLoop so that they do not
// wait for an fsync.
func (d *DB) confirmLoop() {
	defer d.workers.Done()
	for {
		d.mu.Lock()
		for len(d.confirm) == 0 && !d.closing {
			d.wake.Wait()
		}
		batch := d.confirm
		d.confirm = nil
		d.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, r := range batch {
			r.confirm(nil)
		}
	}
}

// commitLoop carries out hard ops: all that queued up while one commit ran go
// into the next.
func (d *DB) commitLoop() {
	defer d.workers.Done()
	for {
		batch := d.nextBatch()
		if batch == nil {
			return
		}
		started := time.Now()
		err := d.commit(batch)
		d.commits.add(time.Since(started), err)
		if err == nil && d.opts.afterCommit != nil {
			d.opts.afterCommit()
		}
		for _, r := range batch {
			r.confirm(err)
		}
	}
}

// nextBatch waits for hard ops; nil means that the DB is closed and drained.
func (d *DB) nextBatch() []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 && !d.closing {
		d.wake.Wait()
	}
	if len(d.queue) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < len(d.queue) && (n == 0 || size+d.queue[n].bytes() <= maxCommitBytes) {
		size += d.queue[n].bytes()
		n++
	}
	batch := d.queue[:n:n]
	d.queue = d.queue[n:]
	if len(d.queue) == 0 {
		d.queue = nil
	}
	return batch
}

// commit writes a batch in one transaction and makes it durable: all or
// nothing.
func (d *DB) commit(batch []request) error {
	if err := d.brokenErr(); err != nil {
		return err
	}
	w := writer{db: d}
	err := guard(d.path, func() error {
		tx, err := d.bolt.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
		w.fields, w.keys, w.meta = tx.Bucket(fieldsBucket), tx.Bucket(keysBucket), tx.Bucket(metaBucket)
		for _, r := range batch {
			for _, op := range r.ops {
				if err := w.apply(op); err != nil {
					return err
				}
			}
		}
		if !w.dirty {
			return nil // what is held already is durable: no fsync for a repeated merge
		}
		return tx.Commit()
	})
	if err != nil {
		err = fmt.Errorf("write %d ring operations to %s: %w", countOps(batch), d.path, err)
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: writes are refused until the member is started again", err)
			d.mu.Lock()
			d.broken = err
			d.mu.Unlock()
		}
		d.commits.wrote(err, time.Now(), d.log)
		return err
	}
	if w.dirty {
		d.commits.wrote(nil, time.Now(), d.log)
	}
	d.digests.apply(w.changes)
	d.keys.Add(w.keyDelta)
	d.bytes.Add(w.byteDelta)
	if w.state != nil {
		d.mu.Lock()
		d.state = *w.state
		d.suspect = false // a state set since was made in knowledge of the damage
		d.mu.Unlock()
	}
	return nil
}

func countOps(batch []request) (n int) {
	for _, r := range batch {
		n += len(r.ops)
	}
	return n
}

// writer carries out ops inside one transaction.
type writer struct {
	db                  *DB
	keys, fields, meta  *bbolt.Bucket
	dirty               bool
	keyDelta, byteDelta int64
	changes             []change
	state               *chord.State
}

func (w *writer) apply(op chord.StoreOp) error {
	switch op.Kind {
	case chord.StoreMerge:
		return w.merge(op.Key, op.Merge)
	case chord.StoreDrop:
		return w.drop(op.Key)
	case chord.StorePurge:
		return w.purge(op.Key, op.Purge)
	case chord.StoreState:
		row, err := encodeState(*op.State)
		if err != nil {
			return err
		}
		w.dirty, w.state = true, op.State
		return w.meta.Put(stateRow, row)
	default:
		panic(fmt.Sprintf("store: op of unknown kind %d", op.Kind))
	}
}

func (w *writer) merge(key chord.Key, fields []chord.Field) error {
	hash := chord.HashKey(key)
	c := change{hash: hash}
	for _, f := range fields {
		rk := rowKey(hash, f.Name)
		winner := f.Entry
		row := w.fields.Get(rk)
		var before chord.Digest
		if row != nil {
			held, ok := parseRow(rk, row)
			if ok {
				winner = chord.Merge(held, f.Entry)
				before = chord.DigestField(hash, f.Name, held)
			} else {
				w.db.reportDamage(key, f.Name) // and mended by this write
			}
		}
		next := appendRow(make([]byte, 0, rowHeader+len(winner.Value)), rk, winner)
		if row != nil && bytes.Equal(row, next) {
			continue
		}
		w.byteDelta += valueBytes(next) - valueBytes(row)
		if err := w.fields.Put(rk, next); err != nil {
			return err
		}
		c.old, c.now = c.old.Plus(before), c.now.Plus(chord.DigestField(hash, f.Name, winner))
		w.dirty = true
	}
	if len(fields) == 0 {
		return nil
	}
	row := w.keys.Get(hash[:])
	if row == nil {
		w.keyDelta++
		c.now.Maps = 1
	}
	w.changes = append(w.changes, c)
	if row != nil && string(row) == string(key) {
		return nil
	}
	w.dirty = true
	return w.keys.Put(hash[:], []byte(key))
}

func (w *writer) drop(key chord.Key) error {
	hash := chord.HashKey(key)
	var rows [][]byte
	var old chord.Digest
	c := w.fields.Cursor()
	for k, v := c.Seek(hash[:]); bytes.HasPrefix(k, hash[:]); k, v = c.Next() {
		rows = append(rows, bytes.Clone(k))
		w.byteDelta -= valueBytes(v)
		if held, ok := parseRow(k, v); ok {
			old = old.Plus(chord.DigestField(hash, string(k[len(hash):]), held))
		}
	}
	w.changes = append(w.changes, change{hash: hash, old: old})
	for _, rk := range rows {
		if err := w.fields.Delete(rk); err != nil {
			return err
		}
		w.dirty = true
	}
	return w.deleteKey(hash)
}

func (w *writer) purge(key chord.Key, fields []chord.Field) error {
	hash := chord.HashKey(key)
	for _, f := range fields {
		rk := rowKey(hash, f.Name)
		row := w.fields.Get(rk)
		held, ok := parseRow(rk, row)
		if !ok || held.Stamp > f.Stamp {
			continue
		}
		w.byteDelta -= valueBytes(row)
		w.changes = append(w.changes, change{hash: hash, old: chord.DigestField(hash, f.Name, held)})
		if err := w.fields.Delete(rk); err != nil {
			return err
		}
		w.dirty = true
	}
	if k, _ := w.fields.Cursor().Seek(hash[:]); bytes.HasPrefix(k, hash[:]) {
		return nil
	}
	return w.deleteKey(hash)
}

func (w *writer) deleteKey(hash chord.ID) error {
	if w.keys.Get(hash[:]) == nil {
		return nil
	}
	w.keyDelta--
	w.changes = append(w.changes, change{hash: hash, old: chord.Digest{Maps: 1}})
	w.dirty = true
	return w.keys.Delete(hash[:])
}
