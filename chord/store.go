package chord

// Store is where a Member reads the maps it holds. Reads are synchronous and
// must be fast (a memory map, a page cache); writes leave the Member as
// StoreOps in its Output and are confirmed later by Member.Stored. A read sees
// at least every write confirmed so far, and may see later ones.
//
// package node/store implements it over bbolt, chord.MemStore in memory.
// Both pass storetest, the conformance suite.
type Store interface {
	// Fields calls yield for the fields of key in byte order of their names,
	// from the first name > after that begins with prefix, tombstones and
	// expired ones included, until yield returns false. The value is valid
	// only during the call. An unreadable (damaged) entry is skipped and
	// reported by the error at the end; the replica then counts as not ready.
	Fields(key Key, prefix, after string, yield func(Field) bool) error
	// Keys calls yield for the keys of the class whose HashKey lies in the
	// arc (from, to], in ring order starting behind from, until yield
	// returns false. A resumed walk gives the last key's hash as from; keys
	// with the same hash do not exist (SHA-1).
	Keys(class Class, from, to ID, yield func(Key) bool) error
	// Digest gives the digest of all maps of the class in the arc (from, to],
	// as WalkDigest would, but without reading them all. The error is as that
	// of Fields: something in the arc is known to be damaged.
	Digest(class Class, from, to ID) (Digest, error)
	// Count tells how many keys and value bytes of the class are held.
	Count(class Class) (keys int, bytes int64)
}

// StoreOp is one write a Member wants done. Ops are applied in order. Within
// one Output they may be committed together; Member.Stored(token) confirms an
// op once it is durable (hard) or applied (soft).
type StoreOp struct {
	Token uint64 // 0: no confirmation wanted
	Kind  StoreKind
	Key   Key     // StoreMerge, StoreDrop
	Merge []Field // StoreMerge: merged field by field with what is held, by Merge
	// Fields for StorePurge: names of tombstoned or expired fields to forget,
	// each only if its held stamp is not above the one given.
	Purge []Field
	State *State // StoreState
}

// StoreKind tells what a StoreOp does.
type StoreKind uint8

const (
	// StoreMerge merges fields into a map.
	StoreMerge StoreKind = iota + 1
	// StoreDrop forgets a whole map: a stray copy that its owners have.
	StoreDrop
	// StorePurge forgets single fields.
	StorePurge
	// StoreState replaces the member's own durable state.
	StoreState
)

// Merge gives the winner of two entries of one field. It is commutative,
// associative and idempotent: the higher stamp wins; between equal stamps a
// tombstone, then the later expiry, then the greater value.
func Merge(a, b Entry) Entry {
	switch {
	case a.Stamp != b.Stamp:
		if a.Stamp > b.Stamp {
			return a
		}
		return b
	case a.Deleted != b.Deleted:
		if a.Deleted {
			return a
		}
		return b
	case a.Expires != b.Expires:
		if a.Expires == 0 || (b.Expires != 0 && a.Expires > b.Expires) {
			return a
		}
		return b
	case string(a.Value) >= string(b.Value):
		return a
	}
	return b
}
