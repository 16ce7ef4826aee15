package client

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kind tells publications from downloads.
type Kind string

// The kinds of record.
const (
	Published  Kind = "publication"
	Downloaded Kind = "download"
)

// State is where a publication or download is in its life.
type State string

// The states. Running is also what a killed process leaves behind, and what a
// publication stays that is served no longer: whether somebody still works on it is
// what the lock says.
const (
	Running     State = "running"
	Interrupted State = "interrupted" // ended before it was complete, to be continued
	Done        State = "done"
	Failed      State = "failed"
	Unpublished State = "unpublished"
)

// Record is what Storage remembers about one publication or download.
type Record struct {
	ID    string `json:"id"` // see RecordID
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	State State  `json:"state"`
	Path  string `json:"path"`           // absolute: the published file or directory, or the download's target
	Part  string `json:"part,omitempty"` // absolute: the partial data while it is not complete
	// PartInode tells the partial data from what somebody else put there after
	// it was removed; 0 until it is there. Device numbers change with a restart.
	PartInode uint64 `json:"part_inode,omitempty"`
	InfoHash  string `json:"info_hash"` // 40 hex digits
	// Foreign means that the ring does not know it: Name is what a .torrent or a magnet
	// link says, and what it is is told by InfoHash alone.
	Foreign bool  `json:"foreign,omitempty"`
	Bytes   int64 `json:"bytes"`
	Pieces  int   `json:"pieces"`
	Copy    bool  `json:"copy,omitempty"` // Path is a copy that Storage made
	// Incoming are the fingerprints, with spaces between them, of copies that were about to come to their place in Storage:
	// a process that is killed in between may have left one there, or not.
	Incoming string `json:"incoming,omitempty"`
	// Earlier is the info hash of the version that is at Path while a later one is fetched;
	// empty: none is. Storage keeps its .torrent until then, and Fingerprint is of it.
	Earlier string `json:"earlier,omitempty"`
	// Fingerprint of the data under Path when it was hashed or completed; see
	// fingerprintOf. Empty means that it must not be trusted unread.
	Fingerprint string    `json:"fingerprint,omitempty"`
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished,omitzero"`
	Error       string    `json:"error,omitempty"` // why State is Failed
}

// RecordID is the same for the same undertaking, so that running a command
// again continues it: a publication is known by its name, a download by name
// and target.
func RecordID(kind Kind, name, target string) string {
	key := string(kind) + "\x00" + name
	if kind == Downloaded {
		key += "\x00" + target
	}
	sum := sha1.Sum([]byte(key))
	return hex.EncodeToString(sum[:8])
}

func (r Record) subject() string { return Subject(r.Name, r.InfoHash, r.Foreign) }

// Subject is what one process at a time may work on: a name, or, of what the ring does not
// know, an info hash.
func Subject(name, infoHash string, foreign bool) string {
	if foreign {
		return "info hash " + infoHash
	}
	return name
}

// otherThan says whether r is about another torrent that only bears the same name as this
// one, and no version of it.
func (r Record) otherThan(infoHash string, foreign bool) bool {
	return r.InfoHash != infoHash && (r.Foreign || foreign)
}

func (s *Storage) recordPath(id string) string {
	return filepath.Join(s.dir, "records", id+".json")
}

// Record finds the record of an undertaking; ok is false when there is none.
// A damaged record counts as none: it is set aside, as what it knew can be
// found out again by hashing.
func (s *Storage) Record(kind Kind, name, target string) (r Record, ok bool, err error) {
	path := s.recordPath(RecordID(kind, name, target))
	r, err = readRecord(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Record{}, false, nil
	case errors.Is(err, errDamagedRecord):
		return Record{}, false, os.Rename(path, path+".damaged")
	case err != nil:
		return Record{}, false, fmt.Errorf("reading what Storage remembers about %q: %w", name, err)
	}
	return r, r.Kind == kind && r.Name == name, nil
}

var errDamagedRecord = errors.New("damaged record")

func readRecord(path string) (Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil || r.ID == "" {
		return Record{}, errDamagedRecord
	}
	return r, nil
}

// saveRecord writes a record so that a crash leaves the old one or the new.
func (s *Storage) saveRecord(r Record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomically(s.recordPath(r.ID), append(b, '\n'))
}

// closeRecord notes how something ended before it ran, if its record says that
// it was begun at that time and still runs.
func (s *Storage) closeRecord(kind Kind, name, target string, began time.Time, err error) {
	r, known, readErr := s.Record(kind, name, target)
	if readErr != nil || !known || r.State != Running || !r.Started.Equal(began) {
		return
	}
	r.State, r.Error, r.Finished = Failed, err.Error(), time.Now()
	if errors.Is(err, ErrInterrupted) {
		r.State, r.Error = Interrupted, ""
	}
	_ = s.saveRecord(r) // the error that matters is on its way already
}

// Records lists what Storage remembers, oldest first. It takes no lock;
// damaged records are left out.
func (s *Storage) Records() ([]Record, error) {
	return s.RecordsBut(func(string) bool { return false })
}

// RecordsBut is Records without those whose id is known, which are not read: there may
// be very many.
func (s *Storage) RecordsBut(known func(id string) bool) ([]Record, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "records"))
	if err != nil {
		return nil, fmt.Errorf("listing Storage: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, isRecord := strings.CutSuffix(e.Name(), ".json"); isRecord && !known(id) {
			ids = append(ids, id)
		}
	}
	return s.recordsOf(ids)
}

// recordsOf is Records of these ids alone.
func (s *Storage) recordsOf(ids []string) ([]Record, error) {
	var all []Record
	for _, id := range ids {
		r, err := readRecord(s.recordPath(id))
		if errors.Is(err, errDamagedRecord) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing Storage: %w", err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Record) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

// Forget removes what Storage remembers under an id. Data stays.
func (s *Storage) Forget(id string) error {
	if err := os.Remove(s.recordPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting a record: %w", err)
	}
	return nil
}
