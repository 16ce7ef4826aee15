package chord

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Digest sums up the maps of an arc. It is the sum, modulo 2^128, of a hash of
// each field, so it is kept up to date by adding and taking away, and the
// digest of an arc is the sum of those of its parts. Equal copies have equal
// digests; that different ones have, chance alone does not bring about. It is
// no proof against somebody who may write into the ring.
type Digest struct {
	Maps   int // in the arc
	Hi, Lo uint64
}

// Plus is the digest of two disjoint sets of maps or fields.
func (d Digest) Plus(o Digest) Digest {
	lo, carry := bits.Add64(d.Lo, o.Lo, 0)
	hi, _ := bits.Add64(d.Hi, o.Hi, carry)
	return Digest{d.Maps + o.Maps, hi, lo}
}

// Minus takes back what Plus has added.
func (d Digest) Minus(o Digest) Digest {
	lo, borrow := bits.Sub64(d.Lo, o.Lo, 0)
	hi, _ := bits.Sub64(d.Hi, o.Hi, borrow)
	return Digest{d.Maps - o.Maps, hi, lo}
}

// DigestField is one field's part in the digest of its map; its Maps is 0. It
// covers all that Merge looks at but the value: a stamp is given to one write
// only.
func DigestField(key ID, name string, e Entry) Digest {
	var room [IDBytes + MaxFieldBytes + 17]byte
	b := append(room[:0], key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stamp))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Expires))
	if e.Deleted {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	// A sum of weaker hashes would miss two fields that have swapped stamps.
	sum := sha256.Sum256(append(b, name...))
	return Digest{Hi: binary.BigEndian.Uint64(sum[:8]), Lo: binary.BigEndian.Uint64(sum[8:16])}
}

// digestMap walks one map; size is that of its names and values.
func digestMap(s Store, key Key) (d Digest, size int, err error) {
	d, hash := Digest{Maps: 1}, HashKey(key)
	err = s.Fields(key, "", "", func(f Field) bool {
		d = d.Plus(DigestField(hash, f.Name, f.Entry))
		size += len(f.Name) + len(f.Value)
		return true
	})
	return d, size, err
}

// WalkDigest computes the digest of the arc (from, to] by reading all of it:
// what Store.Digest must give, and how a DigestTree looks at its edges.
func WalkDigest(s Store, class Class, from, to ID) (sum Digest, err error) {
	walk := s.Keys(class, from, to, func(k Key) bool {
		d, _, damage := digestMap(s, k)
		sum = sum.Plus(d)
		if damage != nil {
			err = damage
		}
		return true
	})
	if err == nil {
		err = walk
	}
	return sum, err
}

// treeDepth is how many hexadecimal digits of a map's place a DigestTree tells
// apart: a leaf is one in 65,536 of the ring.
const treeDepth = 4

// DigestTree is a Merkle tree over the ring that a Store keeps beside its maps,
// so that Digest does not read them: a node's children are the sixteenths of
// its part of the ring, a node's digest is the sum of its children's. Only
// parts that hold something take memory. The zero value is a tree of an empty
// store. It is not safe for concurrent use.
type DigestTree struct{ root treeNode }

type treeNode struct {
	digest   Digest
	children *[16]*treeNode // nil at the leaves, and where nothing is
	doubted  bool           // what is held may not be what was added
}

// digit is the i-th hexadecimal digit of a place.
func digit(id ID, i int) int { return int(id[i/2]>>(4*(1-i%2))) & 15 }

// Change notes that the map at a place had the digest old and has now; a map
// that is not there has the zero Digest.
func (t *DigestTree) Change(id ID, old, now Digest) {
	if delta := now.Minus(old); delta != (Digest{}) {
		t.root.change(id, 0, delta, false)
	}
}

// Doubt says that what was read at a place is not what was written there: from
// now on the digest of its leaf is that which a walk finds.
func (t *DigestTree) Doubt(id ID) { t.root.change(id, 0, Digest{}, true) }

// change adds delta to the nodes from this one, at that depth, to the leaf of a
// place, and takes away those that hold nothing any more: a member whose
// neighbours come and go holds every part of the ring for a while.
func (n *treeNode) change(id ID, depth int, delta Digest, doubt bool) {
	n.digest, n.doubted = n.digest.Plus(delta), n.doubted || doubt
	if depth == treeDepth {
		return
	}
	if n.children == nil {
		n.children = new([16]*treeNode)
	}
	child := &n.children[digit(id, depth)]
	if *child == nil {
		*child = new(treeNode)
	}
	(*child).change(id, depth+1, delta, doubt)
	if **child == (treeNode{}) {
		*child = nil
		if *n.children == ([16]*treeNode{}) {
			n.children = nil
		}
	}
}

// Sum gives the digest of the arc (from, to]. walk computes that of arcs
// shorter than a leaf, or doubted; Sum ends at its first error.
func (t *DigestTree) Sum(from, to ID, walk func(from, to ID) (Digest, error)) (Digest, error) {
	if from.Compare(to) < 0 {
		return t.root.sum(0, ID{}, next(from), to, walk)
	}
	// Over the top of the identifiers, or the whole ring.
	low, err := t.root.sum(0, ID{}, ID{}, to, walk)
	if err != nil || from == top {
		return low, err
	}
	high, err := t.root.sum(0, ID{}, next(from), top, walk)
	return low.Plus(high), err
}

// sum is the digest of the places first..last, both included and in order,
// as far as they lie in the node at that depth, whose places begin at low.
func (n *treeNode) sum(depth int, low, first, last ID, walk func(from, to ID) (Digest, error)) (Digest, error) {
	if n == nil || (n.digest == (Digest{}) && !n.doubted) {
		return Digest{}, nil
	}
	high := end(low, depth)
	if high.Compare(first) < 0 || last.Compare(low) < 0 {
		return Digest{}, nil
	}
	inside := first.Compare(low) <= 0 && high.Compare(last) <= 0
	if inside && !n.doubted {
		return n.digest, nil
	}
	if depth == treeDepth {
		if first.Compare(low) < 0 {
			first = low
		}
		if high.Compare(last) < 0 {
			last = high
		}
		return walk(previous(first), last)
	}
	var sum Digest
	if n.children == nil {
		return sum, nil
	}
	for i, child := range n.children {
		part, err := child.sum(depth+1, withDigit(low, depth, i), first, last, walk)
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(part)
	}
	return sum, nil
}

// end is the last place of the part of the ring that begins at low and shares
// that many digits.
func end(low ID, digits int) ID {
	if digits%2 == 1 {
		low[digits/2] |= 15
		digits++
	}
	for i := digits / 2; i < IDBytes; i++ {
		low[i] = 255
	}
	return low
}

// clone gives a tree that shares nothing with t.
func (t *DigestTree) clone() DigestTree { return DigestTree{*t.root.clone()} }

func (n *treeNode) clone() *treeNode {
	if n == nil {
		return nil
	}
	c := *n
	if n.children != nil {
		c.children = new([16]*treeNode)
		for i, child := range n.children {
			c.children[i] = child.clone()
		}
	}
	return &c
}

// withDigit gives id with its i-th hexadecimal digit set to v.
func withDigit(id ID, i, v int) ID {
	shift := 4 * (1 - i%2)
	id[i/2] = id[i/2]&^(15<<shift) | byte(v)<<shift
	return id
}
