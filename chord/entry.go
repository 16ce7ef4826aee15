package chord

import (
	"bytes"
	"time"
)

// Time is nanoseconds since the Unix epoch on the clock of whoever drives a
// Member: the machine's in a chordnode, a virtual one in a simulation.
type Time int64

// Add is t + d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub is t - u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Millis is t in whole milliseconds since the Unix epoch.
func (t Time) Millis() int64 { return int64(t) / 1e6 }

// Limits on what a member accepts; anything above is ErrTooLarge.
const (
	MaxKeyBytes   = 1024      // a Key, its kind byte included
	MaxFieldBytes = 256       // a field's name
	MaxValueBytes = 256 << 10 // a field's value; larger things are cut into chunks by their owner
	MaxPutBytes   = 1 << 20   // all names and values of one Put
	MaxGetBytes   = 1 << 20   // all names and values of one GetReply; more is fetched page by page
)

// Class is how much a key is worth.
type Class uint8

const (
	// Hard keys are on disk at W members before a write is acknowledged.
	Hard Class = iota
	// Soft keys live in memory, expire, and are given again by whoever they
	// are about: 3 copies, 2 to write, 2 to read, best effort.
	Soft
)

// Key names a replicated map. Its first byte is the kind of key (package
// communicator owns the kinds); the top bit of that byte set makes it Soft.
type Key string

// Class tells hard keys from soft ones by the kind byte.
func (k Key) Class() Class {
	if len(k) > 0 && k[0]&0x80 != 0 {
		return Soft
	}
	return Hard
}

// Stamp orders the writes of one field: a hybrid logical clock, 48 bits of
// milliseconds of ring time and 16 bits of counter.
type Stamp uint64

// Millis is the stamp's time part, milliseconds since the Unix epoch.
func (s Stamp) Millis() int64 { return int64(s >> 16) }

// Entry is what one field of a map holds. A tombstone is an Entry too: it
// says since when the field is gone.
type Entry struct {
	Value   []byte
	Stamp   Stamp
	Expires int64 // milliseconds since the Unix epoch, ring time; 0 means never
	Deleted bool  // tombstone; Value is empty then
}

func (e Entry) equal(o Entry) bool {
	return e.Stamp == o.Stamp && e.Deleted == o.Deleted && e.Expires == o.Expires && bytes.Equal(e.Value, o.Value)
}

// Field is a named entry of a map.
type Field struct {
	Name string
	Entry
}
