// Package communicator answers: how does a program ask the ring for what it
// knows about files, torrents, peers and clients?
//
// It is the middleware between clients and the ring, and the only place that
// knows how keys are named and values are written. Its main type is
// [Communicator]: made by Open it finds some ring member by itself and keeps
// one within reach, made by New it uses a member inside the same process. All
// its methods block until the answer is there, the context ends or the ring
// had its time (15 s); all may be called from any number of goroutines.
// btclient calls it over the network, a chordnode's tracker fronts call it
// in-process.
//
// It leaves to others: what a ring does (package chord), frames and
// connections (package rpc), who might be out there (package discovery),
// moving pieces (package transfer), what a person wants (package client).
//
// # Keys
//
// A key is a kind byte and a name; the top bit of the kind makes the key soft
// (kept in memory, expiring). So a file may be called all_files/3 or
// x.torrent: kinds never meet. Each key holds a map of fields:
//
//	kind  name            field                              value
//	0x01  file name       'h' infohash                       header: a version, its commit point
//	                      's' infohash tag                   set: so many chunks were begun
//	                      's' infohash tag 'r'               mark: the set was replaced
//	                      'c' infohash tag index(u16)        chunk: raw bytes, 255 KiB at most
//	0x02  shard, 2 hex    file name                          listing
//	0x03  infohash, hex   file name                          link
//	0x04  client id, dec  'a'                                address
//	0x81  file name       infohash peer-id                   peer
//	0x82  infohash, hex   infohash peer-id                   peer
//
// infohash and peer-id are 20 raw bytes, tag is 8 random bytes of whoever
// wrote the chunks, u16 is big-endian. The shard of a name is the first byte
// of its SHA-1.
//
// # Values
//
// Each value but a chunk begins with a format byte, 1 here. Then, with uv an
// unsigned and sv a zigzag varint (both in their shortest form) and addr a
// length byte (4 or 16), so many bytes of IP and a big-endian u16 port:
//
//	header   size uv, pieces uv, publisher uv, published ms uv,
//	         metainfo length uv, SHA-1 of the metainfo (20), tag (8)
//	set      number of chunks uv
//	listing  size uv, published ms uv, infohash (20)
//	link     nothing; so has a mark
//	address  addr
//	peer     addr, client id uv, left sv, size sv, rate uv, buckets uv (256 at most), so many
//	         bytes; then, of each of at most two who could not reach it, the last bytes of
//	         its id (4)
//
// Times are milliseconds since the Unix epoch. A value decodes only if it
// would be written again as the same bytes; what does not decode costs
// itself, not the answer it is part of.
//
// # Order of writes
//
// A publish writes the set and the first chunks in one update, then the other
// chunks, then the header: until the header is there nothing is published. It
// then looks whether its set is still there. Chunks are removed only
// together with their set, and a set only together with the header that
// refers to it, or an hour after it was written or replaced if no header
// does; a tag is used once, so no removed set comes back. Hence a header
// whose set is there has all its chunks, whoever raced whom.
//
// Listings and links are a derived view; Reassert makes them again from the
// headers, so that whatever a crash leaves between two writes heals. An
// unpublish removes the listing and the links first, then headers and chunks
// in one update.
package communicator
