package communicator

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

// Sizes of metainfo: one chunk, exactly one full update, several updates.
var metainfoSizes = []int{500, chunksPerPut * chunkBytes, 9*chunkBytes + 1}

func TestWhatIsPublishedIsRead(t *testing.T) {
	for _, size := range metainfoSizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c, ring := inRing(t)
			want := contentFor(t, "a name", 1, size)
			publish(t, c, want)
			want.v.Published = ring.Now()

			v, b, err := c.Torrent(bg, "a name")
			if err != nil || v != want.v || !bytes.Equal(b, want.metainfo) {
				t.Fatalf("by name: %+v, %d bytes, %v", v, len(b), err)
			}
			v, b, err = c.TorrentOf(bg, want.v.InfoHash)
			if err != nil || v != want.v || !bytes.Equal(b, want.metainfo) {
				t.Fatalf("by info hash: %+v, %d bytes, %v", v, len(b), err)
			}
			files, err := c.Files(bg, "")
			if err != nil || len(files) != 1 || files[0] != (File{"a name", want.v.Size, want.v.InfoHash, ring.Now()}) {
				t.Fatalf("listed: %+v, %v", files, err)
			}
		})
	}
}

func TestPublishRefusesWhatIsNotTheTorrentItClaims(t *testing.T) {
	c, ring := inRing(t)
	good := contentFor(t, "x", 1, 500)
	for why, bad := range map[string]struct {
		change func(*content)
		want   error
	}{
		"another info hash": {func(w *content) { w.v.InfoHash[0]++ }, ErrMismatch},
		"not bencoded":      {func(w *content) { w.metainfo = []byte("hello") }, ErrMismatch},
		"no bytes":          {func(w *content) { w.metainfo = nil }, ErrMismatch},
		"65 MiB":            {func(w *content) { w.metainfo = make([]byte, 65<<20) }, ErrTooLarge},
		"a slash":           {func(w *content) { w.v.Name = "a/b" }, ErrName},
		"a negative size":   {func(w *content) { w.v.Size = -1 }, ErrBadArgument},
	} {
		what := good
		bad.change(&what)
		if _, err := c.Publish(bg, what.v, what.metainfo); !errors.Is(err, bad.want) {
			t.Errorf("%s: error %v", why, err)
		}
	}
	if n := ring.Calls(); n != 0 {
		t.Errorf("the ring was asked %d times", n)
	}
}

