// Package tracker answers: how does an ordinary BitTorrent client use the ring as its
// tracker?
//
// Its main type is [Tracker], an http.Handler that every chordnode has: announces and
// scrapes (BEP 3, 7, 23, 24, 48), also by UDP (BEP 15, 41), .torrents by name, and a list of what there is. It
// keeps nothing of its own but a short memory of which info hash has which name: peers
// are in the ring, so any node answers for any swarm, and any node may die.
//
// Called by package node on the goroutines of its HTTP server. It leaves to others: how
// peers are stored (package communicator), listening.
//
//	announce.go   what a client asks, checked
//	reply.go      what it is answered, in bencode
//	names.go      info hashes and their names
//	http.go       the paths; udp.go the packets
//	files.go      .torrents, and the list
//
// # Deviations
//
// The parameters ip, ipv4 and ipv6 are ignored: a peer is where its announce comes from.
// Whoever asks from the node's own machine is told to others at the node's address. The
// number of downloads in a scrape is 0, as nobody counts them. A scrape of everything is
// refused.
package tracker
