package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// output writes what scripts read: lines of text, or of JSON, on standard
// output. The first error of a write silences it and is remembered; a reader
// that went away (btclient ls | head) is none. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
	seen bool  // it is a terminal
	gone bool  // nothing is written any more
	err  error // why, unless the reader went away
}

// moveTo has what scripts read go elsewhere, as standard output is something else.
func (o *output) moveTo(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w, o.seen = w, false
}

// line prints text, or in JSON mode the object.
func (o *output) line(text string, object any) {
	if !o.json {
		o.write([]byte(text + "\n"))
		return
	}
	o.object(object)
}

// shown is a name as it is printed: to people with nothing hidden in it, to scripts as it
// is.
func (o *output) shown(name string) string {
	if o.seen {
		return client.Visible(name)
	}
	return name
}

// object prints an object whatever the mode.
func (o *output) object(object any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		panic(err) // our own structs of strings and numbers
	}
	o.write(b.Bytes())
}

func (o *output) write(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return
	}
	if _, err := o.w.Write(b); err != nil {
		o.gone = true
		if !errors.Is(err, syscall.EPIPE) {
			o.err = &client.Hint{Err: fmt.Errorf("writing to standard output: %w", err),
				Next: "what was printed is not complete: ask again with standard output going where there is room"}
		}
	}
}

// Write is for those who print to standard output without an error in mind,
// such as the help: it always succeeds, as the error is remembered.
func (o *output) Write(b []byte) (int, error) {
	o.write(b)
	return len(b), nil
}

// silenced says that writing more is useless: nobody reads standard output any
// more, or failure says what is wrong with it.
func (o *output) silenced() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.gone
}

// failure is the first error of a write, nil if there was none.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// The events. Their text form is in the String methods; keys of both are
// documented in the commands' helps, and scripts rely on them.

type publishedEvent struct {
	Event    string `json:"event"` // "published"
	Name     string `json:"name"`
	InfoHash string `json:"info_hash"`
	Bytes    int64  `json:"bytes"`
	Pieces   int    `json:"pieces"`
	Copies   int    `json:"copies"`
	Path     string `json:"path"`
	Port     uint16 `json:"port"`
	PeerID   string `json:"peer_id"`
}

func (e publishedEvent) String() string {
	return fmt.Sprintf("published name=%q info_hash=%s bytes=%d pieces=%d copies=%d", e.Name, e.InfoHash, e.Bytes, e.Pieces, e.Copies)
}

type downloadedEvent struct {
	Event    string `json:"event"` // "downloaded"
	Name     string `json:"name"`
	Path     string `json:"path"`
	InfoHash string `json:"info_hash"`
	Bytes    int64  `json:"bytes"`
}

func (e downloadedEvent) String() string {
	return fmt.Sprintf("downloaded name=%q path=%q info_hash=%s bytes=%d", e.Name, e.Path, e.InfoHash, e.Bytes)
}

// doneEvent closes a download for scripts that follow it by JSON.
type doneEvent struct {
	Event    string     `json:"event"` // "done"
	Name     string     `json:"name"`
	Path     string     `json:"path"`
	InfoHash string     `json:"info_hash"`
	Bytes    int64      `json:"bytes"`
	Seconds  float64    `json:"seconds"`
	Fetched  int64      `json:"fetched"` // payload bytes that came over the network in this run
	From     []api.From `json:"from"`
}

type progressEvent struct {
	Event      string `json:"event"` // "progress"
	Name       string `json:"name"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
	Rate       int64  `json:"rate_bytes_per_sec"`
	Peers      int    `json:"peers"`
	ETA        *int64 `json:"eta_sec"` // null: not known
	State      string `json:"state"`
	Reason     string `json:"reason,omitempty"` // why nothing moves
}

type errorEvent struct {
	Event string `json:"event"` // "error"
	api.Problem
}

// finish reports how the command ended and gives its exit code.
func (a *app) finish(err error) int {
	a.meterStop()
	failure := a.out.failure()
	switch {
	case err == nil:
		err = failure
	case failure != nil && !errors.Is(err, failure):
		fmt.Fprintf(a.console, "btclient: %v\n", failure)
	}
	if err == nil {
		return api.CodeDone
	}
	p := problemOf(err)
	fmt.Fprintf(a.console, "btclient: %s\n", p.Error)
	if p.Hint != "" {
		fmt.Fprintf(a.console, "hint: %s\n", p.Hint)
	}
	if a.out.json {
		a.out.object(errorEvent{Event: "error", Problem: p})
	}
	return p.Code
}

// problemOf is an error with what a person who typed a command may do next.
func problemOf(err error) api.Problem {
	p := api.ProblemOf(err)
	switch {
	case p.Hint != "":
	case p.Code == api.CodeInterrupted:
		p.Hint = "run the same command again and it continues where it stopped"
	case p.Code == api.CodeUsage:
		p.Hint = "btclient COMMAND --help shows how to ask"
	}
	return p
}
