package chord

import (
	"bytes"
	"slices"
	"strings"
)

// MemStore is a Store that forgets everything with the process: for tests,
// simulations, and members that hold soft keys only. It is not safe for
// concurrent use. Its answers depend on what was applied, never on the order
// of a Go map.
type MemStore struct {
	maps  map[Key]*memMap
	rings [2]memRing // by class
	trees [2]DigestTree
	state State
}

// memMap is one replicated map: fields in byte order of their names.
type memMap struct {
	fields []Field
}

// memRing lists the keys of one class in ring order from zero.
type memRing struct {
	places []memPlace
	bytes  int64
}

type memPlace struct {
	id  ID
	key Key
}

// NewMemStore gives an empty store with the zero State.
func NewMemStore() *MemStore { return &MemStore{maps: make(map[Key]*memMap)} }

// State is the last one that a StoreState op gave; the caller owns the copy.
func (s *MemStore) State() State { return s.state.clone() }

func (st State) clone() State {
	st.Arcs = slices.Clone(st.Arcs)
	st.Known = slices.Clone(st.Known)
	return st
}

// Clone gives a store with the same content that shares nothing with s that
// either will change: what a disk image is to a crash simulation.
func (s *MemStore) Clone() *MemStore {
	c := &MemStore{maps: make(map[Key]*memMap, len(s.maps)), state: s.State()}
	for k, m := range s.maps {
		// Values are copied when they come in and never written to.
		c.maps[k] = &memMap{fields: slices.Clone(m.fields)}
	}
	for i, r := range s.rings {
		c.rings[i] = memRing{places: slices.Clone(r.places), bytes: r.bytes}
		c.trees[i] = s.trees[i].clone()
	}
	return c
}

// Fields implements Store.
func (s *MemStore) Fields(key Key, prefix, after string, yield func(Field) bool) error {
	m := s.maps[key]
	if m == nil {
		return nil
	}
	i, found := m.find(max(prefix, after))
	if found && after != "" && m.fields[i].Name == after {
		i++
	}
	for ; i < len(m.fields) && strings.HasPrefix(m.fields[i].Name, prefix); i++ {
		if !yield(m.fields[i]) {
			break
		}
	}
	return nil
}

// Keys implements Store.
func (s *MemStore) Keys(class Class, from, to ID, yield func(Key) bool) error {
	places := s.rings[class].places
	// The first place behind from, and from there once around at most.
	start, found := findPlace(places, from)
	if found {
		start++
	}
	for n := range places {
		p := places[(start+n)%len(places)]
		if !InArc(from, p.id, to) || !yield(p.key) {
			break
		}
	}
	return nil
}

// Digest implements Store.
func (s *MemStore) Digest(class Class, from, to ID) (Digest, error) {
	return s.trees[class].Sum(from, to, func(from, to ID) (Digest, error) { return WalkDigest(s, class, from, to) })
}

// Count implements Store.
func (s *MemStore) Count(class Class) (keys int, size int64) {
	r := &s.rings[class]
	return len(r.places), r.bytes
}

// Apply carries out one op at once. Tokens are of no interest to it.
func (s *MemStore) Apply(op StoreOp) {
	switch op.Kind {
	case StoreMerge:
		s.merge(op.Key, op.Merge)
	case StoreDrop:
		s.drop(op.Key)
	case StorePurge:
		s.purge(op.Key, op.Purge)
	case StoreState:
		if op.State != nil {
			s.state = op.State.clone()
		}
	}
}

func (s *MemStore) merge(key Key, fields []Field) {
	if len(fields) == 0 {
		return
	}
	ring, id := &s.rings[key.Class()], HashKey(key)
	var old, now Digest // of the changed fields
	m := s.maps[key]
	if m == nil {
		m = &memMap{}
		s.maps[key] = m
		i, _ := findPlace(ring.places, id)
		ring.places = slices.Insert(ring.places, i, memPlace{id, key})
		now.Maps = 1
	}
	for _, f := range fields {
		f.Value = bytes.Clone(f.Value)
		i, held := m.find(f.Name)
		if !held {
			m.fields = slices.Insert(m.fields, i, f)
			ring.bytes += int64(len(f.Value))
			now = now.Plus(DigestField(id, f.Name, f.Entry))
			continue
		}
		won := Merge(m.fields[i].Entry, f.Entry)
		ring.bytes += int64(len(won.Value)) - int64(len(m.fields[i].Value))
		old = old.Plus(DigestField(id, f.Name, m.fields[i].Entry))
		now = now.Plus(DigestField(id, f.Name, won))
		m.fields[i].Entry = won
	}
	s.trees[key.Class()].Change(id, old, now)
}

func (s *MemStore) drop(key Key) {
	m := s.maps[key]
	if m == nil {
		return
	}
	ring, id := &s.rings[key.Class()], HashKey(key)
	old := Digest{Maps: 1}
	for _, f := range m.fields {
		ring.bytes -= int64(len(f.Value))
		old = old.Plus(DigestField(id, f.Name, f.Entry))
	}
	s.trees[key.Class()].Change(id, old, Digest{})
	delete(s.maps, key)
	i, _ := findPlace(ring.places, id)
	ring.places = slices.Delete(ring.places, i, i+1)
}

func (s *MemStore) purge(key Key, names []Field) {
	m := s.maps[key]
	if m == nil {
		return
	}
	ring, id := &s.rings[key.Class()], HashKey(key)
	for _, f := range names {
		i, held := m.find(f.Name)
		if !held || m.fields[i].Stamp > f.Stamp {
			continue
		}
		s.trees[key.Class()].Change(id, DigestField(id, f.Name, m.fields[i].Entry), Digest{})
		ring.bytes -= int64(len(m.fields[i].Value))
		m.fields = slices.Delete(m.fields, i, i+1)
	}
	if len(m.fields) == 0 {
		s.drop(key)
	}
}

func (m *memMap) find(name string) (int, bool) {
	return slices.BinarySearchFunc(m.fields, name, func(f Field, n string) int { return strings.Compare(f.Name, n) })
}

func findPlace(places []memPlace, id ID) (int, bool) {
	return slices.BinarySearchFunc(places, id, func(p memPlace, id ID) int { return p.id.Compare(id) })
}
