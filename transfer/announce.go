package transfer

import (
	"context"
	"net/netip"
	"time"
)

// Announcer tells others of this peer and learns of them. The engine calls it
// from goroutines of its own, for one torrent never twice at the same time; Stop
// makes the last call from its caller's goroutine.
type Announcer interface {
	// Announce says how far this peer is and returns who else there is and when
	// to announce next. It should return soon after ctx has ended.
	Announce(ctx context.Context, p Progress) (Answer, error)
}

// Event is what an announce is about.
type Event uint8

const (
	None      Event = iota // the interval has passed, or peers have run out
	Started                // the first one; repeated until it succeeds
	Completed              // all pieces are there now; not said when they were at the start
	Stopped                // this peer leaves
)

// Progress is what an announce tells. Byte counts are of piece data.
type Progress struct {
	Event                      Event
	Uploaded, Downloaded, Left int64
	RateDown                   float64 // bytes per second that come in now
	// Refused are peers that did not take a call since the last announce.
	Refused []netip.AddrPort
	// Have is the share of each of up to 256 runs of pieces, see wire.Bits.Shares.
	Have   []byte
	PeerID [20]byte
	Port   uint16
}

// Answer is what an announce returns. Interval zero means 30 s.
type Answer struct {
	Peers    []netip.AddrPort
	Interval time.Duration
}

const (
	usualInterval = 30 * time.Second
	leastInterval = time.Second
	// When peers run out the swarm is asked again after 2 s, then 4 s …
	firstWish = 2 * time.Second
	lastWish  = time.Minute
	// A failed announce is repeated after 1 s, 2 s …
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)
