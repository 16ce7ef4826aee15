package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

func TestLinesThatScriptsRelyOn(t *testing.T) {
	hash := strings.Repeat("0a", 20)
	published := publishedEvent{Event: "published", Name: `a "b"` + " ü", InfoHash: hash, Bytes: 5, Pieces: 1, Copies: 3, Path: "/p", Port: 7001, PeerID: "00"}
	downloaded := downloadedEvent{Event: "downloaded", Name: "a b", Path: "/t/a b", InfoHash: hash, Bytes: 5}
	eta := int64(9)
	for _, c := range []struct {
		object     any
		text, json string
	}{
		{published, `published name="a \"b\" ü" info_hash=` + hash + ` bytes=5 pieces=1 copies=3`,
			`{"event":"published","name":"a \"b\" ü","info_hash":"` + hash + `","bytes":5,"pieces":1,"copies":3,"path":"/p","port":7001,"peer_id":"00"}`},
		{downloaded, `downloaded name="a b" path="/t/a b" info_hash=` + hash + ` bytes=5`,
			`{"event":"downloaded","name":"a b","path":"/t/a b","info_hash":"` + hash + `","bytes":5}`},
		{doneEvent{Event: "done", Name: "n", Path: "/t", InfoHash: hash, Bytes: 5, Seconds: 1.5, Fetched: 5, From: []api.From{{Addr: "1.2.3.4:7000", PeerID: "ff", Bytes: 5}}},
			"", `{"event":"done","name":"n","path":"/t","info_hash":"` + hash + `","bytes":5,"seconds":1.5,"fetched":5,"from":[{"addr":"1.2.3.4:7000","peer_id":"ff","bytes":5}]}`},
		{progressEvent{Event: "progress", Name: "n", BytesDone: 1, BytesTotal: 10, Rate: 1, Peers: 2, ETA: &eta, State: "downloading"},
			"", `{"event":"progress","name":"n","bytes_done":1,"bytes_total":10,"rate_bytes_per_sec":1,"peers":2,"eta_sec":9,"state":"downloading"}`},
	} {
		var text, json bytes.Buffer
		if s, ok := c.object.(fmt.Stringer); ok {
			(&output{w: &text}).line(s.String(), c.object)
			if text.String() != c.text+"\n" {
				t.Errorf("text %s, want %s", text.String(), c.text)
			}
		}
		(&output{w: &json, json: true}).line("", c.object)
		if json.String() != c.json+"\n" {
			t.Errorf("json %s, want %s", json.String(), c.json)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.EPIPE) }

func TestPeopleSeeWhatANameHides(t *testing.T) {
	const name = "photo\u202egnp.exe"
	if got := (&output{seen: true}).shown(name); got != `photo\u202egnp.exe` {
		t.Errorf("a person is shown %q", got)
	}
	if got := (&output{}).shown(name); got != name {
		t.Errorf("a script is given %q", got)
	}
}

func TestAReaderThatLeavesIsNoError(t *testing.T) {
	o := &output{w: brokenPipe{}}
	o.line("x", nil)
	if !o.silenced() {
		t.Error("not noticed")
	}
	a := newApp(brokenPipe{}, io.Discard)
	if err := a.interruptedOr(t.Context(), errSilenced); err != nil {
		t.Error(err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.ENOSPC) }

func TestAnOutputThatIsNotWrittenIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"ls", "--help"}} {
		var err bytes.Buffer
		if code := run(context.Background(), args, fullDisk{}, &err); code != api.CodeFailed ||
			!strings.Contains(err.String(), "btclient: writing to standard output: write: no space left on device\nhint: ") {
			t.Errorf("%v: exit code %d\n%s", args, code, err.String())
		}
	}
	// What a command failed with comes first, and is said as well.
	var err bytes.Buffer
	a := newApp(fullDisk{}, &err)
	a.out.line("x", nil)
	if code := a.finish(communicator.ErrNotFound); code != api.CodeNotFound || !strings.Contains(err.String(), "standard output") {
		t.Errorf("exit code %d\n%s", code, err.String())
	}
	err.Reset()
	if code := a.finish(a.out.failure()); code != api.CodeFailed || strings.Count(err.String(), "standard output:") != 1 {
		t.Errorf("exit code %d\n%s", code, err.String())
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{nil, 0, ""},
		{errors.New("any"), 1, ""},
		{usageError(errors.New("bad flag"), "btclient ls"), 2, "btclient ls --help"},
		{fmt.Errorf("x: %w", client.ErrUsage), 2, "--help"},
		{fmt.Errorf("x: %w", communicator.ErrNotFound), 3, "btclient ls"},
		{fmt.Errorf("x: %w", client.ErrMismatch), 4, ""},
		{fmt.Errorf("x: %w", communicator.ErrNoRing), 5, "chordnode"},
		{fmt.Errorf("x: %w (%w)", communicator.ErrNoRing, communicator.ErrRefused), 5, ""},
		{client.ErrInterrupted, 130, "same command again"},
		{&client.Hint{Err: communicator.ErrNotFound, Next: "did you mean"}, 3, "did you mean"},
	} {
		if got := api.CodeOf(c.err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
		if c.err == nil {
			continue
		}
		if got := problemOf(c.err).Hint; !strings.Contains(got, c.hint) || (c.hint == "") != (got == "") {
			t.Errorf("%v: hint %q, want %q", c.err, got, c.hint)
		}
		var out, err bytes.Buffer
		a := newApp(&out, &err)
		a.out.json = true
		a.finish(c.err)
		if !strings.HasPrefix(err.String(), "btclient: ") || !strings.Contains(out.String(), fmt.Sprintf(`"code":%d}`, c.code)) {
			t.Errorf("%v: %s%s", c.err, err.String(), out.String())
		}
	}
}

