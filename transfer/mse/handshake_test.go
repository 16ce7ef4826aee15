package mse

import (
	"bytes"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

var (
	torrent = [20]byte{1, 2, 3}
	other   = [20]byte{4, 5, 6}
)

func seeded(n int) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 7}) }

// serving finds the torrents of a responder.
func serving(hashes ...[20]byte) func([20]byte) ([20]byte, bool) {
	return func(name [20]byte) ([20]byte, bool) {
		for _, h := range hashes {
			if Name(h) == name {
				return h, true
			}
		}
		return [20]byte{}, false
	}
}

// step is Step with all of the arithmetic it asks for.
func step(h *Handshake, in []byte) (out []byte, need Need, err error) {
	for {
		o, need, err := h.Step(in)
		out = append(out, o...)
		if err != nil || need != Work {
			return out, need, err
		}
		h.Compute()
		in = nil
	}
}

// talk has two sides speak with each other, n bytes at a time, until both are done.
func talk(a, b *Handshake, n int) error {
	toA, toB := []byte(nil), []byte(nil)
	hear := func(h *Handshake, in, out *[]byte) (bool, error) {
		part := (*in)[:min(n, len(*in))]
		*in = (*in)[len(part):]
		o, need, err := step(h, part)
		*out = append(*out, o...)
		return need == Nothing, err
	}
	for range 1 << 20 {
		doneA, err := hear(a, &toA, &toB)
		if err != nil {
			return fmt.Errorf("caller: %w", err)
		}
		doneB, err := hear(b, &toB, &toA)
		if err != nil {
			return fmt.Errorf("called: %w", err)
		}
		if doneA && doneB && len(toA)+len(toB) == 0 {
			return nil
		}
	}
	return errors.New("no end")
}

func TestBothSidesAgree(t *testing.T) {
	seed := 0
	for _, provide := range []Method{Plain, RC4, Plain | RC4, Plain | RC4 | 64} {
		for _, initial := range []int{0, 1, 68, maxInitial} {
			for _, n := range []int{1, 7, 1 << 20} {
				seed++
				payload := make([]byte, initial)
				seeded(seed).Read(payload)
				a := Initiate(torrent, provide, payload, seeded(2*seed))
				b := Respond(serving(other, torrent), Plain|RC4, seeded(2*seed+1))
				if err := talk(a, b, n); err != nil {
					t.Fatalf("offer %d, %d initial, %d at a time: %v", provide, initial, n, err)
				}
				sa, sb := a.Session(), b.Session()
				if sb.InfoHash != torrent || !bytes.Equal(sb.Rest, payload) || len(sa.Rest) != 0 {
					t.Errorf("offer %d: torrent %x, %d bytes of %d initial", provide, sb.InfoHash, len(sb.Rest), initial)
				}
				if encrypted := provide&Plain == 0; (sa.In != nil) != encrypted || (sb.In != nil) != encrypted {
					t.Fatalf("offer %d: encrypted %v and %v", provide, sa.In != nil, sb.In != nil)
				} else if encrypted {
					same(t, sa.Out, sb.In)
					same(t, sb.Out, sa.In)
				}
			}
		}
	}
}

// One who insists on encryption selects it although plain text is offered.
func TestResponderInsists(t *testing.T) {
	a, b := Initiate(torrent, Plain|RC4, nil, seeded(1)), Respond(serving(torrent), RC4, seeded(2))
	if err := talk(a, b, 1<<20); err != nil || a.Session().Out == nil {
		t.Fatal(err, a.Session())
	}
	same(t, a.Session().Out, b.Session().In)
	if err := talk(Initiate(torrent, Plain, nil, seeded(1)), Respond(serving(torrent), RC4, seeded(2)), 1<<20); !errors.Is(err, ErrNoMethod) {
		t.Error(err)
	}
}

func same(t *testing.T, out, in *rc4.Cipher) {
	t.Helper()
	said := []byte("what comes behind the handshake")
	travels := make([]byte, len(said))
	out.XORKeyStream(travels, said)
	if bytes.Equal(travels, said) {
		t.Error("it is not encrypted")
	}
	in.XORKeyStream(travels, travels)
	if !bytes.Equal(travels, said) {
		t.Error("one side does not understand the other")
	}
}

