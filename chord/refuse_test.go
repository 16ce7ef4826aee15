package chord

import (
	"strings"
	"testing"
)

// TestImpossibleMessagesAreRefused gives a member of a ring what no member
// sends: each is refused for its reason, has no effect and gets no answer.
func TestImpossibleMessagesAreRefused(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 3)
	h, other := hosts[0], hosts[1].ref
	future := stampAt(simEpoch.Millis() + 2*maxFuture.Milliseconds())
	field := func(f Field) []Field { return []Field{f} }
	for _, c := range []struct {
		what, reason string
		from         Ref
		reply        bool
		body         Body
	}{
		{"from nobody", "impossible_id", Ref{}, false, AskClock{}},
		{"from itself", "impossible_id", h.ref, false, AskClock{}},
		{"a successor without an id", "impossible_id", other, true, Neighbors{Joined: true, Pred: other, Succ: []Ref{{Addr: "10.0.0.9:1"}}}},
		{"a successor without an address", "impossible_id", other, true, Neighbors{Joined: true, Pred: other, Succ: []Ref{{ID: ID{1}}}}},
		{"an address without end", "impossible_id", other, false, Departing{Pred: Ref{ID: ID{1}, Addr: strings.Repeat("a", 1000)}}},
		{"a list without end", "too_many", other, true, Neighbors{Joined: true, Pred: other, Succ: make([]Ref, 1000)}},
		{"hints without end", "too_many", other, true, OwnerHint{Next: make([]Ref, 1000)}},
		{"a ring of less than nobody", "impossible_ring", other, true, Neighbors{Joined: true, Pred: other, Elder: -1}},
		{"a claim of less than nobody", "impossible_ring", other, true, Merged{Claim: Claim{Complete: true, Ring: -5}}},
		{"nobody to forsake", "impossible_id", other, false, Forsake{}},
		{"a grant of another's range", "foreign_range", other, false, Grant{From: ID{1}, To: hosts[2].ref.ID, Epoch: 1 << 60, Ring: 3}},
		{"a grant to come of another's range", "foreign_range", other, false, Prepare{From: ID{1}, To: hosts[2].ref.ID}},
		{"a grant to come in a ring of less than nobody", "impossible_ring", other, true, Summary{Claim: Claim{Next: Intent{Epoch: 1, Ring: -1}}}},
		{"claims without end", "too_many", other, true, Summary{Claims: make([]Arc, maxPieces+1)}},
		{"a claim to a part in a ring of less than nobody", "impossible_ring", other, true, Summary{Claims: []Arc{{Ring: -1}}}},
		{"a purge of another's range", "foreign_range", other, false, Purge{From: ID{1}, To: hosts[2].ref.ID}},
		{"a stamp of the far future", "stamp_in_future", other, false, MergeFields{Key: "\x01k", Fields: field(Field{Name: "f", Entry: Entry{Stamp: future}})}},
		{"the last stamp there is", "stamp_in_future", other, true, Stamps{Items: []FieldStamp{{Name: "f", Stamp: ^Stamp(0)}}}},
		{"a write that was tried in the far future", "stamp_in_future", other, false, ForwardPut{Op: Put{Key: "\x01k"}, Tried: future}},
		{"a write stamped in the far future", "stamp_in_future", other, true, ForwardedPut{Reply: PutReply{Stamp: future}}},
		{"a value over its cap", "value_too_large", other, false, MergeFields{Key: "\x01k", Fields: field(Field{Name: "f", Entry: Entry{Stamp: 1, Value: make([]byte, MaxValueBytes+1)}})}},
		{"a value over its cap, as an answer", "value_too_large", other, true, Fields{Fields: field(Field{Name: "f", Entry: Entry{Stamp: 1, Value: make([]byte, MaxValueBytes+1)}})}},
		{"a name over its cap", "name_too_long", other, false, MergeFields{Key: "\x01k", Fields: field(Field{Name: strings.Repeat("n", MaxFieldBytes+1)})}},
		{"a key over its cap", "name_too_long", other, false, MergeFields{Key: Key("\x01" + strings.Repeat("k", MaxKeyBytes)), Fields: field(Field{Name: "f"})}},
		{"stamps without end", "too_many", other, true, Stamps{Items: make([]FieldStamp, maxStamps+1)}},
	} {
		before := dumpStore(h.disk, Hard)
		h.m.Receive(h.clock(), Envelope{From: c.from, To: h.ref, Seq: 1, Reply: c.reply, Body: c.body})
		var refused []Event
		out := h.m.Take()
		for _, e := range out.Events {
			if e.Kind == EventRefused {
				refused = append(refused, e)
			}
		}
		if len(refused) != 1 || refused[0].Text != c.reason || refused[0].Ref != c.from {
			t.Errorf("%s: %+v, want %q", c.what, out.Events, c.reason)
		}
		if len(out.Send)+len(out.Store) > 0 || dumpStore(h.disk, Hard) != before {
			t.Errorf("%s has an effect: %+v", c.what, out)
		}
	}
	net.settle(3)
	hosts[1].mustPut("\x01k", "f", "v")
	h.mustGet("\x01k", "f", "v")
}

// A clock that is years ahead is wrong, and what it has stamped is taken over
// all the same.
func TestAYearAheadIsNotRefused(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 2)}, 2)
	m := hosts[0].m
	year := stampAt(simEpoch.Millis() + 10*365*24*3600*1000)
	fields := []Field{{Name: "f", Entry: Entry{Stamp: year, Value: []byte("v")}}}
	if r := m.refusal(Envelope{From: hosts[1].ref, Body: MergeFields{Key: "\x01k", Fields: fields}}); r != "" {
		t.Errorf("refused: %s", r)
	}
}
