package rpc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"chordtorrent/chord"
)

func mustFrame(t testing.TB, msg any, id uint64, isReply bool, left time.Duration) []byte {
	t.Helper()
	b, err := appendFrame(nil, msg, id, isReply, left)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenFrames(t *testing.T) {
	for _, c := range []struct {
		msg   any
		id    uint64
		reply bool
		left  time.Duration
		hex   string
	}{
		{chord.GetStatus{}, 0x0102030405060708, false, 1500 * time.Millisecond, "0000000e" + "16" + "0102030405060708" + "000005dc" + "90"},
		{chord.GetStatus{}, 1, false, time.Nanosecond, "0000000e" + "16" + "0000000000000001" + "00000001" + "90"},
		{chord.GetStatus{}, 1, false, 0, "0000000e" + "16" + "0000000000000001" + "00000000" + "90"},
		{chord.PutReply{Stamp: 5, Copies: 3, Want: 3}, 1, true, time.Second, "0000000e" + "93" + "0000000000000001" + "9400050303"},
	} {
		b := mustFrame(t, c.msg, c.id, c.reply, c.left)
		if got := hex.EncodeToString(b); got != c.hex {
			t.Errorf("%T: %s\nwant %s", c.msg, got, c.hex)
		}
		f, err := newFrameReader(bytes.NewReader(b)).next()
		if err != nil || f.id != c.id || f.reply != c.reply {
			t.Errorf("%T is read as %+v, %v", c.msg, f, err)
		}
		if want := time.Duration(leftMillis(c.left)) * time.Millisecond; !c.reply && f.left != want {
			t.Errorf("%T: %v left, want %v", c.msg, f.left, want)
		}
	}
}

func TestFramesArriveInAnyPieces(t *testing.T) {
	var stream []byte
	values := [][]byte{{1}, make([]byte, 200<<10), nil, make([]byte, 1<<20), []byte("end")}
	for i, v := range values {
		stream = append(stream, mustFrame(t, chord.Put{Updates: []chord.Update{{Value: v}}}, uint64(i), false, 0)...)
	}
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(stream),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves":       iotest.HalfReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newFrameReader(src)
			for i, v := range values {
				f, err := r.next()
				if err != nil {
					t.Fatal(err)
				}
				msg, err := Decode(f.kind, f.body)
				if err != nil || f.id != uint64(i) || !bytes.Equal(msg.(chord.Put).Updates[0].Value, v) {
					t.Fatalf("frame %d: id %d, %v", i, f.id, err)
				}
			}
			if _, err := r.next(); err != io.EOF {
				t.Errorf("after the last: %v", err)
			}
		})
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	good := mustFrame(t, chord.GetStatus{}, 1, false, 0)
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"over the cap", []byte{0, 0x20, 0, 1, 1, 2, 3}, ErrMalformed},
		{"4 GiB", []byte{0xff, 0xff, 0xff, 0xff}, ErrMalformed},
		{"shorter than its header", []byte{0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}, ErrMalformed},
		{"request without its deadline", []byte{0, 0, 0, 12, 22, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, ErrMalformed},
		{"ends in the length", good[:3], io.ErrUnexpectedEOF},
		{"ends behind the length", good[:4], io.ErrUnexpectedEOF},
		{"ends in the body", good[:len(good)-1], io.ErrUnexpectedEOF},
	} {
		if _, err := newFrameReader(bytes.NewReader(c.in)).next(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestNamingALongFrameAllocatesNoMoreThanArrives(t *testing.T) {
	r := newFrameReader(bytes.NewReader([]byte{0, 0x20, 0, 0, 1, 2, 3}))
	if _, err := r.next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if cap(r.buf) > keepBuffer {
		t.Errorf("%d bytes allocated for 3", cap(r.buf))
	}
}

func TestABigFrameDoesNotKeepItsBuffer(t *testing.T) {
	var stream []byte
	stream = append(stream, mustFrame(t, chord.Put{Updates: []chord.Update{{Value: make([]byte, 1<<20)}}}, 1, false, 0)...)
	stream = append(stream, mustFrame(t, chord.GetStatus{}, 2, false, 0)...)
	r := newFrameReader(bytes.NewReader(stream))
	for range 2 {
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	if cap(r.buf) > keepBuffer {
		t.Errorf("still holds %d bytes", cap(r.buf))
	}
}

// FuzzFrameReader checks that a stream gives frames within the limits, or an
// error, and that each frame re-encodes to the bytes it came from.
func FuzzFrameReader(f *testing.F) {
	f.Add(mustFrame(f, chord.GetStatus{}, 1, false, time.Second))
	f.Add(mustFrame(f, chord.PutReply{Copies: 3}, 1, true, 0))
	f.Add(append(mustFrame(f, Hello{Version: 1, Cluster: "x"}, 0, false, 0), mustFrame(f, Refused{"y"}, 0, false, 0)...))
	f.Add([]byte{0, 0x20, 0, 0})
	f.Add([]byte{0, 0, 0, 9, 0x96, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newFrameReader(iotest.HalfReader(bytes.NewReader(in)))
		rest := in
		for {
			fr, err := r.next()
			if err != nil {
				if err == io.EOF && len(rest) != 0 {
					t.Fatalf("%d bytes ignored", len(rest))
				}
				return
			}
			used := lengthBytes + headerBytes + len(fr.body)
			if !fr.reply {
				used += leftBytes
			}
			if used > len(rest) || !bytes.HasSuffix(rest[:used], fr.body) {
				t.Fatal("the frame is not what arrived")
			}
			rest = rest[used:]
			msg, err := Decode(fr.kind, fr.body)
			if err != nil || fr.kind == noteKind {
				continue
			}
			b := mustFrame(t, msg, fr.id, fr.reply, fr.left)
			fr2, err := newFrameReader(bytes.NewReader(b)).next()
			if err != nil || fr2.id != fr.id || fr2.reply != fr.reply || fr2.kind != fr.kind || fr2.left != fr.left {
				t.Fatalf("%+v became %+v, %v", fr, fr2, err)
			}
		}
	})
}
