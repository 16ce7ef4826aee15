package transfer

import "sync/atomic"

// reason is why a connection ended. A peer's fault costs its connection, is
// counted under its reason, and costs nobody else anything.
type reason uint8

const (
	closedByPeer reason = iota
	ioFailed
	connectFailed
	connectTimeOut
	handshakeTimeOut
	notBitTorrent
	unknownTorrent
	selfConnection
	duplicate
	bannedPeer
	malformed
	tooLong
	badBitfield
	outOfOrder
	noSuchPiece
	badRequest
	requestFlood
	idleFlood
	unrequested
	slowReader
	silent
	wrongPiece
	noMetadata
	wrongMetadata
	bothSeeds
	tooManyPeers
	notTheBest
	stopped
	lastReason
)

var reasonWords = [lastReason]string{
	closedByPeer:     "closed by peer",
	ioFailed:         "connection failed",
	connectFailed:    "connect failed",
	connectTimeOut:   "connect timed out",
	handshakeTimeOut: "handshake timed out",
	notBitTorrent:    "not bittorrent",
	unknownTorrent:   "unknown torrent",
	selfConnection:   "connected to itself",
	duplicate:        "duplicate connection",
	bannedPeer:       "banned peer",
	malformed:        "malformed message",
	tooLong:          "message too long",
	badBitfield:      "wrong bitfield",
	outOfOrder:       "message out of order",
	noSuchPiece:      "no such piece",
	badRequest:       "request not allowed",
	requestFlood:     "too many requests",
	idleFlood:        "too many messages without effect",
	unrequested:      "unrequested data",
	slowReader:       "reads too slowly",
	silent:           "silent",
	wrongPiece:       "sent wrong data",
	noMetadata:       "sends no metadata",
	wrongMetadata:    "sent wrong metadata",
	bothSeeds:        "both are seeds",
	tooManyPeers:     "too many peers",
	notTheBest:       "others give more",
	stopped:          "torrent stopped",
}

// String is the reason in words, the same in logs and counters.
func (r reason) String() string { return reasonWords[r] }

// drops counts connections that ended, by reason, over all loops.
type drops [lastReason]atomic.Uint64

func (d *drops) count(r reason) { d[r].Add(1) }

func (d *drops) byName() map[string]uint64 {
	all := make(map[string]uint64)
	for r := range d {
		if n := d[r].Load(); n > 0 {
			all[reason(r).String()] = n
		}
	}
	return all
}