// What a peer sends with its last step, as one that does not wait, is not lost.
func TestStreamRightBehindTheHandshake(t *testing.T) {
	for _, provide := range []Method{Plain, RC4} {
		a := Initiate(torrent, provide, []byte("initial"), seeded(1))
		b := Respond(serving(torrent), Plain|RC4, seeded(2))
		one, _, _ := step(a, nil)
		two, _, _ := step(b, one)
		three, _, _ := step(a, two)
		four, need, err := step(b, three)
		if err != nil || need != Nothing {
			t.Fatal(need, err)
		}
		more := []byte("and the stream goes on")
		if out := b.Session().Out; out != nil {
			out.XORKeyStream(more, more)
		}
		if _, need, err = step(a, append(four, more...)); err != nil || need != Nothing {
			t.Fatal(need, err)
		}
		if rest := a.Session().Rest; string(rest) != "and the stream goes on" {
			t.Errorf("offer %d: %q", provide, rest)
		}
	}
}

// caller is an initiator of which a test says each byte.
type caller struct {
	*Handshake
}

// callerTo gets a responder as far as the end of step 2.
func callerTo(t *testing.T, b *Handshake, pad int) caller {
	t.Helper()
	a := caller{&Handshake{rnd: seeded(3)}}
	a.session.InfoHash = torrent
	a.Compute()
	out, _, err := step(b, append(a.public[:], make([]byte, pad)...))
	if err != nil {
		t.Fatal(err)
	}
	a.theirs = key(out[:keyLen])
	a.Compute()
	if err := a.setCiphers("keyA", "keyB"); err != nil {
		t.Fatal(err)
	}
	return a
}

// knows is step 3 without what is encrypted.
func (a caller) knows(hash [20]byte) []byte {
	known, name := sum("req1", a.secret[:]), Name(hash)
	hidden := a.hidden(name[:])
	return append(known[:], hidden[:]...)
}

func (a caller) encrypt(b []byte) []byte {
	a.session.Out.XORKeyStream(b, b)
	return b
}

func offer(vc byte, provide Method, padLen, pad, initialLen, initial int) []byte {
	b := []byte{0, 0, 0, 0, 0, 0, 0, vc}
	b = binary.BigEndian.AppendUint32(b, uint32(provide))
	b = append(binary.BigEndian.AppendUint16(b, uint16(padLen)), make([]byte, pad)...)
	return append(binary.BigEndian.AppendUint16(b, uint16(initialLen)), make([]byte, initial)...)
}

func TestResponderRefuses(t *testing.T) {
	cases := []struct {
		name string
		want error
		say  func(a caller) []byte
	}{
		{"a torrent that is not served", ErrUnknown, func(a caller) []byte { return a.knows(other) }},
		{"a wrong verification", ErrNotMSE, func(a caller) []byte {
			return append(a.knows(torrent), a.encrypt(offer(1, RC4, 0, 0, 0, 0))...)
		}},
		{"no method", ErrNoMethod, func(a caller) []byte {
			return append(a.knows(torrent), a.encrypt(offer(0, 0, 0, 0, 0, 0))...)
		}},
		{"a method of tomorrow", ErrNoMethod, func(a caller) []byte {
			return append(a.knows(torrent), a.encrypt(offer(0, 4, 0, 0, 0, 0))...)
		}},
		{"a pad that is too long", ErrNotMSE, func(a caller) []byte {
			return append(a.knows(torrent), a.encrypt(offer(0, RC4, maxPad+1, 0, 0, 0))...)
		}},
		{"an initial payload that is too long", ErrNotMSE, func(a caller) []byte {
			return append(a.knows(torrent), a.encrypt(offer(0, RC4, maxPad, maxPad, maxInitial+1, 0))...)
		}},
		{"padding without end", ErrNotMSE, func(caller) []byte { return make([]byte, maxPad+20) }},
		{"padding one byte too long", ErrNotMSE, func(a caller) []byte { return append(make([]byte, maxPad+1), a.knows(torrent)...) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 1 << 20} {
				b := Respond(serving(torrent), Plain|RC4, seeded(4))
				a := callerTo(t, b, 0)
				if err := say(b, c.say(a), n); !errors.Is(err, c.want) {
					t.Errorf("%d at a time: %v", n, err)
				}
			}
		})
	}
	t.Run("the longest padding is taken", func(t *testing.T) {
		b := Respond(serving(torrent), Plain|RC4, seeded(4))
		a := callerTo(t, b, maxPad)
		if err := say(b, append(a.knows(torrent), a.encrypt(offer(0, RC4, maxPad, maxPad, 5, 5))...), 1); err != nil || len(b.Session().Rest) != 5 {
			t.Error(err, b.Session())
		}
	})
}

// say gives a side n bytes at a time until it has all or refuses.
func say(h *Handshake, b []byte, n int) error {
	for len(b) > 0 {
		part := b[:min(n, len(b))]
		b = b[len(part):]
		if _, _, err := step(h, part); err != nil {
			return err
		}
	}
	return nil
}

