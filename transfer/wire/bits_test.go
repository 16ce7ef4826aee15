package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBitsAreTheBitfieldMessage(t *testing.T) {
	b := NewBits(11)
	for _, i := range []int{0, 7, 8, 10} {
		b.Set(i)
	}
	if got := b.Bytes(); !bytes.Equal(got, []byte{0b10000001, 0b10100000}) {
		t.Fatalf("%08b", got)
	}
	b.Clear(7)
	if b.Get(7) || !b.Get(8) || b.Count() != 3 || b.Len() != 11 {
		t.Fatal("clear")
	}
	if got := b.AppendBytes([]byte{1}); !bytes.Equal(got, []byte{1, 0x80, 0xa0}) {
		t.Fatalf("% x", got)
	}
}

func TestBitfieldsThatDoNotFitAreRefused(t *testing.T) {
	for _, c := range []struct {
		p  []byte
		n  int
		ok bool
	}{
		{nil, 0, true}, {[]byte{0}, 0, false}, {nil, 1, false}, {[]byte{0x80}, 1, true},
		{[]byte{0x40}, 1, false}, {[]byte{0xff}, 8, true}, {[]byte{0xff, 0}, 8, false},
		{bytes.Repeat([]byte{255}, 8), 64, true}, {bytes.Repeat([]byte{255}, 9), 65, false},
	} {
		b, err := FromBytes(c.p, c.n)
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrBitfield)) {
			t.Errorf("% x for %d pieces: %v", c.p, c.n, err)
		}
		if err == nil && !bytes.Equal(b.Bytes(), c.p) {
			t.Errorf("% x comes back as % x", c.p, b.Bytes())
		}
	}
}

// Every operation against the same one on a slice of bools.
func TestBitsAgainstBools(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{0, 1, 7, 8, 63, 64, 65, 127, 128, 1000} {
		for range 20 {
			a, b := NewBits(n), NewBits(n)
			as, bs := make([]bool, n), make([]bool, n)
			density := r.IntN(5)
			for i := range n {
				if r.IntN(4) < density {
					a.Set(i)
					as[i] = true
				}
				if r.IntN(2) == 0 {
					b.Set(i)
					bs[i] = true
				}
			}
			var each, both []int
			notB := 0
			for i := range n {
				if as[i] {
					each = append(each, i)
					if bs[i] {
						both = append(both, i)
					} else {
						notB++
					}
				}
			}
			if got := slices.Collect(a.Each()); !slices.Equal(got, each) {
				t.Fatalf("seed %d n %d: each %v, want %v", seed, n, got, each)
			}
			if got := slices.Collect(a.EachAnd(b)); !slices.Equal(got, both) {
				t.Fatalf("seed %d n %d: and %v, want %v", seed, n, got, both)
			}
			if a.Count() != len(each) || a.All() != (len(each) == n) || a.None() != (len(each) == 0) {
				t.Fatalf("seed %d n %d: count %d of %d, all %v, none %v", seed, n, a.Count(), len(each), a.All(), a.None())
			}
			if a.AndNotCount(b) != notB || a.AndNotAny(b) != (notB > 0) {
				t.Fatalf("seed %d n %d: and-not %d, want %d", seed, n, a.AndNotCount(b), notB)
			}
			c := a.Clone()
			if !c.Equal(a) {
				t.Fatal("a clone differs")
			}
			c.Or(b)
			if c.Count() != len(each)+b.Count()-len(both) || c.AndNotAny(c) || (notB > 0) == c.Equal(b) {
				t.Fatalf("seed %d n %d: or", seed, n)
			}
			back, err := FromBytes(a.Bytes(), n)
			if err != nil || !back.Equal(a) {
				t.Fatalf("seed %d n %d: bytes: %v", seed, n, err)
			}
			a.SetAll()
			if !a.All() || a.Count() != n {
				t.Fatalf("seed %d n %d: set all: %d", seed, n, a.Count())
			}
			if _, err := FromBytes(a.Bytes(), n); err != nil {
				t.Fatalf("set all leaves spare bits: %v", err)
			}
		}
	}
}

func TestIterationMayStopAndClear(t *testing.T) {
	b := NewBits(200)
	b.SetAll()
	seen := 0
	for i := range b.Each() {
		b.Clear(i)
		if seen++; seen == 100 {
			break
		}
	}
	for range b.EachAnd(b) {
		break
	}
	if b.Count() != 100 || b.Get(99) || !b.Get(100) || NewBits(3).Equal(NewBits(4)) {
		t.Fatal(b.Count())
	}
}

func TestMisuseOfBitsPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"out of range": func() { NewBits(64).Set(64) },
		"negative":     func() { NewBits(64).Get(-1) },
		"other size":   func() { NewBits(64).AndNotAny(NewBits(65)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestSharesTellNothingAndAllExactly(t *testing.T) {
	if got := NewBits(0).Shares(256); len(got) != 0 {
		t.Fatal(got)
	}
	b := NewBits(1000)
	b.Set(0)
	for i := 500; i < 1000; i++ {
		b.Set(i)
	}
	b.Clear(999)
	got := b.Shares(4)
	if len(got) != 4 || got[0] != 1 || got[1] != 0 || got[2] != 255 || got[3] != 253 {
		t.Fatal(got)
	}
	for _, n := range []int{1, 3, 255, 256, 257, 1000} {
		b := NewBits(n)
		b.SetAll()
		for k, s := range b.Shares(256) {
			if s != 255 {
				t.Fatalf("%d pieces, run %d: %d", n, k, s)
			}
		}
		b.Clear(n - 1)
		if s := b.Shares(256); s[len(s)-1] == 255 {
			t.Fatalf("%d pieces less one: %v", n, s)
		}
	}
}

func FuzzFromBytes(f *testing.F) {
	f.Add([]byte{0x80}, 1)
	f.Add(bytes.Repeat([]byte{0xff}, 9), 66)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		if n < 0 || n > 1<<20 {
			return
		}
		if b, err := FromBytes(p, n); err == nil && !bytes.Equal(b.Bytes(), p) {
			t.Fatalf("% x for %d comes back as % x", p, n, b.Bytes())
		}
	})
}
