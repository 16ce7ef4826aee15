package communicator

import (
	"errors"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

// halfPublished leaves the first update of a long publish in the ring.
func halfPublished(t *testing.T, c *Communicator, ring *ringtest.Ring, what content) {
	t.Helper()
	onPuts(ring, func(n int, _ chord.Put) *ringtest.Fault {
		if n == 0 {
			return nil
		}
		return &ringtest.Fault{Err: errCut}
	})
	if _, err := c.Publish(bg, what.v, what.metainfo); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	ring.Intercept(nil)
}

func TestChunksLeftBehindAreRemovedAfterAnHour(t *testing.T) {
	c, ring := inRing(t)
	publish(t, c, contentFor(t, "x", 1, 300))
	halfPublished(t, c, ring, contentFor(t, "x", 2, 6*chunkBytes))
	left := len(ring.Dump(torrentKey("x")))
	if left != 3+5 {
		t.Fatalf("%d fields after half a publish", left)
	}
	ring.Advance(orphanAge - time.Second)
	if err := c.Reassert(bg, "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(ring.Dump(torrentKey("x"))); n != left {
		t.Fatalf("removed early: %d fields", n)
	}
	ring.Advance(time.Second)
	if err := c.Reassert(bg, "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(ring.Dump(torrentKey("x"))); n != 3 {
		t.Fatalf("%d fields are left", n)
	}
	checkConsistent(t, c, "x")
}

func TestAFastClockOfOursRemovesNothingEarly(t *testing.T) {
	c, ring := inRing(t)
	halfPublished(t, c, ring, contentFor(t, "x", 2, 6*chunkBytes))
	c.now = func() time.Time { return ring.Now().Add(24 * 365 * time.Hour) }
	before := len(ring.Dump(torrentKey("x")))
	if err := c.Reassert(bg, "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(ring.Dump(torrentKey("x"))); n != before {
		t.Fatalf("%d fields, %d before", n, before)
	}
}

func TestChunksOfAHeaderFromANewerProgramStay(t *testing.T) {
	c, ring := inRing(t)
	publish(t, c, contentFor(t, "x", 1, 300))
	newer := contentFor(t, "x", 2, 300)
	publish(t, c, newer)
	f, _, err := c.getField(bg, torrentKey("x"), headerField(newer.v.InfoHash))
	if err != nil {
		t.Fatal(err)
	}
	f.Value[0] = formatV1 + 1
	if _, err := c.put(bg, torrentKey("x"), chord.Update{Name: f.Name, Value: f.Value}); err != nil {
		t.Fatal(err)
	}
	before := len(ring.Dump(torrentKey("x")))
	ring.Advance(2 * orphanAge)
	if err := c.Reassert(bg, "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(ring.Dump(torrentKey("x"))); n != before {
		t.Fatalf("%d fields, %d before", n, before)
	}
	if v, err := c.Versions(bg, "x"); err != nil || len(v) != 1 {
		t.Fatalf("versions %v, %v", v, err)
	}
}

func TestANameWithOnlyUnknownVersionsIsNotSaidToBeAbsent(t *testing.T) {
	c, _ := inRing(t)
	if _, err := c.put(bg, torrentKey("x"), chord.Update{Name: headerField(seq20(1)), Value: []byte{9}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrMalformed) || errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	if err := c.Reassert(bg, "x"); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
}
