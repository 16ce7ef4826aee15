package api

import (
	"errors"
	"strings"

	"chordtorrent/client"
	"chordtorrent/communicator"
)

// What scripts learn about how something ended: exit codes of commands, and the code
// of a [Problem].
const (
	CodeDone        = 0
	CodeFailed      = 1
	CodeUsage       = 2
	CodeNotFound    = 3
	CodeMismatch    = 4
	CodeNoRing      = 5
	CodeInterrupted = 130
)

// CodeOf is how an error ends.
func CodeOf(err error) int {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Code
	}
	switch {
	case err == nil:
		return CodeDone
	case errors.Is(err, client.ErrInterrupted):
		return CodeInterrupted
	case errors.Is(err, client.ErrUsage):
		return CodeUsage
	case errors.Is(err, communicator.ErrNotFound):
		return CodeNotFound
	case errors.Is(err, client.ErrMismatch):
		return CodeMismatch
	case errors.Is(err, communicator.ErrNoRing):
		return CodeNoRing
	}
	return CodeFailed
}

// ProblemOf is an error in words, with what to do next if that is known.
func ProblemOf(err error) Problem {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Problem
	}
	// What to do about it is in the hint.
	p := Problem{Code: CodeOf(err), Error: strings.Replace(err.Error(), communicator.ErrNoRing.Error(), "no ring in reach", 1)}
	if h, ok := errors.AsType[*client.Hint](err); ok {
		p.Hint = h.Next
		return p
	}
	switch {
	case client.DiskFull(err):
		p.Hint = "make room on that disk, then run the same command again, or btclient retry for a job of the daemon"
	case p.Code == CodeNoRing && errors.Is(err, communicator.ErrRefused): // which says what to do
	case p.Code == CodeNoRing:
		p.Hint = "start a ring member with `chordnode`, or use --embedded, which starts one inside btclient; " +
			"a ring that multicast does not reach is named with --ring HOST:PORT"
	case p.Code == CodeNotFound:
		p.Hint = "btclient ls shows what the ring has"
	}
	return p
}
