package node

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"

	"chordtorrent/chord"
	"chordtorrent/node/store"
)

const (
	knownFile = "members.json"
	maxKnown  = 256
)

// knownMembers are those this node has seen in its ring, in this run or
// before. They lie in a file of their own beside the identity, so that a
// damaged database does not lose the way back to the ring that can fill it.
// A person may edit the file; one that does not parse counts as empty.
type knownMembers struct {
	dir  *store.Dir // nil: kept in memory only
	self chord.ID   // is not among them

	mu      sync.Mutex
	members []knownMember // the newest last
	changed bool          // since the last save
}

type knownMember struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
}

// newKnown begins with the given members, and has no file.
func newKnown(refs ...chord.Ref) *knownMembers {
	k := new(knownMembers)
	for _, r := range refs {
		k.add(r)
	}
	return k
}

// loadKnown reads the file of the node self.
func loadKnown(dir *store.Dir, self chord.ID, log *slog.Logger) *knownMembers {
	k := &knownMembers{dir: dir, self: self}
	js, err := dir.ReadFile(knownFile)
	if errors.Is(err, os.ErrNotExist) {
		return k
	}
	var members []knownMember
	if err == nil {
		err = json.Unmarshal(js, &members)
	}
	if err != nil {
		log.Warn("the list of known members cannot be read, it begins anew", "path", knownFile, "err", err)
		return k
	}
	for _, m := range members {
		if id, err := chord.ParseID(m.ID); err == nil && id != (chord.ID{}) && m.Addr != "" {
			k.add(chord.Ref{ID: id, Addr: m.Addr})
		}
	}
	k.changed = false
	return k
}

// add keeps a member's newest address; false when it is known.
func (k *knownMembers) add(ref chord.Ref) bool {
	if ref.ID == k.self {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := knownMember{ref.ID.String(), ref.Addr}
	if slices.Contains(k.members, m) {
		return false
	}
	k.members = slices.DeleteFunc(k.members, func(o knownMember) bool { return o.ID == m.ID })
	if len(k.members) >= maxKnown {
		k.members = slices.Delete(k.members, 0, 1)
	}
	k.members = append(k.members, m)
	k.changed = true
	return true
}

// with adds refs and gives all members.
func (k *knownMembers) with(refs []chord.Ref) []chord.Ref {
	for _, r := range refs {
		k.add(r)
	}
	return k.list()
}

func (k *knownMembers) list() []chord.Ref {
	k.mu.Lock()
	defer k.mu.Unlock()
	refs := make([]chord.Ref, len(k.members))
	for i, m := range k.members {
		id, _ := chord.ParseID(m.ID) // it was made from one
		refs[i] = chord.Ref{ID: id, Addr: m.Addr}
	}
	return refs
}

// save replaces the file, if there is something new.
func (k *knownMembers) save() error {
	k.mu.Lock()
	changed, members := k.changed, slices.Clone(k.members)
	k.changed = false
	k.mu.Unlock()
	if !changed || k.dir == nil {
		return nil
	}
	js, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		return err
	}
	if err := k.dir.WriteFile(knownFile, append(js, '\n')); err != nil {
		k.mu.Lock()
		k.changed = true
		k.mu.Unlock()
		return err
	}
	return nil
}
