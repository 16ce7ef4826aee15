// Package discovery answers one question: who might be out there?
//
// Ring members announce themselves on a multicast group, and members and
// clients that begin ask there; lists of addresses ([ParseJoin]) do where
// multicast does not pass. All it gives are hints: whoever uses one finds out
// by connecting whether it is true.
//
// [Multicast] is opened by package node, which lets it Announce, and by
// package communicator, which only asks; both read Hints on a goroutine of
// their own.
//
// # A packet
//
// One UDP datagram to the group, of MaxPacket bytes at most, numbers
// big-endian:
//
//	 0  magic     3 bytes "ctr"
//	 3  version   u8   1
//	 4  kind      u8   1 announce, 2 query, 3 answer, 4 bye
//	 5  flags     u8   0; bit 0 is "32 bytes of HMAC-SHA256 over all before them
//	                       follow the addresses", in a ring with a secret
//	 6  cluster   8 bytes: the first of SHA-256 over "chordtorrent cluster " and its name
//	14  sender    20 bytes: the member's ring id; in a query any number its sender made up
//	34  epoch     u64  of the sender's start; a higher one replaces all before it
//	42  sequence  u64  every packet of a sender and epoch has its own, increasing
//	50  http      u16  port of the member's HTTP listener, 0 when it has none
//	52  count     u8   of addresses, 1..MaxAddrs; 0 in a query and a bye
//	53  addresses count times: family u8 (4 or 6), 4 or 16 bytes, port u16; best first
//
// Nothing may follow. An announce, a query and a bye go to the group; an
// answer goes from the asked member to where the query came from. An interface
// carries only addresses that can be reached through it.
//
// # What is not believed
//
// A packet of another cluster or version, one that is malformed, was seen
// before, came for another group, or is one too many from its source: each is
// counted by its reason, and never answered; but a query of our cluster that
// is signed wrongly, or not at all, is answered as any other: the asker cannot
// use the answer and sees in it why. See [Strange].
package discovery
