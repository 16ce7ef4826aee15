package communicator

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"chordtorrent/chord"
)

// The kinds of key. The top bit makes a key soft.
const (
	kindTorrent  = 0x01
	kindFiles    = 0x02
	kindInfoHash = 0x03
	kindClient   = 0x04
	kindPeers    = 0x81
	kindSwarm    = 0x82
)

// Limits of the schema.
const (
	maxNameBytes = 255
	shards       = 256
	// chunkBytes leaves room for four chunks and their names in one Put.
	chunkBytes    = 255 << 10
	chunksPerPut  = 4
	maxMetainfo   = 64 << 20
	maxVersions   = 16
	maxBuckets    = 256
	tagBytes      = 8
	hashBytes     = 20
	fieldHeader   = "h"
	fieldSet      = "s"
	fieldRetired  = "r"
	fieldChunk    = "c"
	fieldClock    = "t" // never there: removing it tells the ring's time
	fieldAddr     = "a"
	chunkNameSize = 1 + hashBytes + tagBytes + 2
)

// CheckName tells whether a file can be published under a name: 1 to 255
// bytes of valid UTF-8 without '/', NUL or other control characters, and not
// "." or "..". The error wraps ErrName and says what is wrong.
func CheckName(name string) error {
	bad := func(why string) error {
		shown := name
		if len(shown) > 80 {
			shown = shown[:80]
		}
		return fmt.Errorf("%w: %q %s", ErrName, shown, why)
	}
	switch {
	case name == "":
		return bad("is empty")
	case len(name) > maxNameBytes:
		return bad(fmt.Sprintf("has %d bytes, at most %d are possible", len(name), maxNameBytes))
	case name == "." || name == "..":
		return bad("means a directory")
	case !utf8.ValidString(name):
		return bad("is not valid UTF-8")
	}
	for _, r := range name {
		if r == '/' {
			return bad("contains a slash")
		}
		if unicode.IsControl(r) {
			return bad("contains a control character")
		}
	}
	return nil
}

func keyOf(kind byte, name string) chord.Key {
	return chord.Key(append([]byte{kind}, name...))
}

func torrentKey(name string) chord.Key { return keyOf(kindTorrent, name) }

// TorrentName gives the name whose torrent a key holds; ok is false for keys of
// other kinds. A ring member finds by it what it may have to Reassert.
func TorrentName(k chord.Key) (name string, ok bool) {
	if len(k) < 2 || k[0] != kindTorrent {
		return "", false
	}
	return string(k[1:]), true
}

func shardOf(name string) int { return int(sha1.Sum([]byte(name))[0]) }

func filesKey(shard int) chord.Key {
	return keyOf(kindFiles, hex.EncodeToString([]byte{byte(shard)}))
}

func infoHashKey(ih [20]byte) chord.Key {
	return keyOf(kindInfoHash, hex.EncodeToString(ih[:]))
}

func clientKey(id uint64) chord.Key {
	return keyOf(kindClient, strconv.FormatUint(id, 10))
}

// peersKey is where the peers of a torrent are kept: under its name in the
// ring, or, for one that only an ordinary client brought, under its hash.
func peersKey(name string, ih [20]byte) chord.Key {
	if name == "" {
		return keyOf(kindSwarm, hex.EncodeToString(ih[:]))
	}
	return keyOf(kindPeers, name)
}

func headerField(ih [20]byte) string { return fieldHeader + string(ih[:]) }

// chunkSet names the chunks that one writer wrote of one metainfo. The tag is
// drawn anew for each attempt, so that two writers never mix their chunks.
type chunkSet struct {
	infoHash [20]byte
	tag      [tagBytes]byte
}

func (s chunkSet) suffix() string { return string(s.infoHash[:]) + string(s.tag[:]) }

func (s chunkSet) field() string { return fieldSet + s.suffix() }

func (s chunkSet) chunkPrefix() string { return fieldChunk + s.suffix() }

func (s chunkSet) chunk(i int) string {
	return string(binary.BigEndian.AppendUint16([]byte(s.chunkPrefix()), uint16(i)))
}

// retired is the field that says since when no header refers to the set.
func (s chunkSet) retired() string { return s.field() + fieldRetired }

// parseSetField reads the names of both fields about a set.
func parseSetField(field string) (s chunkSet, retired, ok bool) {
	name, retired := strings.CutSuffix(field, fieldRetired)
	if len(field) == len(s.field()) {
		name, retired = field, false // its tag ends so by chance
	}
	if len(name) != len(s.field()) || name[:1] != fieldSet {
		return s, false, false
	}
	copy(s.infoHash[:], name[1:])
	copy(s.tag[:], name[1+hashBytes:])
	return s, retired, true
}

func peerField(ih, peerID [20]byte) string { return string(ih[:]) + string(peerID[:]) }
