// Package tracker answers: how does an ordinary BitTorrent client use the ring as its
// tracker?
//
// Its main type is [Tracker], which every chordnode has: announces and scrapes by HTTP
// (BEP 3, 7, 21, 23, 24, 48) and by UDP (BEP 15, 41), .torrents by name, a list of what there
// is, and who has how much of it. Announces are answered from a view of their swarm that the
// node holds for a while: its own peers, of which it tells the ring in batches, and some of
// those of other nodes, for which it looks in the ring again and again while the swarm is in
// use. The ring stays the truth: any node answers for any swarm, and any node may die.
//
// A view's records are 56 bytes each, two bytes more to find them by, and have no pointers; a
// node holds four million and half a million swarms at most, and those that nobody announced to for the
// longest time go first.
//
// Called by package node: [Tracker.Run], [Tracker.ServeUDP] and what [Tracker.Announces]
// returns have a goroutine each, or several. A swarm is touched under the lock of its shard
// only, and nobody waits for the ring with a lock in hand. It leaves to others: how peers are
// stored (package communicator), which sockets there are.
//
//	announce.go   what a client asks, checked
//	reply.go      what it is answered, in bencode
//	swarm.go      the peers of one swarm; view.go all swarms; room.go which are forgotten
//	keep.go       when the ring is told and asked; queue.go in which order; look.go what comes of it
//	sources.go    what one address may do; counts.go what was done and what was refused
//	names.go      info hashes and their names
//	http.go       the paths; serve.go the connections; request.go the head of an announce; admit.go how many of them
//	udp.go        the packets; packets_linux.go many at a time; connid.go connection ids
//	scrape.go     counts, by HTTP and UDP
//	files.go      .torrents, and the list; listing.go one answer of the ring for many; hosts.go who has how much
//
// # Deviations
//
// A peer is where its announce comes from; the parameter ip is believed among private
// addresses, if Config.OwnIP is set, ipv4 and ipv6 never. Whoever asks from the node's own
// machine is told to others at the node's address. The number of downloads in a scrape is 0,
// as nobody counts them. A scrape of everything is refused. Between two looks at the ring, a
// node's counts of peers elsewhere are those of the last one, and of more than fifty an
// estimate.
package tracker
