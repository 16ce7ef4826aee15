package ringtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"chordtorrent/chord"
)

func put(t *testing.T, r *Ring, op chord.Put) chord.PutReply {
	t.Helper()
	rep, err := r.Call(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	return rep.(chord.PutReply)
}

func get(t *testing.T, r *Ring, op chord.Get) chord.GetReply {
	t.Helper()
	rep, err := r.Call(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	return rep.(chord.GetReply)
}

func TestStampsGrowAndTombstonesHide(t *testing.T) {
	r := New(1)
	a := put(t, r, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "f", Value: []byte("1")}}})
	b := put(t, r, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "f", Delete: true}}})
	if b.Stamp <= a.Stamp || a.Copies != 3 {
		t.Fatalf("stamps %d then %d, copies %d", a.Stamp, b.Stamp, a.Copies)
	}
	if rep := get(t, r, chord.Get{Key: "\x01k"}); rep.Code != chord.CodeNotFound || len(rep.Fields) != 0 {
		t.Fatalf("a deleted field shows: %+v", rep)
	}
}

func TestExpiryFollowsTheRingsClock(t *testing.T) {
	r := New(1)
	put(t, r, chord.Put{Key: "\x81k", Updates: []chord.Update{{Name: "f", Value: []byte("1"), TTL: 10 * time.Second}}})
	r.Advance(9 * time.Second)
	if rep := get(t, r, chord.Get{Key: "\x81k"}); len(rep.Fields) != 1 {
		t.Fatalf("gone before its time: %+v", rep)
	}
	r.Advance(time.Second)
	if rep := get(t, r, chord.Get{Key: "\x81k"}); rep.Code != chord.CodeNotFound {
		t.Fatalf("still there: %+v", rep)
	}
}

func TestPagesAndSamples(t *testing.T) {
	r := New(1)
	for i := range 10 {
		put(t, r, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: fmt.Sprintf("a%d", i), Value: make([]byte, 100)}}})
	}
	put(t, r, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "b"}}})
	var names []string
	after := ""
	for {
		rep := get(t, r, chord.Get{Key: "\x01k", Prefix: "a", After: after, Limit: 350})
		if rep.Total != 10 {
			t.Fatalf("total %d", rep.Total)
		}
		for _, f := range rep.Fields {
			names = append(names, f.Name)
			after = f.Name
		}
		if !rep.More {
			break
		}
	}
	if len(names) != 10 || names[9] != "a9" {
		t.Fatalf("pages gave %q", names)
	}
	rep := get(t, r, chord.Get{Key: "\x01k", Prefix: "a", Sample: 4})
	if len(rep.Fields) != 4 || rep.Total != 10 {
		t.Fatalf("sample of 4: %d of %d", len(rep.Fields), rep.Total)
	}
}

func TestFaultsBeforeAndAfter(t *testing.T) {
	r := New(1)
	lost := errors.New("connection lost")
	r.Intercept(func(n int, op any) *Fault {
		switch n {
		case 0:
			return &Fault{Err: lost}
		case 1:
			return &Fault{Code: chord.CodeUnavailable, Applied: true}
		}
		return nil
	})
	op := chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "f", Value: []byte("1")}}}
	if _, err := r.Call(context.Background(), op); !errors.Is(err, lost) {
		t.Fatalf("err %v", err)
	}
	if len(r.Dump("\x01k")) != 0 {
		t.Fatal("applied although it failed before")
	}
	if rep := put(t, r, op); rep.Code != chord.CodeUnavailable {
		t.Fatalf("code %d", rep.Code)
	}
	if len(r.Dump("\x01k")) != 1 || r.Calls() != 2 || len(r.Keys()) != 1 {
		t.Fatal("not applied although only the answer was lost")
	}
}

func TestLimits(t *testing.T) {
	r := New(1)
	big := chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "f", Value: make([]byte, chord.MaxValueBytes+1)}}}
	if rep := put(t, r, big); rep.Code != chord.CodeTooLarge {
		t.Fatalf("code %d", rep.Code)
	}
	r.SetCopies(1)
	if rep := put(t, r, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: "f"}}}); rep.Code != chord.CodeDegraded || rep.Copies != 1 {
		t.Fatalf("%+v", rep)
	}
}