func TestPace(t *testing.T) {
	at := time.Unix(1000, 0)
	var p pace
	if rate, eta := p.see(sample{done: 0, total: 100, rate: -1}, at); rate != 0 || eta != nil {
		t.Errorf("at first %d, %v", rate, eta)
	}
	if rate, eta := p.see(sample{done: 10, total: 100, rate: -1}, at.Add(time.Second)); rate != 10 || eta == nil || *eta != 9 {
		t.Errorf("then %d, %v", rate, eta)
	}
	if rate, eta := p.see(sample{done: 100, total: 100, rate: 50}, at.Add(2*time.Second)); rate != 50 || eta != nil {
		t.Errorf("a known rate: %d, %v", rate, eta)
	}
	if _, eta := p.see(sample{done: 1, total: 1 << 40, rate: 2}, at.Add(3*time.Second)); eta != nil {
		t.Errorf("a rate that dies away promises %d s", *eta)
	}
	if _, eta := p.see(sample{state: downloading, done: 1, total: 100, rate: 2, peers: 0}, at.Add(4*time.Second)); eta != nil {
		t.Errorf("with nobody to fetch from %d s", *eta)
	}
}

func TestForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536 << 10: "1.5 MiB", 3 << 40: "3.0 TiB", 5 << 50: "5.0 PiB"} {
		if got := client.FormatBytes(n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
	if got := shorten(strings.Repeat("ü", 40), 5); got != "üüüü…" {
		t.Errorf("%q", got)
	}
	eta := int64(61)
	got := describe(sample{state: "downloading", done: 1 << 20, total: 4 << 20, peers: 3, note: "no peer has piece 1"}, 1<<10, &eta)
	if want := "  25.0 % of 4.0 MiB  1.0 KiB/s  3 peers  1m1s left  (no peer has piece 1)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBarAndLogShareTheTerminal(t *testing.T) {
	var out, terminal bytes.Buffer
	a := newApp(&out, &terminal)
	a.progressMode = progressBar
	asked := make(chan struct{}, 100)
	a.startMeter("file", func() sample {
		select {
		case asked <- struct{}{}:
		default:
		}
		return sample{state: "downloading", done: 5, total: 10, rate: 1}
	})
	for range 3 {
		<-asked
	}
	fmt.Fprintln(a.console, "a line for people")
	a.meterStop()
	fmt.Fprintln(a.console, "after it")
	if s := terminal.String(); !strings.Contains(s, "a line for people\n") || !strings.HasSuffix(s, "after it\n") {
		t.Errorf("%q", s)
	}
	if out.Len() != 0 {
		t.Errorf("standard output got %q", out.String())
	}
}

func TestUsageIsCheckedBeforeTheRingIsAsked(t *testing.T) {
	for _, args := range [][]string{{"frobnicate"}, {"publish"}, {"download", "a", "b", "c"}, {"ls", "--log-format", "xml"}, {"show"}} {
		var out, err bytes.Buffer
		if code := run(context.Background(), args, &out, &err); code != api.CodeUsage || !strings.Contains(err.String(), "\nhint: btclient") || out.Len() != 0 {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out.String(), err.String())
		}
	}
}
