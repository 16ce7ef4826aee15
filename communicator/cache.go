package communicator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	maxCached     = 32       // members kept in the cache file
	maxCacheBytes = 64 << 10 // of it; a larger file is not ours
)

// memberCache is the file of members known from the last run. It holds a JSON
// object, so that a person can read and edit it; whatever does not parse or
// belongs to another cluster counts as empty. The zero value has no file.
type memberCache struct {
	path, cluster string
	last          *[]string // written last, to write only changes
}

type cacheContent struct {
	Cluster string    `json:"cluster"`
	Members []string  `json:"members"`
	Saved   time.Time `json:"saved"`
}

func newMemberCache(path, cluster string) memberCache {
	return memberCache{path: path, cluster: cluster, last: new([]string)}
}

func (m memberCache) load() []string {
	if m.path == "" {
		return nil
	}
	f, err := os.Open(m.path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var content cacheContent
	if err := json.NewDecoder(io.LimitReader(f, maxCacheBytes)).Decode(&content); err != nil || content.Cluster != m.cluster {
		return nil
	}
	return content.Members[:min(len(content.Members), maxCached)]
}

// save replaces the file, whole or not at all, if the members have changed. It
// does not wait until that is on the disk (no fsync): what a power failure
// takes is found by multicast or the user's list, as it was the first time. It
// is called by one goroutine at a time.
func (m memberCache) save(members []string) error {
	if m.path == "" {
		return nil
	}
	members = members[:min(len(members), maxCached)]
	sorted := slices.Sorted(slices.Values(members))
	if slices.Equal(sorted, *m.last) {
		return nil
	}
	b, err := json.MarshalIndent(cacheContent{m.cluster, sorted, time.Now().UTC()}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(m.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the known ring members: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(m.path)+".*")
	if err != nil {
		return fmt.Errorf("saving the known ring members: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), m.path)
	}
	if err != nil {
		if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return fmt.Errorf("saving the known ring members in %s: %w", m.path, err)
	}
	*m.last = sorted
	return nil
}
