package daemon_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
)

func TestBytesThatACommandBringsArePublished(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	source := h.File("source", 300_000)
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	add := api.AddPublication{Stream: "standard input", Name: "image"}
	for _, version := range []int{1, 2} { // the second takes the place of the first
		j := h.Must(a.AddPublication(t.Context(), add))
		if err := a.Bring(t.Context(), j.ID, strings.NewReader(string(content[version:])), func() {}); err != nil {
			t.Fatal(err)
		}
		j = h.Until(a, j.ID, "the publication", func(j api.Job) bool { return daemontest.IsServed(j) && j.Version == version })
		if j.Bytes != int64(len(content)-version) || j.Copies == 0 {
			t.Errorf("published: %+v", j)
		}
	}
	target := filepath.Join(h.Dir, "got")
	h.Until(b, h.Add(b, api.AddDownload{Source: "image", Target: target}).ID, "the download", daemontest.Is(api.Done))
	if got, err := os.ReadFile(target); err != nil || string(got) != string(content[2:]) {
		t.Errorf("something else was published (%v)", err)
	}
	// A restart serves it, and wants no bytes.
	h.Close(a)
	a = h.Daemon("a")
	id := client.RecordID(client.Published, "image", "")
	h.Until(a, id, "it to be served again", daemontest.IsServed)
	if err := a.Bring(t.Context(), id, strings.NewReader("x"), func() {}); !errors.Is(err, client.ErrUsage) {
		t.Errorf("got %v", err)
	}
}

func TestBytesThatBreakOffPublishNothing(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	add := api.AddPublication{Stream: "standard input", Name: "image", Size: 1000}
	j := h.Must(a.AddPublication(t.Context(), add))
	if err := a.Bring(t.Context(), j.ID, io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(io.ErrUnexpectedEOF)), func() {}); err != nil {
		t.Fatal(err)
	}
	j = h.Until(a, j.ID, "the failure", daemontest.Is(api.Failed))
	if !strings.Contains(j.Error, "read standard input at byte 5: unexpected EOF") {
		t.Errorf("it failed with %q", j.Error)
	}
	if j.Bytes != 0 || j.Done != 0 {
		t.Errorf("of what was not published there are %d of %d bytes", j.Done, j.Bytes)
	}
	// Cancelled while the bytes do not come: whoever brings them is stopped.
	h.Must(a.AddPublication(t.Context(), add))
	from, to := io.Pipe()
	brought := make(chan error)
	go func() { brought <- a.Bring(t.Context(), j.ID, from, func() { from.CloseWithError(io.ErrClosedPipe) }) }()
	if _, err := to.Write([]byte("begin")); err != nil {
		t.Fatal(err)
	}
	h.Must(a.Cancel(t.Context(), j.ID, false))
	if err := <-brought; err != nil {
		t.Error(err)
	}
	h.Until(a, j.ID, "its end", daemontest.Is(api.Cancelled))
	for _, wrong := range []api.AddPublication{{Stream: "x", Name: "a/b"}, {Stream: "x", Name: "a", Path: "/a"}, {Stream: "x", Name: "a", Size: -1}} {
		if _, err := a.AddPublication(t.Context(), wrong); !errors.Is(err, client.ErrUsage) {
			t.Errorf("%+v: got %v", wrong, err)
		}
	}
}

// A daemon that is started again does not wait for who brought bytes to the one before.
func TestBytesDoNotComeToTheNextDaemon(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	j := h.Must(a.AddPublication(t.Context(), api.AddPublication{Stream: "standard input", Name: "image"}))
	h.Close(a)
	a = h.Daemon("a")
	j = h.Until(a, j.ID, "its end", daemontest.Is(api.Failed))
	if !strings.Contains(j.Error, "from a command that has ended") {
		t.Errorf("it failed with %q", j.Error)
	}
}

// While bytes come, and when they break off, the version before is served.
func TestWhatWasBeforeIsServedUntilAllBytesAreThere(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	add := api.AddPublication{Stream: "standard input", Name: "image"}
	bring := func(from io.Reader) string {
		t.Helper()
		j := h.Must(a.AddPublication(t.Context(), add))
		if err := a.Bring(t.Context(), j.ID, from, func() {}); err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	before := h.Until(a, bring(strings.NewReader("before")), "the publication", daemontest.IsServed)
	held := func(when string) {
		t.Helper()
		_, j, err := a.Held(t.Context(), before.InfoHash)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		if b, err := os.ReadFile(j.Path); err != nil || string(b) != "before" {
			t.Errorf("%s: %q, %v", when, b, err)
		}
	}
	for _, restart := range []bool{false, true} {
		half := io.MultiReader(strings.NewReader("half"), look(func() { held("while bytes come") }), iotest.ErrReader(io.ErrUnexpectedEOF))
		h.Until(a, bring(half), "the failure", daemontest.Is(api.Failed))
		held("after they have broken off")
		if restart {
			h.Close(a)
			a = h.Daemon("a")
			h.Until(a, before.ID, "it to be served again", func(j api.Job) bool { return j.State == api.Failed && j.Serving })
			held("after a restart")
		}
	}
	after := h.Until(a, bring(strings.NewReader("after")), "the next", func(j api.Job) bool { return daemontest.IsServed(j) && j.InfoHash != "" })
	if _, _, err := a.Held(t.Context(), before.InfoHash); !errors.Is(err, daemon.ErrNoJob) {
		t.Errorf("the version before is still served: %v", err)
	}
	if b, err := os.ReadFile(after.Path); err != nil || string(b) != "after" {
		t.Errorf("%q, %v", b, err)
	}
}

// look is a reader that gives nothing and looks at something.
type look func()

func (l look) Read([]byte) (int, error) {
	l()
	return 0, io.EOF
}