func TestTheNewestVersionIsCurrentAndSixteenAreKept(t *testing.T) {
	c, ring := inRing(t)
	var all []content
	for i := range 19 {
		what := contentFor(t, "x", byte(i), 300)
		publish(t, c, what)
		all = append(all, what)
		ring.Advance(time.Minute)
	}
	versions, err := c.Versions(bg, "x")
	if err != nil || len(versions) != maxVersions {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	for i, v := range versions {
		if want := all[len(all)-1-i].v.InfoHash; v.InfoHash != want {
			t.Errorf("version %d is %x, want %x", i, v.InfoHash, want)
		}
	}
	if _, _, err := c.TorrentOf(bg, all[2].v.InfoHash); !errors.Is(err, ErrNotFound) {
		t.Errorf("a removed version: %v", err)
	}
	if _, b, err := c.TorrentOf(bg, all[5].v.InfoHash); err != nil || !bytes.Equal(b, all[5].metainfo) {
		t.Errorf("a kept version: %v", err)
	}
	if n := len(ring.Dump(torrentKey("x"))); n != 3*maxVersions {
		t.Errorf("the torrent's map has %d fields, want a header, a set and a chunk per version", n)
	}
	checkConsistent(t, c, "x")

	// Publishing an old version again makes it the current one.
	publish(t, c, all[5])
	if v, _, err := c.Torrent(bg, "x"); err != nil || v.InfoHash != all[5].v.InfoHash {
		t.Errorf("after publishing it again: %x, %v", v.InfoHash, err)
	}
	checkConsistent(t, c, "x")
}

func TestOtherBytesOfTheSameInfoDictReplaceTheOldOnes(t *testing.T) {
	c, ring := inRing(t)
	first := contentFor(t, "x", 1, 3*chunkBytes)
	second := first
	second.metainfo = bytes.Replace(first.metainfo, []byte("http://tracker"), []byte("http://another"), 1)
	publish(t, c, first)
	publish(t, c, second)
	if _, b, err := c.Torrent(bg, "x"); err != nil || !bytes.Equal(b, second.metainfo) {
		t.Fatalf("the first bytes are still there: %v", err)
	}
	// The replaced chunks stay for those who are reading them, then go.
	chunks := len(ring.Dump(torrentKey("x")))
	ring.Advance(orphanAge + time.Minute)
	publish(t, c, second)
	if n := len(ring.Dump(torrentKey("x"))); n >= chunks {
		t.Errorf("%d fields, %d before", n, chunks)
	}
	checkConsistent(t, c, "x")
}

func TestUnpublishLeavesNothing(t *testing.T) {
	c, ring := inRing(t)
	publish(t, c, contentFor(t, "x", 1, 5*chunkBytes))
	publish(t, c, contentFor(t, "x", 2, 400))
	publish(t, c, contentFor(t, "y", 1, 400))
	before := len(ring.Keys())
	if err := c.Unpublish(bg, "x"); err != nil {
		t.Fatal(err)
	}
	for _, k := range ring.Keys() {
		for _, f := range ring.Dump(k) {
			if f.Name == "x" || k == torrentKey("x") {
				t.Errorf("left: %q %q", k, f.Name)
			}
		}
	}
	if n := len(ring.Keys()); n >= before {
		t.Errorf("%d keys, %d before", n, before)
	}
	if err := c.Unpublish(bg, "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
	checkConsistent(t, c, "x")
	checkConsistent(t, c, "y")
	if _, _, err := c.Torrent(bg, "y"); err != nil {
		t.Errorf("another name: %v", err)
	}
}

func TestDegradedPublishIsReportedWithItsCopies(t *testing.T) {
	c, ring := inRing(t)
	ring.SetCopies(1)
	what := contentFor(t, "x", 1, 300)
	copies, err := c.Publish(bg, what.v, what.metainfo)
	var degraded *Degraded
	if copies != 1 || !errors.As(err, &degraded) || degraded.Copies != 1 {
		t.Fatalf("%d copies, %v", copies, err)
	}
	ring.SetCopies(2)
	if copies, err = c.Publish(bg, what.v, what.metainfo); err != nil || copies != 2 {
		t.Fatalf("%d copies, %v", copies, err)
	}
}

// checkConsistent tells whether all views of a name agree.
func checkConsistent(t testing.TB, c *Communicator, name string) {
	t.Helper()
	v, _, err := c.Torrent(bg, name)
	gone := errors.Is(err, ErrNotFound)
	if err != nil && !gone {
		t.Errorf("%q is neither there nor absent: %v", name, err)
		return
	}
	files, err := c.Files(bg, name)
	if err != nil {
		t.Error(err)
	}
	listed := false
	for _, f := range files {
		if f.Name == name {
			listed = true
			if f.InfoHash != v.InfoHash || f.Size != v.Size || !f.Published.Equal(v.Published) {
				t.Errorf("%q is listed as %+v, but its torrent is %+v", name, f, v)
			}
		}
	}
	if listed == gone {
		t.Errorf("%q: listed %v, torrent absent %v", name, listed, gone)
	}
	if gone {
		return
	}
	versions, err := c.Versions(bg, name)
	if err != nil {
		t.Error(err)
	}
	for _, v := range versions {
		if _, _, err := c.TorrentOf(bg, v.InfoHash); err != nil {
			t.Errorf("version %x of %q: %v", v.InfoHash[:4], name, err)
		}
	}
}

var errCut = errors.New("connection lost")

// interruptions runs op once per Put that it makes and per way to lose that
// Put, on a fresh ring prepared by before, and calls after each time.
func interruptions(t *testing.T, before func(*Communicator, *ringtest.Ring), op func(*Communicator) error, after func(t *testing.T, c *Communicator)) {
	for n := 0; ; n++ {
		for _, applied := range []bool{false, true} {
			var cut atomic.Bool
			t.Run(fmt.Sprintf("put %d applied %v", n, applied), func(t *testing.T) {
				c, ring := inRing(t)
				before(c, ring)
				onPuts(ring, func(i int, _ chord.Put) *ringtest.Fault {
					if i < n {
						return nil
					}
					cut.Store(true) // nothing gets through from here on: the program died
					return &ringtest.Fault{Err: errCut, Applied: applied && i == n}
				})
				err := op(c)
				if cut.Load() && !errors.Is(err, errCut) {
					t.Errorf("interrupted, but the error is %v", err)
				}
				if !cut.Load() && err != nil {
					t.Error(err)
				}
				ring.Intercept(nil)
				after(t, c)
			})
			if !cut.Load() {
				return // op makes no n-th Put
			}
		}
	}
}

func TestAPublishInterruptedAtAnyWriteHeals(t *testing.T) {
	for _, size := range metainfoSizes {
		for _, earlier := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, earlier version %v", size, earlier), func(t *testing.T) {
				what := contentFor(t, "x", 1, size)
				before := func(c *Communicator, _ *ringtest.Ring) {
					if earlier {
						publish(t, c, contentFor(t, "x", 9, 300))
					}
				}
				op := func(c *Communicator) error {
					_, err := c.Publish(bg, what.v, what.metainfo)
					return err
				}
				t.Run("reasserted", func(t *testing.T) {
					interruptions(t, before, op, func(t *testing.T, c *Communicator) {
						if err := c.Reassert(bg, "x"); err != nil {
							t.Error(err)
						}
						checkConsistent(t, c, "x")
					})
				})
				t.Run("retried", func(t *testing.T) {
					interruptions(t, before, op, func(t *testing.T, c *Communicator) {
						publish(t, c, what)
						checkConsistent(t, c, "x")
						if v, _, err := c.Torrent(bg, "x"); err != nil || v.InfoHash != what.v.InfoHash {
							t.Errorf("current is %x, %v", v.InfoHash, err)
						}
					})
				})
			})
		}
	}
}

func TestAnUnpublishInterruptedAtAnyWriteHeals(t *testing.T) {
	before := func(c *Communicator, _ *ringtest.Ring) {
		publish(t, c, contentFor(t, "x", 1, 6*chunkBytes))
		publish(t, c, contentFor(t, "x", 2, 300))
	}
	op := func(c *Communicator) error { return c.Unpublish(bg, "x") }
	t.Run("reasserted", func(t *testing.T) {
		interruptions(t, before, op, func(t *testing.T, c *Communicator) {
			if err := c.Reassert(bg, "x"); err != nil {
				t.Error(err)
			}
			checkConsistent(t, c, "x")
		})
	})
	t.Run("retried", func(t *testing.T) {
		interruptions(t, before, op, func(t *testing.T, c *Communicator) {
			if err := c.Unpublish(bg, "x"); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
			if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrNotFound) {
				t.Errorf("still there: %v", err)
			}
			checkConsistent(t, c, "x")
		})
	})
}
