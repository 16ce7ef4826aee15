package communicator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

func TestFilesAreSortedAndFilteredByPrefix(t *testing.T) {
	c, _ := inRing(t)
	want := []string{"a b", "a/c"[:1] + "c", "b", "ünï"}
	for i, name := range want {
		publish(t, c, contentFor(t, name, byte(i), 300))
	}
	names := func(prefix string) []string {
		files, err := c.Files(bg, prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Name)
		}
		return got
	}
	if got := names(""); !slices.Equal(got, want) {
		t.Errorf("all: %q", got)
	}
	if got := names("a"); !slices.Equal(got, want[:2]) {
		t.Errorf("a…: %q", got)
	}
	if got := names("nothing"); len(got) != 0 {
		t.Errorf("nothing…: %q", got)
	}
	near, err := c.Near(bg, "A B", 2)
	if err != nil || len(near) == 0 || near[0] != "a b" {
		t.Errorf("near: %q, %v", near, err)
	}
}

func TestALongShardIsReadPageByPage(t *testing.T) {
	c, _ := inRing(t)
	const files = 9000 // about 1.2 MB in one shard
	var updates []chord.Update
	for i := range files {
		name := fmt.Sprintf("%0100d", i)
		updates = append(updates, chord.Update{Name: name, Value: encodeListing(File{Size: int64(i)})})
	}
	for chunk := range slices.Chunk(updates, 1000) {
		if _, err := c.put(bg, filesKey(0), chunk...); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Files(bg, "")
	if err != nil || len(got) != files || got[files-1].Size != files-1 {
		t.Fatalf("%d files, %v", len(got), err)
	}
}

func TestFilesGivesWhatItCouldReadWithTheError(t *testing.T) {
	c, ring := inRing(t)
	publish(t, c, contentFor(t, "here", 1, 300))
	publish(t, c, contentFor(t, "there", 2, 300))
	gone := filesKey(shardOf("there"))
	ring.Intercept(func(_ int, op any) *ringtest.Fault {
		if get, ok := op.(chord.Get); ok && get.Key == gone {
			return &ringtest.Fault{Code: chord.CodeStore}
		}
		return nil
	})
	files, err := c.Files(bg, "")
	if !errors.Is(err, chord.ErrStore) || !strings.Contains(err.Error(), "1 of 256") || len(files) != 1 || files[0].Name != "here" {
		t.Fatalf("%+v, %v", files, err)
	}
	if near, err := c.Near(bg, "heer", 3); err != nil || !slices.Equal(near, []string{"here"}) {
		t.Fatalf("near %q, %v", near, err)
	}
}

func TestAbsentNamesAreNotFound(t *testing.T) {
	c, _ := inRing(t)
	if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("torrent: %v", err)
	}
	if _, _, err := c.TorrentOf(bg, seq20(1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("torrent of: %v", err)
	}
	if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("versions: %v", err)
	}
	if _, _, err := c.ClientAddr(bg, 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("client: %v", err)
	}
	if _, _, err := c.Torrent(bg, "a/b"); !errors.Is(err, ErrName) {
		t.Errorf("bad name: %v", err)
	}
	// A longer name is not this one.
	publish(t, c, contentFor(t, "xy", 1, 300))
	if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("prefix of a name: %v", err)
	}
	checkConsistent(t, c, "x")
}

func TestATorrentIsReadEvenIfTooFewReplicasVouchForIt(t *testing.T) {
	c, ring := inRing(t)
	what := contentFor(t, "x", 1, 300)
	publish(t, c, what)
	ring.SetUnconfirmed(true)
	if _, b, err := c.Torrent(bg, "x"); err != nil || !bytes.Equal(b, what.metainfo) {
		t.Fatal(err)
	}
}

func TestNothingOfTooFewReplicasIsNotAnAbsence(t *testing.T) {
	c := New(emptyCaller{}, netip.Addr{})
	defer func() { _ = c.Close() }()
	if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrNotReady) || errors.Is(err, ErrNotFound) {
		t.Errorf("torrent: %v", err)
	}
	if err := c.Unpublish(bg, "x"); !errors.Is(err, ErrNotReady) {
		t.Errorf("unpublish: %v", err)
	}
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || len(s.Peers) != 0 {
		t.Errorf("peers, which are soft: %+v, %v", s, err)
	}
}

