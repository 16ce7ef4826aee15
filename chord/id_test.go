package chord

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomID gives places near zero, near the top and anywhere, so that
// neighbours, equal places and wrapping arcs are common.
func randomID(r *rand.Rand) ID {
	var id ID
	switch r.IntN(3) {
	case 0:
		id[IDBytes-1] = byte(r.IntN(4))
	case 1:
		for i := range id {
			id[i] = 0xff
		}
		id[IDBytes-1] -= byte(r.IntN(4))
	default:
		for i := range id {
			id[i] = byte(r.Uint32())
		}
	}
	return id
}

func number(id ID) *big.Int { return new(big.Int).SetBytes(id[:]) }

func TestIDArithmetic(t *testing.T) {
	seed := testSeed(t, 1)
	r := rand.New(rand.NewPCG(seed, 2))
	size := new(big.Int).Lsh(big.NewInt(1), 8*IDBytes)
	way := func(a, b ID) *big.Int { // clockwise from a to b
		d := new(big.Int).Sub(number(b), number(a))
		return d.Mod(d, size)
	}
	for range 20000 {
		a, x, b := randomID(r), randomID(r), randomID(r)
		if got, want := a.Compare(b), number(a).Cmp(number(b)); got != want {
			t.Fatalf("Compare(%s, %s) = %d, want %d", a, b, got, want)
		}
		if got, want := number(Distance(a, b)), way(a, b); got.Cmp(want) != 0 {
			t.Fatalf("Distance(%s, %s) = %x, want %x", a, b, got, want)
		}
		// On the way from a to b one meets x before b, and x is neither.
		arc := way(a, b)
		if a == b {
			arc = size
		}
		between := way(a, x).Sign() > 0 && way(a, x).Cmp(arc) < 0
		if got := Between(a, x, b); got != between {
			t.Fatalf("Between(%s, %s, %s) = %v", a, x, b, got)
		}
		if got, want := InArc(a, x, b), between || x == b; got != want {
			t.Fatalf("InArc(%s, %s, %s) = %v", a, x, b, got)
		}
		// The arcs (a, b] and (b, a] share the ring out, and x is in one.
		if a != b && InArc(a, x, b) == InArc(b, x, a) {
			t.Fatalf("%s is in both or neither of the arcs between %s and %s", x, a, b)
		}
		if back, err := ParseID(a.String()); err != nil || back != a {
			t.Fatalf("ParseID(%q) = %s, %v", a.String(), back, err)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	for _, s := range []string{"", "00", strings.Repeat("0", 39), strings.Repeat("0", 41), strings.Repeat("g", 40), " " + strings.Repeat("0", 39)} {
		if id, err := ParseID(s); err == nil || !strings.Contains(err.Error(), "ring id") {
			t.Errorf("ParseID(%q) = %s, %v", s, id, err)
		}
	}
}

func TestHashKey(t *testing.T) {
	// FIPS 180, "abc": the place of a key is its SHA-1.
	if got := HashKey("abc").String(); got != "a9993e364706816aba3e25717850c26c9cd0d89d" {
		t.Errorf("HashKey(abc) = %s", got)
	}
	if got := HashKey("abc").Short(); got != "a9993e36" {
		t.Errorf("Short = %s", got)
	}
}

func TestKeyClass(t *testing.T) {
	for key, want := range map[Key]Class{"": Hard, "\x00": Hard, "\x7fa": Hard, "\x80": Soft, "\xffa": Soft, "a\xff": Hard} {
		if got := key.Class(); got != want {
			t.Errorf("class of %q is %d, want %d", key, got, want)
		}
	}
}

// TestSplitWidest has many choose the same arc at the same time: all take places in
// its middle, and few the place of another.
func TestSplitWidest(t *testing.T) {
	rng := rand.New(rand.NewPCG(testSeed(t, 1), 1))
	narrow, wide := Arc{From: ID{0x90}, To: ID{0xa0}}, Arc{From: ID{0xc0}, To: ID{0x40}} // over the seam
	from, to := ID{0xc0 + 0x3c}, ID{0x04}
	var taken []ID
	for range 1000 {
		id := SplitWidest(rng, []Arc{narrow, wide})
		if !InArc(previous(from), id, to) {
			t.Fatalf("%s is not in the middle sixteenth of (%s, %s]", id.Short(), wide.From.Short(), wide.To.Short())
		}
		taken = append(taken, id)
	}
	slices.SortFunc(taken, ID.Compare)
	close := 0
	for i := range taken[1:] {
		if d := Distance(taken[i], taken[i+1]); d.Compare(ID{0, 0, 0, 0x10}) < 0 { // a hundred-millionth of the arc
			close++
		}
	}
	if close > 5 {
		t.Errorf("%d of 1000 lie within a hundred-millionth of the arc behind another", close)
	}
	if id := SplitWidest(rng, []Arc{{From: ID{7}, To: ID{7}}}); !InArc(ID{0x80 - 8 + 7 - 1}, id, ID{0x80 + 8 + 7}) {
		t.Errorf("of the whole ring %s is taken, which is not its middle", id.Short())
	}
}
