package store

import (
	"bytes"
	"slices"
	"sync"

	"chordtorrent/chord"
)

// softShards divides the ring by the top 12 bits of the hash, so that adding
// a key moves few others.
const softShards = 4096

// softMaps holds the soft keys: maps in memory, in ring order and by name.
type softMaps struct {
	mu     sync.RWMutex
	byKey  map[chord.Key]*softMap
	shards [softShards][]softKey // each sorted by hash
	bytes  int64
	tree   chord.DigestTree
	// changes counts applied ops; saved is what it was at the last snapshot,
	// of which there is one at a time.
	changes, saved uint64
}

type softKey struct {
	hash chord.ID
	key  chord.Key
}

func newSoftMaps() *softMaps { return &softMaps{byKey: map[chord.Key]*softMap{}} }

func shardOf(hash chord.ID) int { return int(hash[0])<<4 | int(hash[1])>>4 }

func compareHash(k softKey, hash chord.ID) int { return k.hash.Compare(hash) }

func (s *softMaps) apply(op chord.StoreOp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	switch op.Kind {
	case chord.StoreMerge:
		for _, f := range op.Merge {
			s.mergeLocked(op.Key, f)
		}
	case chord.StoreDrop:
		if m := s.byKey[op.Key]; m != nil {
			old, hash := chord.Digest{}, chord.HashKey(op.Key)
			m.each("", func(p *packed) bool {
				s.bytes -= int64(len(p.value))
				old = old.Plus(chord.DigestField(hash, m.prefix+string(p.name), p.entry()))
				return true
			})
			s.tree.Change(hash, old, chord.Digest{})
			s.deleteLocked(op.Key)
		}
	case chord.StorePurge:
		s.purgeLocked(op.Key, op.Purge)
	}
}

func (s *softMaps) mergeLocked(key chord.Key, f chord.Field) {
	m, hash := s.byKey[key], chord.HashKey(key)
	var before, after chord.Digest
	if m == nil {
		m = &softMap{}
		s.byKey[key] = m
		after.Maps = 1
		shard := &s.shards[shardOf(hash)]
		i, _ := slices.BinarySearchFunc(*shard, hash, compareHash)
		*shard = slices.Insert(*shard, i, softKey{hash, key})
	}
	held, ok := m.get(f.Name)
	winner := f.Entry
	if ok {
		winner = chord.Merge(held, f.Entry)
		if winner.Stamp == held.Stamp && winner.Deleted == held.Deleted && winner.Expires == held.Expires && bytes.Equal(winner.Value, held.Value) {
			return
		}
		before = chord.DigestField(hash, f.Name, held)
	}
	s.bytes += int64(len(winner.Value) - len(held.Value))
	m.put(f.Name, winner)
	s.tree.Change(hash, before, after.Plus(chord.DigestField(hash, f.Name, winner)))
}

func (s *softMaps) purgeLocked(key chord.Key, fields []chord.Field) {
	m, hash := s.byKey[key], chord.HashKey(key)
	if m == nil {
		return
	}
	for _, f := range fields {
		held, ok := m.get(f.Name)
		if !ok || held.Stamp > f.Stamp {
			continue
		}
		s.bytes -= int64(len(held.Value))
		s.tree.Change(hash, chord.DigestField(hash, f.Name, held), chord.Digest{})
		m.remove(f.Name)
	}
	if len(m.blocks) == 0 {
		s.deleteLocked(key)
	}
}

func (s *softMaps) deleteLocked(key chord.Key) {
	delete(s.byKey, key)
	hash := chord.HashKey(key)
	s.tree.Change(hash, chord.Digest{Maps: 1}, chord.Digest{})
	shard := &s.shards[shardOf(hash)]
	if i, found := slices.BinarySearchFunc(*shard, hash, compareHash); found {
		*shard = slices.Delete(*shard, i, i+1)
	}
}

// fields is chord.Store.Fields; it yields outside the lock.
func (s *softMaps) fields(key chord.Key, prefix, after string, yield func(chord.Field) bool) {
	for {
		batch := s.fieldBatch(key, prefix, after)
		for _, f := range batch {
			if !yield(f) {
				return
			}
		}
		if len(batch) < batchFields {
			return
		}
		after = batch[len(batch)-1].Name
	}
}

func (s *softMaps) fieldBatch(key chord.Key, prefix, after string) []chord.Field {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.byKey[key]
	if m == nil {
		return nil
	}
	return m.batch(prefix, after, batchFields)
}

// keysBetween is for soft keys what DB.hardKeys is for hard ones.
func (s *softMaps) keysBetween(after chord.ID, inclusive bool, last chord.ID) (batch []chord.Key, upTo chord.ID, damaged int, more bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	upTo = after
	for n := shardOf(after); n <= shardOf(last); n++ {
		i := 0
		if n == shardOf(after) {
			var found bool
			i, found = slices.BinarySearchFunc(s.shards[n], after, compareHash)
			if found && !inclusive {
				i++
			}
		}
		for _, k := range s.shards[n][i:] {
			if k.hash.Compare(last) > 0 {
				return batch, upTo, 0, false, nil
			}
			if len(batch) == batchKeys {
				return batch, upTo, 0, true, nil
			}
			batch = append(batch, k.key)
			upTo = k.hash
		}
	}
	return batch, upTo, 0, false, nil
}

// digest sums up the maps of an arc, but for the edges that are to be walked.
func (s *softMaps) digest(from, to chord.ID, edge func(from, to chord.ID) (chord.Digest, error)) (chord.Digest, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tree.Sum(from, to, edge)
}

func (s *softMaps) count() (keys int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byKey), s.bytes
}
