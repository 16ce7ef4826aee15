package chord

import "testing"

// TestAGrownRangeIsJudgedPartByPart has three members answer for a range that has
// grown over its predecessor's. All three hold all of it by some claim, but the first
// part was granted anew since, to others than the third.
func TestAGrownRangeIsJudgedPartByPart(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 1)
	m := hosts[0].m
	ids := []ID{{1}, {2}, {3}}
	from, middle, to := ID{0x10}, ID{0x20}, ID{0x40}
	old, since := uint64(1)<<markBits, uint64(2)<<markBits
	both := arcs{{From: from, To: middle, Epoch: since, Ring: 9}, {From: middle, To: to, Epoch: old, Ring: 9}}
	onlyOld := arcs{{From: from, To: to, Epoch: old, Ring: 9}}
	for _, c := range []struct {
		what  string
		third arcs
		want  bool
	}{
		{"the third has it too", both, true},
		{"the third has what was before", onlyOld, false},
		{"the third has only the other part", both[1:], false},
	} {
		rd := &round{from: from, to: to, heard: map[ID]bool{}}
		for i, held := range []arcs{both, both, c.third} {
			rd.heard[ids[i]] = true
			rd.claims, rd.held = append(rd.claims, held.over(from, to)), append(rd.held, held)
			rd.equal = append(rd.equal, claimant{Ref{ID: ids[i], Addr: "a"}, held})
		}
		parts, ok := m.vouchedParts(rd, false)
		if ok != c.want {
			t.Errorf("%s: %v, want %v", c.what, ok, c.want)
		}
		if ok && (len(parts) != 2 || parts[0].to != middle || parts[0].base != since || parts[1].to != to || parts[1].base != old) {
			t.Errorf("%s: parts %+v", c.what, parts)
		}
	}
	// Who counts in one part only is told of a grant, and gets it last.
	m.repair.config = nil
	m.repair.base.parts = []part{{to: middle, base: since, ring: 9}, {to: to, base: old, ring: 9}}
	rd := &round{equal: []claimant{{Ref{ID: ids[0]}, both}, {Ref{ID: ids[1]}, both}, {Ref{ID: ids[2]}, both}, {Ref{ID: ID{4}}, onlyOld}, {Ref{ID: ID{5}}, nil}}}
	if left := m.remaining(rd); len(left.all) != 3 || len(left.some) != 1 || left.some[0].ID != (ID{4}) || !left.enough {
		t.Errorf("remaining %+v", left)
	}
	rd.equal = rd.equal[1:]
	if left := m.remaining(rd); left.enough {
		t.Errorf("two are enough of three: %+v", left)
	}
}
