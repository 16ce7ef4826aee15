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
package chord