func TestInitiatorRefuses(t *testing.T) {
	answer := func(chosen Method, padLen int) func(*Handshake) []byte {
		return func(b *Handshake) []byte {
			said := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(make([]byte, 8), uint32(chosen)), uint16(padLen))
			b.session.Out.XORKeyStream(said, said)
			return said
		}
	}
	cases := []struct {
		name string
		want error
		say  func(b *Handshake) []byte
	}{
		{"what was not offered", ErrNoMethod, answer(Plain, 0)},
		{"two methods at once", ErrNoMethod, answer(Plain|RC4, 0)},
		{"no method", ErrNoMethod, answer(0, 0)},
		{"a pad that is too long", ErrNotMSE, answer(RC4, maxPad+1)},
		{"padding without end", ErrNotMSE, func(*Handshake) []byte { return make([]byte, maxPad+8) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := Initiate(torrent, RC4, nil, seeded(5))
			one, _, _ := step(a, nil)
			// The other side, with keys as they should be and without a pad.
			b := &Handshake{rnd: seeded(6), theirs: key(one[:keyLen])}
			b.session.InfoHash = torrent
			b.Compute()
			if err := b.setCiphers("keyB", "keyA"); err != nil {
				t.Fatal(err)
			}
			if _, _, err := step(a, b.public[:]); err != nil {
				t.Fatal(err)
			}
			if err := say(a, c.say(b), 1); !errors.Is(err, c.want) {
				t.Error(err)
			}
		})
	}
}

// Keys that make a secret which everybody knows, and numbers that are none of the group.
func TestKeysThatAreNone(t *testing.T) {
	minusOne := new(big.Int).Sub(prime, big.NewInt(1))
	beyond := new(big.Int).Add(prime, two)
	for _, n := range []*big.Int{big.NewInt(0), big.NewInt(1), minusOne, prime, beyond} {
		var k key
		n.FillBytes(k[:])
		if _, _, err := step(Respond(serving(torrent), Plain|RC4, seeded(1)), k[:]); !errors.Is(err, ErrNotMSE) {
			t.Errorf("called: %v for %x", err, k)
		}
		a := Initiate(torrent, RC4, nil, seeded(1))
		step(a, nil)
		if _, _, err := step(a, k[:]); !errors.Is(err, ErrNotMSE) {
			t.Errorf("caller: %v for %x", err, k)
		}
	}
}

// The group is what its definition says: a prime p with (p-1)/2 prime as well.
func TestGroup(t *testing.T) {
	half := new(big.Int).Rsh(prime, 1)
	if prime.BitLen() != 8*keyLen || !prime.ProbablyPrime(10) || !half.ProbablyPrime(10) {
		t.Errorf("%d bits: %x", prime.BitLen(), prime)
	}
}

// BenchmarkHandshake is both sides, without the sending.
func BenchmarkHandshake(b *testing.B) {
	for b.Loop() {
		if err := talk(Initiate(torrent, RC4, nil, seeded(1)), Respond(serving(torrent), Plain|RC4, seeded(2)), 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompute is the arithmetic of the side that was called.
func BenchmarkCompute(b *testing.B) {
	theirs := power(two, private(seeded(1)))
	for b.Loop() {
		h := &Handshake{rnd: seeded(2), theirs: theirs}
		h.Compute()
	}
}

// FuzzHandshake: whatever comes, from somebody without the keys or from one who has
// them and says what he likes behind them, is refused, taken or waited for, within
// the limits.
func FuzzHandshake(f *testing.F) {
	f.Add(false, []byte("GET / HTTP/1.1\r\n\r\n"), []byte{})
	f.Add(true, []byte{2}, offer(0, RC4, 3, 3, 68, 68))
	f.Add(true, []byte{}, offer(0, Plain, 0, 0, 0, 9))
	f.Add(false, bytes.Repeat([]byte{7}, 700), []byte{})
	f.Fuzz(func(t *testing.T, knows bool, raw, inner []byte) {
		called := Respond(serving(torrent), Plain|RC4, seeded(1))
		if knows {
			a := callerTo(t, called, 0)
			raw = raw[:min(len(raw), maxPad)]
			raw = append(append(bytes.Clone(raw), a.knows(torrent)...), a.encrypt(bytes.Clone(inner))...)
		}
		caller := Initiate(torrent, Plain|RC4, nil, seeded(2))
		for _, h := range []*Handshake{called, caller} {
			const atOnce = 100
			b := raw
			for {
				part := b[:min(atOnce, len(b))]
				b = b[len(part):]
				_, need, err := step(h, part)
				if kept := len(h.in); kept > maxInitial+atOnce {
					t.Fatalf("%d bytes are kept", kept)
				}
				if err != nil || need == Nothing || len(b) == 0 {
					break
				}
			}
		}
	})
}
