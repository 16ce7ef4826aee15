package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/chord"
	"chordtorrent/node/store"
)

const (
	identityFile    = "identity.json"
	identityVersion = 1
)

// identity is who a data directory is. It lies in a file of its own, so that
// it outlives a damaged database.
type identity struct {
	Format  int    `json:"format"`
	ID      string `json:"id"` // 40 hex digits, drawn once: see place.go
	Cluster string `json:"cluster"`
	// Epoch is the last start, in milliseconds since the Unix epoch, and
	// greater than any before: of two members with one ID the newer counts.
	Epoch uint64 `json:"epoch"`
	Port  uint16 `json:"port,omitempty"` // ring port of last time

	id       chord.ID
	returned bool // it was in the directory already
}

// loadIdentity reads who the directory is, or makes it somebody. It does not
// write: see save.
func loadIdentity(dir *store.Dir, cluster string, now time.Time) (*identity, error) {
	path := filepath.Join(dir.Path, identityFile)
	js, err := dir.ReadFile(identityFile)
	if errors.Is(err, os.ErrNotExist) {
		ident := &identity{Format: identityVersion, Cluster: cluster, Epoch: uint64(now.UnixMilli())}
		ident.settle(anyPlace())
		return ident, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the node's identity: %w", err)
	}
	ident := new(identity)
	if err := json.Unmarshal(js, ident); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): restore it, or remove %s to begin as a new member that the ring fills", path, err, dir.Path)
	}
	if ident.Format != identityVersion {
		return nil, fmt.Errorf("%s has format %d, this program knows format %d: run the program that wrote it, or choose another --data-dir or --data-pool", path, ident.Format, identityVersion)
	}
	if ident.Cluster != cluster {
		return nil, fmt.Errorf("data directory %s belongs to cluster %q, not to %q: start with --cluster %s, or choose another --data-dir or --data-pool", dir.Path, ident.Cluster, cluster, ident.Cluster)
	}
	if ident.id, err = chord.ParseID(ident.ID); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): restore it, or remove %s to begin as a new member that the ring fills", path, err, dir.Path)
	}
	ident.returned = true
	ident.Epoch = max(ident.Epoch+1, uint64(now.UnixMilli()))
	return ident, nil
}

// settle gives a new identity its place on the ring.
func (i *identity) settle(id chord.ID) { i.id, i.ID = id, id.String() }

func (i *identity) save(dir *store.Dir) error {
	js, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	return dir.WriteFile(identityFile, append(js, '\n'))
}
