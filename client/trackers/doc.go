// Package trackers answers: how are the trackers asked that a .torrent or a magnet link
// names?
//
// A [Client] speaks with any number of them, by HTTP, HTTPS and UDP; a [List] are those
// of one torrent, in their tiers, and a [transfer.Announcer]. The engine, or whoever
// holds several announcers for a torrent, calls it on a goroutine of its own; it blocks
// until a tracker has answered or all have failed.
//
//	client.go   what is asked and answered, and what all torrents share
//	list.go     whose turn it is; round.go one announce; stop.go the last
//	http.go     BEP 3, 7, 23, 24, 31; answer.go its bencode
//	udp.go      BEP 15, 41; packet.go its bytes
//
// Trackers are strangers: what they answer is bounded in size, in peers and in the times
// that they may set, and their words are made fit for a terminal. Addresses of trackers
// may hold a passkey, so logs and errors name their hosts only.
//
// # Deviations
//
// BEP 12 has one tracker asked after the other. Here the next one is asked when the one
// before has said nothing for three seconds; whoever answers first is taken.
//
// BEP 15 repeats a packet after 15 * 2^n seconds, n up to 8, which is more than an hour.
// An announce ends after two minutes, which is n = 2; then the tracker is left alone for
// a time that doubles as well.
//
// It leaves to others: which torrents have which trackers (package client), peers
// (package transfer).
package trackers
