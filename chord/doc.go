// Package chord answers one question: what does a member of the ring do next?
//
// It is the Chord protocol (Stoica et al., "Chord: A Scalable Peer-to-peer
// Lookup Service for Internet Applications", 2001) with the ring maintenance
// of Zave ("Reasoning about identifier spaces: How to make Chord correct",
// 2017), and on top of it maps that are replicated, read and written by
// quorum, handed to those who join and repaired when somebody dies.
//
// The main type is [Member], a single-threaded state machine: events and time
// go in, messages, store operations and the next wake-up time come out. It has
// no socket, disk, clock, goroutine or log of its own, and draws randomness
// only from the source it is given, so the same inputs give the same outputs.
// package node drives it in a running chordnode; the tests drive it over a
// simulated network.
//
// It leaves to others: what keys mean (package communicator), how messages
// travel (package rpc), who might be out there (package discovery).
//
// # Deviations
//
// From Chord: fingers are by base 16, not 2, and in a ring that gossip knows
// whole (up to 2,000 members) the owner is guessed from the view and confirms
// or corrects the guess; fingers are kept all the same.
//
// From Zave: candidates for the first successor come from gossip's view too,
// which is also what merges two rings; a member that did not answer, or that
// gossip has dropped, is taken out of the list at once and passed over for
// three seconds, not only when its successor is stabilized. An empty list
// stands for a ring of one. Her invariant is checked by the tests after every
// step, for rings larger than the list; smaller ones, outside her proof, are
// tested for one ordered cycle.
//
// From hybrid logical clocks: they run on ring time, the median of the members'
// clocks, and learn no stamp more than a minute ahead of it, so that one wrong
// clock does not become everybody's. A write to a field that has such a stamp
// is stamped just above it.
//
// # Who counts
//
// The owner of a range grants it, under an epoch, to the replicas whose copies
// it has found equal to its own; a claim is what a replica remembers of that.
// Quorums are counted among those the owner has granted to, and before its
// first grant among those who claim the newest epoch, part by part of a range that
// has grown (part.go). An owner that meets a later epoch of somebody else's begins
// anew. One whose grant not all have confirmed needs a quorum of both sets.
//
// A grant goes in two waves (grant.go): newcomers hear of it when those who
// count so far know. So no quorum of newcomers counts while one of those that they
// replace has never heard of it, wherever a partition cuts the ring meanwhile. Who
// was told of a grant that it did not get counts by the epoch before only
// where enough of those have answered whom it was for, without it.
//
// With n <= 4 members, N-R of them can be R again: two halves of such a ring may
// both go on without the other, and when they meet again the later write of each
// field wins.
//
// A range is at a member in one of the states of [RangeState].
//
// # What is remembered, and for how long
//
// Deleted hard fields are kept as tombstones for ten days, then purged at all
// replicas of a range together (tombstone.go). Whoever was away for longer gives
// up what it holds and is filled anew. The digests that copies are compared by
// (digest.go) find what chance has changed, not what an enemy with the right to
// write has chosen.
package chord
