package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"chordtorrent/transfer/wire"
)

// Journal is the list of verified pieces of a download, in a file beside it. It
// is written as pieces come in and believed in the next session only when
// nothing can have happened since: the last one ended in order, the files have
// the sizes and times they had then, and they were synced, or the machine has
// not been started again. Safe for concurrent use.
//
// The file is a header and then records, each with a CRC-32C that begins with
// that of the record before, so that a torn or foreign tail is noticed:
//
//	header  "CTJ1", info hash (20), number of pieces (u32)
//	'B'     bitfield of the verified pieces, as on the wire
//	'P'     u32 piece: one more is verified
//	'C'     closed in order: u8 synced, boot (32), fingerprint of the files (32)
//
// Numbers are big-endian. Only a 'C' as the very last record counts.
type Journal struct {
	path     string
	infoHash [20]byte
	had      *closing // the 'C' that the file ended with when it was opened

	mu   sync.Mutex
	have *wire.Bits
	f    *os.File
	crc  uint32
}

// closing is the content of a 'C' record.
type closing struct {
	synced byte
	boot   [32]byte
	files  [32]byte
}

const (
	journalMagic = "CTJ1"
	headerLen    = len(journalMagic) + 20 + 4
	closingLen   = 1 + 32 + 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenJournal opens the journal at path, or begins one. One that is damaged, or
// of another torrent, is begun anew: it is only worth a re-hash.
func OpenJournal(path string, infoHash [20]byte, numPieces int) (*Journal, error) {
	j := &Journal{path: path, infoHash: infoHash, have: wire.NewBits(numPieces)}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, reason(err))
	}
	good := j.read(b)
	if good == 0 {
		if err := j.rewrite(nil); err != nil {
			return nil, err
		}
		return j, nil
	}
	j.f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil && good < len(b) {
		err = j.f.Truncate(int64(good))
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, reason(err))
	}
	return j, nil
}

// read takes over what is in b and returns how much of it is good.
func (j *Journal) read(b []byte) (good int) {
	header := j.header()
	if !bytes.HasPrefix(b, header) {
		return 0
	}
	good = len(header)
	j.crc = crc32.Checksum(header, castagnoli)
	for good < len(b) {
		n := 0
		switch b[good] {
		case 'B':
			n = (j.have.Len() + 7) / 8
		case 'P':
			n = 4
		case 'C':
			n = closingLen
		default:
			return good
		}
		if len(b)-good < 1+n+4 {
			return good
		}
		record := b[good : good+1+n]
		crc := crc32.Update(j.crc, castagnoli, record)
		if binary.BigEndian.Uint32(b[good+1+n:]) != crc || !j.apply(record) {
			return good
		}
		j.crc = crc
		good += 1 + n + 4
	}
	return good
}

// apply takes over one record; false when it makes no sense.
func (j *Journal) apply(record []byte) bool {
	j.had = nil
	switch body := record[1:]; record[0] {
	case 'B':
		have, err := wire.FromBytes(body, j.have.Len())
		if err != nil {
			return false
		}
		j.have = have
	case 'P':
		piece := binary.BigEndian.Uint32(body)
		if uint64(piece) >= uint64(j.have.Len()) {
			return false
		}
		j.have.Set(int(piece))
	case 'C':
		j.had = &closing{synced: body[0], boot: [32]byte(body[1:]), files: [32]byte(body[33:])}
	}
	return true
}

func (j *Journal) header() []byte {
	b := append([]byte(journalMagic), j.infoHash[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(j.have.Len()))
}

// Bits is a copy of the pieces in the journal. See Trusted for what it is worth.
func (j *Journal) Bits() *wire.Bits {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.have.Clone()
}

// Trusted reports whether what the journal had when it was opened is true of
// the files as they are now. If not, call Verify, and Reset with its result.
func (j *Journal) Trusted(c *Content) bool {
	if j.had == nil || j.had.synced == 0 && (j.had.boot != boot() || j.had.boot == [32]byte{}) {
		return false
	}
	files, err := c.Fingerprint()
	return err == nil && files == j.had.files
}

// Add notes that a piece is verified and written. It does not wait for the disk.
func (j *Journal) Add(piece int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.have.Get(piece) {
		return nil
	}
	if j.f == nil {
		return fmt.Errorf("write %s: %w", j.path, os.ErrClosed)
	}
	record := binary.BigEndian.AppendUint32([]byte{'P'}, uint32(piece))
	b, crc := seal(nil, record, j.crc)
	if _, err := j.f.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", j.path, reason(err))
	}
	j.crc = crc
	j.have.Set(piece)
	return nil
}

