package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"chordtorrent/chord"
)

// A snapshot is the magic, then records: length (4), CRC-32C of the payload
// (4), payload: flags (1), stamp (8), expires (8), key length (2), field
// length (2), key, field, value. Numbers are big-endian.
const (
	snapshotMagic  = "CHSOFT1\n"
	recordHeader   = 1 + 8 + 8 + 2 + 2
	maxRecordBytes = recordHeader + chord.MaxKeyBytes + chord.MaxFieldBytes + chord.MaxValueBytes
)

// save writes all soft keys to path, unless nothing has changed since the
// last time. Merges go on meanwhile: the snapshot holds each map as it was
// when its turn came.
func (s *softMaps) save(path string) error {
	s.mu.RLock()
	changes := s.changes
	s.mu.RUnlock()
	if changes == s.saved {
		return nil
	}
	if err := s.write(path); err != nil {
		return err
	}
	s.saved = changes
	return nil
}

func (s *softMaps) write(path string) error {
	return replaceFile(path, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		if _, err := out.WriteString(snapshotMagic); err != nil {
			return err
		}
		var buf []byte
		var err error
		for n := range softShards {
			for _, key := range s.shardKeys(n) {
				s.fields(key, "", "", func(f chord.Field) bool {
					buf = appendRecord(buf[:0], key, f)
					_, err = out.Write(buf)
					return err == nil
				})
				if err != nil {
					return err
				}
			}
		}
		return out.Flush()
	})
}

func (s *softMaps) shardKeys(n int) []chord.Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	keys := make([]chord.Key, len(s.shards[n]))
	for i, k := range s.shards[n] {
		keys[i] = k.key
	}
	return keys
}

// load merges the snapshot at path, without the entries that have expired by
// nowMillis. It returns how many it took and, for a damaged file, where it
// stopped; no file at all is no error.
func (s *softMaps) load(path string, nowMillis int64) (n int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return 0, fmt.Errorf("%w: not a snapshot of this version", ErrDamaged)
	}
	for {
		key, field, err := readRecord(in)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if field.Expires != 0 && field.Expires <= nowMillis {
			continue
		}
		s.mu.Lock()
		s.mergeLocked(key, field)
		s.mu.Unlock()
		n++
	}
}

func appendRecord(dst []byte, key chord.Key, f chord.Field) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, 8)...)
	var flags byte
	if f.Deleted {
		flags |= flagDeleted
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.Stamp))
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.Expires))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(key)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Name)))
	dst = append(dst, key...)
	dst = append(dst, f.Name...)
	dst = append(dst, f.Value...)
	payload := dst[start+8:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.BigEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

// readRecord reads one record; io.EOF only at a record's border.
func readRecord(in io.Reader) (key chord.Key, f chord.Field, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return "", f, io.EOF
		}
		return "", f, fmt.Errorf("%w: cut short in a record's head", ErrDamaged)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < recordHeader || size > maxRecordBytes {
		return "", f, fmt.Errorf("%w: record of %d bytes", ErrDamaged, size)
	}
	p := make([]byte, size)
	if _, err := io.ReadFull(in, p); err != nil {
		return "", f, fmt.Errorf("%w: cut short in a record", ErrDamaged)
	}
	if crc32.Checksum(p, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return "", f, fmt.Errorf("%w: a record does not match its checksum", ErrDamaged)
	}
	keyLen, nameLen := int(binary.BigEndian.Uint16(p[17:])), int(binary.BigEndian.Uint16(p[19:]))
	if recordHeader+keyLen+nameLen > len(p) {
		return "", f, fmt.Errorf("%w: a record's lengths do not fit it", ErrDamaged)
	}
	rest := p[recordHeader:]
	key, f.Name = chord.Key(rest[:keyLen]), string(rest[keyLen:keyLen+nameLen])
	if v := rest[keyLen+nameLen:]; len(v) > 0 {
		f.Value = v
	}
	f.Deleted = p[0]&flagDeleted != 0
	f.Stamp = chord.Stamp(binary.BigEndian.Uint64(p[1:]))
	f.Expires = int64(binary.BigEndian.Uint64(p[9:]))
	return key, f, nil
}
