// Package api answers: in which words do a daemon and its commands speak?
//
// It holds the objects of the local HTTP interface of btclient serve, as
// docs/api.md describes it, and [Remote], which commands use to find the daemon of a
// Storage and to hand it work. Its JSON keys are a contract: scripts of others rely
// on them.
//
// It leaves to others: what a daemon does (client/daemon) and how it is served
// (client/web).
package api
