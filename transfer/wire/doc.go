// Package wire answers one question: what do the bytes between two peers mean?
//
// It is the codec of the peer wire protocol, BEP 3, and it knows the ids of
// BEP 6 (fast extension) and BEP 10 (extension protocol). It has no socket, no
// buffer and no state of its own: the event loop of package transfer calls
// [ParseHandshake], [ParseHeader] and [Parse] on what it has read so far, and
// the Append functions on what it is about to write, all on its own goroutine.
// "Not all here yet" is a result (n == 0), not an error. What a message means
// for the connection, and whether it is allowed now, is left to the caller.
//
// # Handshake, 68 bytes, once in each direction
//
//	 0  19 bytes of name follow   0x13
//	 1  name                      "BitTorrent protocol"
//	20  8 reserved bytes          [Fast], [Extended], [DHT] are bits in them
//	28  20 bytes info hash
//	48  20 bytes peer id
//
// # Messages, any number after it
//
//	0  u32  length of the rest; 0 is keep-alive and ends here
//	4  u8   id
//	5  …    payload
//
// All numbers are big-endian. The payloads:
//
//	 0 choke, 1 unchoke, 2 interested, 3 not interested   nothing
//	 4 have             u32 piece
//	 5 bitfield         one bit per piece, the first is the high bit of the first
//	                    byte; the spare bits of the last byte are zero
//	 6 request          u32 piece, u32 begin, u32 length
//	 7 piece            u32 piece, u32 begin, the block
//	 8 cancel           u32 piece, u32 begin, u32 length
//	 9 port             u16 UDP port of the DHT (kept raw)
//	13 suggest piece    u32 piece
//	14 have all, 15 have none   nothing
//	16 reject request   u32 piece, u32 begin, u32 length
//	17 allowed fast     u32 piece
//	20 extended         u8 extended id, then a bencoded dictionary (kept raw)
//
// A message with any other id is handed out with its payload, so that the
// caller may skip it. Every payload has an upper bound in [Limits], and a
// message that is too long is refused as soon as its length prefix is here.
//
// Whatever parses is the only encoding of what it parsed to: appending the
// result gives the same bytes again.
package wire
