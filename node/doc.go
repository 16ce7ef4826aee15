// Package node answers one question: what is a running ring member made of?
//
// Its main type is [Node]: a chord.Member that is driven by one goroutine
// (loop.go), with a database (package store), the ring port that rpc and
// gossip share (listen.go), memberlist for who is alive (gossip.go,
// transport.go), multicast and --join for whom to gossip with (join.go), and
// an HTTP listener for health and metrics (http.go, metrics.go, collect.go), and the
// upkeep of what is derived from torrents (reassert.go). Who the node is and
// whom it has met lie in files beside the database (identity.go, known.go), so
// that they outlive it.
//
//	rpc, gossip, store, timers, clients
//	        |  events, never blocking
//	        v
//	     one queue --> loop --> chord.Member --> Take
//	                    ^                          |
//	                    +--- store, rpc, replies --+
//
// The Member is touched by the loop's goroutine only; everybody else posts
// events into a queue that has no bound, because neither gossip's handlers
// nor the disk's may wait for the ring. What bounds it is in front: package
// rpc reads no more of a connection while what others have sent takes its
// share of 256 MiB. A client's request counts until its reply is written, a
// member's until the loop has handled it and what it stores is on disk. What
// the ring keeps longer, the operations that other members pass on to this
// one as the owner, is bounded by what those take of their own clients.
//
// cmd/chordnode runs one Node per process, cmd/btclient one with --embedded, as a [Mobile].
// It leaves to others: what a member does next (package chord), what keys
// mean (package communicator).
package node
