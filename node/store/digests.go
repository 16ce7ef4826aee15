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

// digest sums up the maps of an arc, but for the edges that are to be walked.
func (d *digests) digest(from, to chord.ID, edge func(from, to chord.ID) (chord.Digest, error)) (chord.Digest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tree.Sum(from, to, edge)
}

// Digest implements chord.Store. The error wraps ErrDamaged.
func (d *DB) Digest(class chord.Class, from, to chord.ID) (chord.Digest, error) {
	sums := d.digests.digest
	if class == chord.Soft {
		sums = d.soft.digest
	}
	var edges []arc
	sum, err := sums(from, to, func(from, to chord.ID) (chord.Digest, error) {
		edges = append(edges, arc{from, to})
		return chord.Digest{}, nil
	})
	// Outside the locks, as a walk takes them, and one that meets damage says so
	// to the tree.
	for _, e := range edges {
		part, damage := chord.WalkDigest(d, class, e.from, e.to)
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
