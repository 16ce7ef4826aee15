package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"chordtorrent/communicator"
)

// Held is a version of a name that Storage has all of, as a file or directory, with its
// .torrent. Whether nobody has changed it since is not looked at.
type Held struct {
	Name     string
	Path     string
	InfoHash [20]byte
	Bytes    int64
	Metainfo []byte
}

// has tells which version is at the path of a record: of a download under way an earlier
// one, if any.
func (r Record) has() (infoHash string, ok bool) {
	if r.Kind == Published || r.State == Done {
		return r.InfoHash, true
	}
	return r.Earlier, r.Earlier != ""
}

// Held is what this Storage has of a name, the latest version of it.
// communicator.ErrNotFound when it has none.
func (s *Storage) Held(name string) (Held, error) {
	all, err := s.Records()
	if err != nil {
		return Held{}, err
	}
	return s.latestHeld(name, all)
}

// HeldBy is Held where the ids of the records that may be about the name are known: the
// others, of which there may be very many, are not read.
func (s *Storage) HeldBy(name string, ids []string) (Held, error) {
	some, err := s.recordsOf(ids)
	if err != nil {
		return Held{}, err
	}
	return s.latestHeld(name, some)
}

func (s *Storage) latestHeld(name string, records []Record) (Held, error) {
	for _, r := range slices.Backward(records) {
		if r.Name != name {
			continue
		}
		if h, ok := s.heldBy(r); ok {
			return h, nil
		}
	}
	return Held{}, hint(fmt.Errorf("this Storage has no file %q: %w", name, communicator.ErrNotFound), "btclient ls --from storage shows what it has")
}

// AllHeld is what this Storage has, by name.
func (s *Storage) AllHeld() ([]Held, error) {
	all, err := s.Records()
	if err != nil {
		return nil, err
	}
	var held []Held
	seen := make(map[string]bool)
	for _, r := range slices.Backward(all) {
		if seen[r.Name] {
			continue
		}
		if h, ok := s.heldBy(r); ok {
			seen[r.Name] = true
			h.Metainfo = nil // there may be many
			held = append(held, h)
		}
	}
	slices.SortFunc(held, func(a, b Held) int { return strings.Compare(a.Name, b.Name) })
	return held, nil
}

// heldBy is what is at the path of a record. A device is not taken for something that is
// held: whoever filled it has put it to use.
func (s *Storage) heldBy(r Record) (Held, bool) {
	hash, ok := r.has()
	if !ok {
		return Held{}, false
	}
	if info, err := os.Stat(r.Path); err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return Held{}, false
	}
	r.InfoHash = hash
	tor, metainfo, err := s.torrentOf(r)
	if err != nil {
		return Held{}, false
	}
	return Held{Name: r.Name, Path: r.Path, InfoHash: tor.infoHash, Bytes: tor.layout.Total, Metainfo: metainfo}, true
}

// Torrent is the .torrent that Storage keeps for a name of the ring, whatever there is of its
// data; communicator.ErrNotFound when there is none.
func (s *Storage) Torrent(name string) (metainfo []byte, infoHash [20]byte, err error) {
	if err := CheckName(name); err != nil { // it becomes a path
		return nil, infoHash, err
	}
	metainfo, err = s.LoadTorrent(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("Storage has no .torrent of %q: %w", name, communicator.ErrNotFound)
	}
	if err != nil {
		return nil, infoHash, err
	}
	tor, err := parseTorrent(metainfo)
	return metainfo, tor.infoHash, err
}