// seal appends a record and its checksum to dst.
func seal(dst, record []byte, crc uint32) ([]byte, uint32) {
	crc = crc32.Update(crc, castagnoli, record)
	return binary.BigEndian.AppendUint32(append(dst, record...), crc), crc
}

// Reset replaces what the journal says by have, for instance after Verify.
func (j *Journal) Reset(have *wire.Bits) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if have.Len() != j.have.Len() {
		return fmt.Errorf("%s: %d pieces instead of %d", j.path, have.Len(), j.have.Len())
	}
	j.have = have.Clone()
	return j.rewrite(nil)
}

// rewrite puts a new file in place of the old one: header, bitfield, and end if
// there is one. The old one is whole until then.
func (j *Journal) rewrite(end *closing) error {
	header := j.header()
	crc := crc32.Checksum(header, castagnoli)
	b, crc := seal(header, j.have.AppendBytes([]byte{'B'}), crc)
	if end != nil {
		record := append([]byte{'C', end.synced}, end.boot[:]...)
		b, crc = seal(b, append(record, end.files[:]...), crc)
	}
	fail := func(err error) error { return fmt.Errorf("write %s: %w", j.path, reason(err)) }
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return fail(err)
	}
	// O_EXCL after a removal: what a symbolic link of that name leads to stays as it is.
	next := j.path + ".new"
	os.Remove(next)
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return fail(err)
	}
	if _, err = f.Write(b); err == nil && end != nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(next, j.path)
	}
	if err != nil {
		f.Close()
		os.Remove(next)
		return fail(err)
	}
	if j.f != nil {
		j.f.Close()
	}
	j.f, j.crc = f, crc
	return nil
}

// CloseClean ends the journal so that it is trusted next time, as long as the
// files of c stay as they are. Nothing may be written to them any more. When c
// was synced, that outlasts a restart of the machine.
func (j *Journal) CloseClean(c *Content) error {
	files, err := c.Fingerprint()
	if err != nil {
		j.Close()
		return err
	}
	end := &closing{boot: boot(), files: files}
	if c.synced() {
		end.synced = 1
	}
	j.mu.Lock()
	err = j.rewrite(end)
	j.mu.Unlock()
	return errors.Join(err, j.Close())
}

// Close closes the file without a word: it will not be trusted, unless nothing
// was added since it was opened.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	return err
}

// boot is bootID in a fixed size; zero when it is not known.
func boot() (b [32]byte) {
	if id := bootID(); id != "" {
		b = sha256.Sum256([]byte(id))
	}
	return b
}

// Fingerprint is a hash of the sizes and modification times of all files, as
// their paths show them now: equal ones mean that nothing was changed, added or
// removed. A file that is missing counts as that. Of a device it says that nobody has
// written to it, which is true after Sync only.
func (c *Content) Fingerprint() ([32]byte, error) {
	if c.device != nil {
		return c.deviceFingerprint()
	}
	h := sha256.New()
	var b [16]byte
	for i, f := range c.l.Files {
		if f.Pad {
			continue
		}
		s, err := c.stat(i)
		if errors.Is(err, fs.ErrNotExist) {
			s, err = stamp{-1, 0}, nil
		}
		if err != nil {
			return [32]byte{}, err
		}
		binary.BigEndian.PutUint64(b[:], uint64(s.size))
		binary.BigEndian.PutUint64(b[8:], uint64(s.mtime))
		h.Write(b[:])
	}
	return [32]byte(h.Sum(nil)), nil
}
