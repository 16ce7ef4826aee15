// Package rpc answers one question: how do ring messages travel?
//
// # A connection
//
// A TCP connection begins with the four bytes "CHR1" from whoever dialed,
// then a [Hello] frame from each side: the dialer's first. A Hello of a
// version that is no neighbour of ours, or of another cluster, is answered with a [Refused] frame, which says why in
// words, and the end of the connection. A Hello with a zero Member is a
// client's: on its connection requests go up and replies come down, in any
// order. In a ring with a secret all of this is inside TLS 1.3, each side with
// a certificate that comes from the secret (package secret), and whoever comes
// without is told so in a Refused frame in the clear. Between two members one connection carries messages both ways.
//
// # A frame
//
//	length  u32  big-endian; the number of bytes that follow, 9..MaxFrame
//	type    u8   the number of the message in kinds.go; the top bit marks a reply
//	id      u64  big-endian; a reply carries the id of what it answers
//	left    u32  big-endian, only in frames that are not replies: milliseconds
//	             until the sender stops waiting, 0 when that is not said
//	body         the message in msgpack: structs as arrays of all their fields
//
// A body is checked against the shape of its Go type before it is decoded:
// no length beyond the bytes that are there, no maps, floats or extensions,
// no field missing or too many, but for what a neighbour version has added. So what a frame makes us allocate is bounded
// by the bytes that its sender really sent.
//
// # Who uses it
//
// [Split] takes a listener apart by the first byte of each connection, so
// that gossip and rpc share one port. [Transport] is a member's end: package
// node hands it envelopes by Send on any goroutine, and gets envelopes and
// clients' requests by callbacks on the goroutines of the connections.
// [Client] is the other end of a client's connection; package communicator
// and `chordnode status` call it.
//
// A peer's error costs its connection and is counted; nothing here decides
// anything about the ring, retries a request or trusts a member's word about
// another.
package rpc