// emptyCaller holds nothing, but cannot vouch for it.
type emptyCaller struct{}

func (emptyCaller) Call(context.Context, any) (any, error) {
	return chord.GetReply{Unconfirmed: true}, nil
}

func TestDamagedChunksAreNoticedAndPublishedAgain(t *testing.T) {
	for _, damage := range []chord.Update{{Value: []byte("garbage")}, {Delete: true}} {
		c, _ := inRing(t)
		what := contentFor(t, "x", 1, 6*chunkBytes)
		publish(t, c, what)
		f, _, err := c.getField(bg, torrentKey("x"), headerField(what.v.InfoHash))
		if err != nil {
			t.Fatal(err)
		}
		held, err := parseHeld(f)
		if err != nil {
			t.Fatal(err)
		}
		damage.Name = held.header.set(what.v.InfoHash).chunk(5)
		if _, err := c.put(bg, torrentKey("x"), damage); err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Torrent(bg, "x")
		if damage.Delete && !errors.Is(err, ErrIncomplete) || !damage.Delete && !errors.Is(err, ErrMismatch) {
			t.Fatalf("error %v", err)
		}
		publish(t, c, what)
		if _, b, err := c.Torrent(bg, "x"); err != nil || !bytes.Equal(b, what.metainfo) {
			t.Fatalf("after publishing again: %v", err)
		}
	}
}

func TestPublishingTheSameAgainWritesNoChunks(t *testing.T) {
	c, ring := inRing(t)
	what := contentFor(t, "x", 1, 6*chunkBytes)
	publish(t, c, what)
	onPuts(ring, func(_ int, op chord.Put) *ringtest.Fault {
		if len(op.Updates) > 1 || len(op.Updates[0].Value) > 1000 {
			t.Errorf("%d updates written to %q", len(op.Updates), op.Key)
		}
		return nil
	})
	publish(t, c, what)
	checkConsistent(t, c, "x")
}

func TestPassingTroubleIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ring := inRing(t)
		codes := []chord.Code{chord.CodeNotReady, chord.CodeUnavailable, chord.CodeLeaving, chord.CodeNotReady}
		ring.Intercept(func(n int, _ any) *ringtest.Fault {
			if n < len(codes) {
				return &ringtest.Fault{Code: codes[n]}
			}
			return nil
		})
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestLastingTroubleEndsAfterTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ring := inRing(t)
		ring.Intercept(func(int, any) *ringtest.Fault { return &ringtest.Fault{Code: chord.CodeNotReady} })
		begin := time.Now()
		_, _, err := c.Torrent(bg, "x")
		if !errors.Is(err, ErrNotReady) || errors.Is(err, ErrNotFound) {
			t.Fatalf("error %v", err)
		}
		if took := time.Since(begin); took != opBudget {
			t.Fatalf("gave up after %v", took)
		}
		if n := ring.Calls(); n < 10 || n > 60 {
			t.Fatalf("asked %d times", n)
		}
	})
}

func TestTheCallersContextEndsAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ring := inRing(t)
		ring.Intercept(func(int, any) *ringtest.Fault { return &ringtest.Fault{Code: chord.CodeNotReady} })
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		if _, err := c.Files(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		if _, _, err := c.Torrent(bg, "x"); !errors.Is(err, ErrClosed) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestStatusAndWrongAnswers(t *testing.T) {
	c, ring := inRing(t)
	ring.SetStatus(chord.Status{Cluster: "demo", Keys: 3})
	if st, err := status(bg, c); err != nil || st.Cluster != "demo" || st.Keys != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	if got := c.LocalAddr(); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("local address %v", got)
	}
	odd := New(oddCaller{}, netip.Addr{})
	defer func() { _ = odd.Close() }()
	if _, err := status(bg, odd); err == nil {
		t.Error("an answer of another type passes")
	}
	if _, _, err := odd.Torrent(bg, "x"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("an answer of another type: %v", err)
	}
}

type oddCaller struct{}

func (oddCaller) Call(context.Context, any) (any, error) { return "hello", nil }
