package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"chordtorrent/chord"
)

// A ring may have to remember a million peers at each member, so a soft map is not a Go map:
// its fields lie one behind the other, in the order of their names, in blocks of some 1 KiB
// without pointers. A field is
//
//	uvarint  length of the name, without what all names of the map begin with
//	uvarint  length of the value x 4, + 2 if it expires, + 1 if it is a tombstone
//	8 bytes  stamp, big-endian
//	varint   milliseconds from the stamp to when it expires, if it does
//	the rest of the name, the value
//
// A peer of IPv4 takes some 50 bytes, 60 with what its block has to spare.
type softMap struct {
	prefix string // what all names begin with
	blocks [][]byte
}

// blockBytes is what a block holds before it is split; one field may be longer.
const blockBytes = 1 << 10

// packed is a field as it lies in a block; name and value are parts of the block.
type packed struct {
	name, value []byte
	stamp       chord.Stamp
	expires     int64
	deleted     bool
	size        int // of it all
}

func unpack(b []byte) (p packed) {
	rest := b
	uvarint := func() uint64 {
		n, size := binary.Uvarint(rest)
		rest = rest[size:]
		return n
	}
	name, meta := uvarint(), uvarint()
	p.stamp = chord.Stamp(binary.BigEndian.Uint64(rest))
	rest = rest[8:]
	if p.deleted = meta&1 != 0; meta&2 != 0 {
		after, size := binary.Varint(rest)
		rest = rest[size:]
		p.expires = p.stamp.Millis() + after
	}
	p.name, rest = rest[:name], rest[name:]
	if n := meta >> 2; n > 0 {
		p.value, rest = rest[:n:n], rest[n:]
	}
	p.size = len(b) - len(rest)
	return p
}

func pack(name string, e chord.Entry) []byte {
	b := make([]byte, 0, 3*binary.MaxVarintLen64+8+len(name)+len(e.Value))
	b = binary.AppendUvarint(b, uint64(len(name)))
	meta := uint64(len(e.Value)) << 2
	if e.Expires != 0 {
		meta |= 2
	}
	if e.Deleted {
		meta |= 1
	}
	b = binary.AppendUvarint(b, meta)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stamp))
	if e.Expires != 0 {
		b = binary.AppendVarint(b, e.Expires-e.Stamp.Millis())
	}
	return append(append(b, name...), e.Value...)
}

// entry is the field without its name; the value is a part of the block.
func (p *packed) entry() chord.Entry {
	return chord.Entry{Value: p.value, Stamp: p.stamp, Expires: p.expires, Deleted: p.deleted}
}

// seek finds the first field whose name is not less than one that begins as all do, of which
// this is the rest. It may be one behind the last of its block.
func (m *softMap) seek(rest string) (block, at int, found bool) {
	// The last block that begins with a name not greater.
	block, _ = slices.BinarySearchFunc(m.blocks, rest, func(b []byte, rest string) int {
		first := unpack(b)
		if string(first.name) <= rest {
			return -1
		}
		return 1
	})
	if block > 0 {
		block--
	}
	if block == len(m.blocks) {
		return block, 0, false
	}
	b := m.blocks[block]
	for at < len(b) {
		p := unpack(b[at:])
		if string(p.name) >= rest {
			return block, at, string(p.name) == rest
		}
		at += p.size
	}
	return block, at, false
}

// get gives a field; the value is good until the map is changed.
func (m *softMap) get(name string) (e chord.Entry, ok bool) {
	rest, ok := strings.CutPrefix(name, m.prefix)
	if !ok {
		return e, false
	}
	block, at, ok := m.seek(rest)
	if !ok {
		return e, false
	}
	p := unpack(m.blocks[block][at:])
	return p.entry(), true
}

// put sets a field.
func (m *softMap) put(name string, e chord.Entry) {
	if len(m.blocks) == 0 {
		m.prefix = strings.Clone(name) // not a part of a message
		m.blocks = [][]byte{pack("", e)}
		return
	}
	if !strings.HasPrefix(name, m.prefix) {
		m.shorten(name)
	}
	rest := name[len(m.prefix):]
	block, at, found := m.seek(rest)
	old := 0
	if found {
		p := unpack(m.blocks[block][at:])
		old = p.size
	}
	m.blocks[block] = splice(m.blocks[block], at, old, pack(rest, e))
	m.split(block)
}

