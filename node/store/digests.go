package store

import (
	"bytes"
	"sync"

	"go.etcd.io/bbolt"

	"chordtorrent/chord"
)

// digests is the Merkle tree of the hard keys, kept in memory: made when the
// database is opened, and changed after each commit by what that changed.
type digests struct {
	mu   sync.Mutex
	tree chord.DigestTree
}

// change is one map's part of a commit: the digests of its fields that were
// replaced, and of those that took their place.
type change struct {
	hash     chord.ID
	old, now chord.Digest
}

func (d *digests) apply(changes []change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		d.tree.Change(c.hash, c.old, c.now)
	}
}

// doubt has a part of the ring walked from now on, as damage was found there.
func (d *digests) doubt(hash chord.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tree.Doubt(hash)
}

// Digest implements chord.Store. The error wraps ErrDamaged.
func (d *DB) Digest(class chord.Class, from, to chord.ID) (chord.Digest, error) {
	walk := func(from, to chord.ID) (chord.Digest, error) { return chord.WalkDigest(d, class, from, to) }
	if class == chord.Soft {
		return walk(from, to) // in memory: a walk is fast, and only an orderly leave asks for it
	}
	var edges []arc
	d.digests.mu.Lock()
	sum, err := d.digests.tree.Sum(from, to, func(from, to chord.ID) (chord.Digest, error) {
		edges = append(edges, arc{from, to})
		return chord.Digest{}, nil
	})
	d.digests.mu.Unlock()
	// Outside the lock, as a walk that meets damage says so to the tree.
	for _, e := range edges {
		part, damage := walk(e.from, e.to)
		sum = sum.Plus(part)
		if damage != nil {
			err = damage
		}
	}
	return sum, err
}

type arc struct{ from, to chord.ID }

// plant makes the tree of a just opened file.
func (d *digests) plant(tx *bbolt.Tx) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tree = chord.DigestTree{}
	var hash chord.ID
	c := tx.Bucket(keysBucket).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		copy(hash[:], k)
		if own := chord.HashKey(chord.Key(v)); !bytes.Equal(own[:], k) {
			d.tree.Doubt(hash)
			continue
		}
		d.tree.Change(hash, chord.Digest{}, chord.Digest{Maps: 1})
	}
	c = tx.Bucket(fieldsBucket).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		copy(hash[:], k)
		e, ok := parseRow(k, v)
		if !ok || len(k) <= chord.IDBytes {
			d.tree.Doubt(hash)
			continue
		}
		d.tree.Change(hash, chord.Digest{}, chord.DigestField(hash, string(k[chord.IDBytes:]), e))
	}
}
