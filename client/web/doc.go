// Package web answers: how does a person, or a program, on this machine see and steer
// a daemon?
//
// Its main type is [Server]: an http.Handler with the pages for browsers and the
// interface under /api/v1 for commands and scripts (docs/api.md). Pages are made here
// by html/template and work without a script; the script only brings changes as they
// happen. Called by cmd/btclient.
//
//	server.go    which path is whose
//	guard.go     who may ask: hosts, origins, tokens, users (user_linux.go)
//	api.go       the interface for programs; stream.go its events
//	metrics.go   what Prometheus is told
//	content.go   the files themselves
//	upload.go    files that a browser brings
//	pages.go     what pages show; actions.go what their buttons do
//	words.go     numbers and times for people
//
// It leaves to others: what is done (client/daemon), the words of the interface
// (client/api), listening.
package web
