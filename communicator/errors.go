package communicator

import (
	"errors"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// Errors that the operations wrap; compare with errors.Is.
var (
	// ErrNoRing: no ring member was found, or none is in reach any more.
	ErrNoRing = errors.New("no ring member in reach: start one with `chordnode` (or use --embedded), or name one with --ring host:port")
	// ErrRefused, with ErrNoRing: one is in reach that wants another secret, or none, or
	// goes by another name. The text says what to do about it.
	ErrRefused = rpc.ErrRefused
	// ErrNotFound: the ring says for certain that it holds no such thing.
	ErrNotFound = chord.ErrNotFound
	// ErrNotReady: the ring is moving the data between members, or too many of
	// those that hold it are away; nothing is lost, try again.
	ErrNotReady = chord.ErrNotReady
	// ErrUnavailable: the responsible members did not answer in time.
	ErrUnavailable = chord.ErrUnavailable
	// ErrTooLarge: what was to be written exceeds a limit.
	ErrTooLarge = chord.ErrTooLarge
	// ErrName: a name that cannot be published; the text says why.
	ErrName = errors.New("not a possible name")
	// ErrMismatch: a metainfo is not what its info hash promises.
	ErrMismatch = errors.New("metainfo and info hash do not match")
	// ErrIncomplete: a torrent's header is in the ring but not all its chunks.
	ErrIncomplete = errors.New("the ring holds only a part of the metainfo: publish it again")
	// ErrMalformed: a value in the ring does not decode: damaged, or written
	// by a newer program.
	ErrMalformed = errors.New("value in a form this program does not know")
	// ErrBadArgument: the caller asked for something that makes no sense.
	ErrBadArgument = errors.New("impossible request")
	// ErrClosed: the Communicator was closed.
	ErrClosed = errors.New("communicator is closed")
)

// Degraded tells how many members hold a write that too few acknowledged: it
// is kept and will be repaired, but does not count yet. Found with errors.As
// on a *Degraded.
type Degraded = chord.ErrDegraded

// refused is an ErrRefused whose text says all of it.
type refused struct{ error }

func (refused) Is(target error) bool { return target == ErrRefused }
func (r refused) Unwrap() error      { return r.error }