// shorten takes from what all names begin with what another name does not begin with.
func (m *softMap) shorten(name string) {
	keep := 0
	for keep < len(name) && keep < len(m.prefix) && name[keep] == m.prefix[keep] {
		keep++
	}
	more := m.prefix[keep:]
	old := m.blocks
	m.prefix, m.blocks = m.prefix[:keep], nil
	var fresh []byte
	for _, b := range old {
		for at := 0; at < len(b); {
			p := unpack(b[at:])
			at += p.size
			field := pack(more+string(p.name), p.entry())
			if len(fresh) > 0 && len(fresh)+len(field) > blockBytes*3/4 {
				m.blocks, fresh = append(m.blocks, splice(nil, 0, 0, fresh)), fresh[:0]
			}
			fresh = append(fresh, field...)
		}
	}
	m.blocks = append(m.blocks, splice(nil, 0, 0, fresh))
}

// remove takes a field out.
func (m *softMap) remove(name string) {
	rest, ok := strings.CutPrefix(name, m.prefix)
	if !ok {
		return
	}
	block, at, found := m.seek(rest)
	if !found {
		return
	}
	p := unpack(m.blocks[block][at:])
	m.blocks[block] = splice(m.blocks[block], at, p.size, nil)
	switch b := m.blocks[block]; {
	case len(b) == 0:
		m.blocks = slices.Delete(m.blocks, block, block+1)
	case block+1 < len(m.blocks) && len(b)+len(m.blocks[block+1]) < blockBytes/2:
		m.blocks[block] = splice(b, len(b), 0, m.blocks[block+1])
		m.blocks = slices.Delete(m.blocks, block+1, block+2)
	}
}

// split makes two of a block that has grown too long, unless it is one field.
func (m *softMap) split(block int) {
	b := m.blocks[block]
	if len(b) <= blockBytes {
		return
	}
	at := 0
	for at < len(b)/2 {
		p := unpack(b[at:])
		if at > 0 && at+p.size >= len(b) {
			break
		}
		at += p.size
	}
	if at == len(b) {
		return
	}
	second := splice(nil, 0, 0, b[at:])
	m.blocks[block] = splice(nil, 0, 0, b[:at])
	m.blocks = slices.Insert(m.blocks, block+1, second)
}

// splice puts something into a block in the place of old bytes. Where the block has no
// room it is made anew, with little to spare.
func splice(b []byte, at, old int, with []byte) []byte {
	n := len(b) - old + len(with)
	if n <= cap(b) && cap(b) <= 2*n+64 {
		tail := b[at+old:]
		b = b[:n]
		copy(b[at+len(with):], tail)
		copy(b[at:], with)
		return b
	}
	// The allocator's sizes are 32 bytes apart, and 128 from 512 on.
	step := 32
	if n > 512 {
		step = 128
	}
	fresh := make([]byte, n, (n+step-1)/step*step)
	copy(fresh, b[:at])
	copy(fresh[at:], with)
	copy(fresh[at+len(with):], b[at+old:])
	return fresh
}

// each calls yield for the fields in order, from the first whose name is not less than
// one, until yield returns false.
func (m *softMap) each(from string, yield func(p *packed) bool) {
	block, at := 0, 0
	if rest, ok := strings.CutPrefix(from, m.prefix); ok {
		block, at, _ = m.seek(rest)
	} else if from > m.prefix {
		return
	}
	for ; block < len(m.blocks); block, at = block+1, 0 {
		for b := m.blocks[block]; at < len(b); {
			p := unpack(b[at:])
			if !yield(&p) {
				return
			}
			at += p.size
		}
	}
}

// batch copies fields into memory of their own, one portion for all names and one for all
// values: those whose names begin with prefix, from the first behind after.
func (m *softMap) batch(prefix, after string, most int) []chord.Field {
	fields := make([]chord.Field, 0, min(most, 16))
	var names, values []byte
	var ends []int
	m.each(max(prefix, after), func(p *packed) bool {
		start := len(names)
		names = append(append(names, m.prefix...), p.name...)
		name := names[start:]
		if after != "" && string(name) == after {
			names = names[:start]
			return true
		}
		if !bytes.HasPrefix(name, []byte(prefix)) {
			names = names[:start]
			return false
		}
		values = append(values, p.value...)
		fields, ends = append(fields, chord.Field{Entry: p.entry()}), append(ends, len(names))
		return len(fields) < most
	})
	all, start, value := string(names), 0, 0
	for i := range fields {
		fields[i].Name = all[start:ends[i]]
		start = ends[i]
		if n := len(fields[i].Value); n > 0 {
			fields[i].Value = values[value : value+n : value+n]
			value += n
		}
	}
	return fields
}
