package store

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"

	"chordtorrent/chord"
)

// A field row's value: CRC-32C of row key and rest (4), flags (1), stamp (8),
// expires (8), value. Numbers are big-endian.
const rowHeader = 4 + 1 + 8 + 8

const flagDeleted = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rowKey is where a field lies in the fields bucket.
func rowKey(hash chord.ID, name string) []byte {
	b := make([]byte, 0, chord.IDBytes+len(name))
	return append(append(b, hash[:]...), name...)
}

func checksum(rowKey, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(rowKey, castagnoli), castagnoli, rest)
}

// appendRow writes the value of a field row.
func appendRow(dst, rowKey []byte, e chord.Entry) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	var flags byte
	if e.Deleted {
		flags |= flagDeleted
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Stamp))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Expires))
	dst = append(dst, e.Value...)
	binary.BigEndian.PutUint32(dst[start:], checksum(rowKey, dst[start+4:]))
	return dst
}

// parseRow reads the value of a field row; ok is false when its CRC does not
// match. The entry's value points into row.
func parseRow(rowKey, row []byte) (e chord.Entry, ok bool) {
	if len(row) < rowHeader || binary.BigEndian.Uint32(row) != checksum(rowKey, row[4:]) {
		return e, false
	}
	e.Deleted = row[4]&flagDeleted != 0
	e.Stamp = chord.Stamp(binary.BigEndian.Uint64(row[5:]))
	e.Expires = int64(binary.BigEndian.Uint64(row[13:]))
	if len(row) > rowHeader {
		e.Value = row[rowHeader:]
	}
	return e, true
}

// valueBytes is what a field row weighs in Count, as far as it can be told of
// a damaged one.
func valueBytes(row []byte) int64 { return int64(max(0, len(row)-rowHeader)) }

// A meta row's value: CRC-32C of row key and rest (4), rest.

func encodeMeta(row, content []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, checksum(row, content))
	return append(out, content...)
}

func decodeMeta(row, value []byte) (content []byte, ok bool) {
	if len(value) < 4 || binary.BigEndian.Uint32(value) != checksum(row, value[4:]) {
		return nil, false
	}
	return value[4:], true
}

// The state is JSON, so that a later version may add to it.

func encodeState(st chord.State) ([]byte, error) {
	js, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return encodeMeta(stateRow, js), nil
}

func decodeState(value []byte) (st chord.State, ok bool) {
	js, ok := decodeMeta(stateRow, value)
	if !ok || json.Unmarshal(js, &st) != nil {
		return chord.State{}, false
	}
	return st, true
}
