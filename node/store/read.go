package store

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"chordtorrent/chord"
)

// Reads copy a batch of rows in one short transaction, end it, and only then
// yield: so a yield may read again or take its time, no reader holds up the
// growth of the map (a read within a read would wait for ever for a writer that
// waits for the first), and no fault can happen inside a caller's function.
const (
	batchFields = 128
	batchBytes  = 512 << 10
	batchKeys   = 512
)

var _ chord.Store = (*DB)(nil)

// Fields implements chord.Store. The error wraps ErrDamaged.
func (d *DB) Fields(key chord.Key, prefix, after string, yield func(chord.Field) bool) error {
	if key.Class() == chord.Soft {
		d.soft.fields(key, prefix, after, yield)
		return nil
	}
	hash := chord.HashKey(key)
	end := rowKey(hash, prefix)
	batch, _ := fieldBatches.Get().(*fieldBatch)
	defer batch.recycle()
	damaged := 0
	for more := true; more; {
		err := d.view(func(tx *bbolt.Tx) error {
			batch.reset()
			more = false
			c := tx.Bucket(fieldsBucket).Cursor()
			start := rowKey(hash, max(prefix, after))
			for k, v := c.Seek(start); bytes.HasPrefix(k, end); k, v = c.Next() {
				name := string(k[chord.IDBytes:])
				if after != "" && name <= after {
					continue
				}
				if batch.isFull(len(v)) {
					more = true
					return nil
				}
				after = name
				e, ok := parseRow(k, v)
				if !ok {
					damaged++
					d.reportDamage(key, name)
					continue
				}
				batch.add(name, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range batch.fields {
			if !yield(batch.at(i)) {
				return damageError(key, damaged)
			}
		}
	}
	return damageError(key, damaged)
}

// fieldBatch holds copies of rows, the values one behind the other in memory
// that is used again: they are valid until the next batch only.
type fieldBatch struct {
	fields []chord.Field // without values
	ends   []int         // of each value
	values []byte
}

var fieldBatches = sync.Pool{New: func() any { return new(fieldBatch) }}

func (b *fieldBatch) reset() {
	clear(b.fields)
	b.fields, b.ends, b.values = b.fields[:0], b.ends[:0], b.values[:0]
}

func (b *fieldBatch) isFull(next int) bool {
	return len(b.fields) == batchFields || (len(b.fields) > 0 && len(b.values)+next > batchBytes)
}

func (b *fieldBatch) add(name string, e chord.Entry) {
	b.values = append(b.values, e.Value...)
	b.ends = append(b.ends, len(b.values))
	e.Value = nil
	b.fields = append(b.fields, chord.Field{Name: name, Entry: e})
}

func (b *fieldBatch) at(i int) chord.Field {
	f, start := b.fields[i], 0
	if i > 0 {
		start = b.ends[i-1]
	}
	if end := b.ends[i]; end > start {
		f.Value = b.values[start:end:end]
	}
	return f
}

func (b *fieldBatch) recycle() {
	b.reset()
	fieldBatches.Put(b)
}

// Keys implements chord.Store. The error wraps ErrDamaged.
func (d *DB) Keys(class chord.Class, from, to chord.ID, yield func(chord.Key) bool) error {
	walk := d.hardKeys
	if class == chord.Soft {
		walk = d.soft.keysBetween
	}
	type stretch struct {
		after     chord.ID
		inclusive bool // after itself belongs to it
		last      chord.ID
	}
	var zero, top chord.ID
	for i := range top {
		top[i] = 0xff
	}
	arcs := []stretch{{from, false, to}}
	if from.Compare(to) >= 0 { // over the top, or the whole ring
		arcs = []stretch{{from, false, top}, {zero, true, to}}
	}
	damaged := 0
	for _, a := range arcs {
		for more := true; more; {
			var batch []chord.Key
			var bad int
			var err error
			batch, a.after, bad, more, err = walk(a.after, a.inclusive, a.last)
			if err != nil {
				return err
			}
			a.inclusive = false
			damaged += bad
			for _, k := range batch {
				if !yield(k) {
					return damageError("", damaged)
				}
			}
		}
	}
	return damageError("", damaged)
}

// hardKeys gives a batch of the keys whose hash lies in (after, last], or
// [after, last] when inclusive, and the hash of the last row it has read.
func (d *DB) hardKeys(after chord.ID, inclusive bool, last chord.ID) (batch []chord.Key, upTo chord.ID, damaged int, more bool, err error) {
	upTo = after
	err = d.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(keysBucket).Cursor()
		k, v := c.Seek(after[:])
		if !inclusive && bytes.Equal(k, after[:]) {
			k, v = c.Next()
		}
		for rows := 0; k != nil && bytes.Compare(k, last[:]) <= 0; k, v = c.Next() {
			if rows == batchKeys {
				more = true
				return nil
			}
			rows++
			copy(upTo[:], k)
			key := chord.Key(v)
			if hash := chord.HashKey(key); !bytes.Equal(hash[:], k) {
				damaged++
				d.digests.doubt(upTo)
				d.reportDamage(key, "")
				continue
			}
			batch = append(batch, key)
		}
		return nil
	})
	return batch, upTo, damaged, more, err
}

// Count implements chord.Store.
func (d *DB) Count(class chord.Class) (keys int, bytes int64) {
	if class == chord.Soft {
		return d.soft.count()
	}
	return int(d.keys.Load()), d.bytes.Load()
}

// view runs fn in a read transaction, faults caught.
func (d *DB) view(fn func(*bbolt.Tx) error) error {
	err := guard(d.path, func() error { return d.bolt.View(fn) })
	if err != nil {
		return fmt.Errorf("read database %s: %w", d.path, err)
	}
	return nil
}

func damageError(key chord.Key, n int) error {
	switch {
	case n == 0:
		return nil
	case key == "":
		return fmt.Errorf("%w: %d keys", ErrDamaged, n)
	}
	return fmt.Errorf("%w: %d fields of key %q", ErrDamaged, n, string(key))
}

// reportDamage counts a damaged entry and says so in the log once a minute.
func (d *DB) reportDamage(key chord.Key, field string) {
	d.digests.doubt(chord.HashKey(key))
	total := d.damaged.Add(1)
	now := time.Now().Unix()
	last := d.lastReport.Load()
	if now-last >= 60 && d.lastReport.CompareAndSwap(last, now) {
		d.log.Error("damaged entry in the database counts as absent until the ring repairs it", "path", d.path, "name", string(key), "field", field, "entries", total)
	}
}
