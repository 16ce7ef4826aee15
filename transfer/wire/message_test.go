package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

var roomy = Limits{MaxBlock: 1 << 20, MaxBitfield: 1 << 16, MaxPayload: 1 << 16}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every message as the BEPs write it, both ways.
var golden = []struct {
	hex string
	msg Message
}{
	{"00000000", Message{ID: KeepAlive}},
	{"00000001 00", Message{ID: Choke}},
	{"00000001 01", Message{ID: Unchoke}},
	{"00000001 02", Message{ID: Interested}},
	{"00000001 03", Message{ID: NotInterested}},
	{"00000005 04 0000002a", Message{ID: Have, Index: 42}},
	{"00000003 05 ff80", Message{ID: Bitfield, Bits: []byte{0xff, 0x80}}},
	{"00000001 05", Message{ID: Bitfield, Bits: []byte{}}},
	{"0000000d 06 00000001 00004000 00004000", Message{ID: Request, Index: 1, Begin: 16384, Length: 16384}},
	{"0000000c 07 00000002 00008000 616263", Message{ID: Piece, Index: 2, Begin: 32768, Length: 3, Block: []byte("abc")}},
	{"00000009 07 00000002 00008000", Message{ID: Piece, Index: 2, Begin: 32768, Block: []byte{}}},
	{"0000000d 08 00000001 00004000 00004000", Message{ID: Cancel, Index: 1, Begin: 16384, Length: 16384}},
	{"00000003 09 1ae1", Message{ID: Port, Payload: []byte{0x1a, 0xe1}}},
	{"00000005 0d ffffffff", Message{ID: Suggest, Index: 1<<32 - 1}},
	{"00000001 0e", Message{ID: HaveAll}},
	{"00000001 0f", Message{ID: HaveNone}},
	{"0000000d 10 00000001 00004000 00000001", Message{ID: Reject, Index: 1, Begin: 16384, Length: 1}},
	{"00000005 11 00000007", Message{ID: AllowedFast, Index: 7}},
	{"00000006 14 00 64313a65", Message{ID: ExtendedMsg, Payload: []byte("\x00d1:e")}},
	{"00000004 fe 010203", Message{ID: 254, Payload: []byte{1, 2, 3}}},
}

func TestMessagesMatchTheirBytes(t *testing.T) {
	for _, g := range golden {
		t.Run(g.msg.ID.String(), func(t *testing.T) {
			want := unhex(t, g.hex)
			if got := g.msg.Append([]byte("x")); !bytes.Equal(got[1:], want) {
				t.Errorf("appends % x, want % x", got[1:], want)
			}
			m, n, err := Parse(append(bytes.Clone(want), 0xaa, 0xbb), roomy)
			if err != nil || n != len(want) || !reflect.DeepEqual(m, g.msg) {
				t.Errorf("parses to %+v, n=%d, err=%v", m, n, err)
			}
			for i := range want {
				if _, n, err := Parse(want[:i], roomy); n != 0 || err != nil {
					t.Errorf("with %d of %d bytes: n=%d err=%v", i, len(want), n, err)
				}
			}
		})
	}
}

func TestHeaderComesBeforeTheBlock(t *testing.T) {
	b := AppendPieceHeader(nil, 3, 0x4000, 16384)
	if len(b) != PieceHeaderLen {
		t.Fatalf("header of %d bytes", len(b))
	}
	for i := range b {
		if _, n, err := ParseHeader(b[:i], roomy); n != 0 || err != nil {
			t.Fatalf("with %d bytes: n=%d err=%v", i, n, err)
		}
	}
	h, n, err := ParseHeader(b, roomy)
	if want := (Header{ID: Piece, Length: 16384, Index: 3, Begin: 0x4000}); h != want || n != 13 || err != nil {
		t.Fatalf("%+v n=%d err=%v", h, n, err)
	}
}

func TestImpossibleMessagesAreRefusedEarly(t *testing.T) {
	lim := Limits{MaxBlock: 16384, MaxBitfield: 2, MaxPayload: 100, MaxRequest: 16384}
	for _, c := range []struct {
		name, hex string
		want      error
	}{
		{"longer than anything", "00004010", ErrTooLong}, // 4 bytes are enough to know
		{"huge", "ffffffff", ErrTooLong},
		{"HTTP", hex.EncodeToString([]byte("GET / HTTP/1.1")), ErrTooLong},
		{"block", "00003fff 09", ErrTooLong},
		{"bitfield", "00000004 05", ErrTooLong},
		{"unknown", "00000066 63", ErrTooLong},
		{"extended", "00000066 14", ErrTooLong},
		{"request for too much", "0000000d 06 00000000 00000000 00004001", ErrTooLong},
		{"choke with payload", "00000002 00", ErrMalformed},
		{"have without payload", "00000001 04", ErrMalformed},
		{"have too long", "00000006 04", ErrMalformed},
		{"short request", "0000000c 06", ErrMalformed},
		{"short piece", "00000008 07", ErrMalformed},
		{"have all with payload", "00000002 0e", ErrMalformed},
	} {
		if _, n, err := Parse(unhex(t, c.hex), lim); !errors.Is(err, c.want) || n != 0 {
			t.Errorf("%s: n=%d err=%v, want %v", c.name, n, err, c.want)
		}
	}
	if _, _, err := Parse(unhex(t, "00004009 07"), lim); err != nil {
		t.Errorf("a block of exactly MaxBlock: %v", err)
	}
}

func TestHandshake(t *testing.T) {
	want := unhex(t, "13 426974546f7272656e742070726f746f636f6c 0000000000100004"+
		"000102030405060708090a0b0c0d0e0f10111213 2d4348303030302d616263646566676869 6a6b6c")
	h, err := ParseHandshake(want)
	if err != nil || !h.Has(Fast) || !h.Has(Extended) || h.Has(DHT) || string(h.PeerID[:]) != "-CH0000-abcdefghijkl" || h.InfoHash[19] != 0x13 {
		t.Fatalf("%+v, %v", h, err)
	}
	again := Handshake{InfoHash: h.InfoHash, PeerID: h.PeerID}
	again.Set(Fast)
	again.Set(Extended)
	if got := again.Append(nil); !bytes.Equal(got, want) || len(got) != HandshakeLen {
		t.Fatalf("appends % x", got)
	}
	for i := range want {
		if _, err := ParseHandshake(want[:i]); err != ErrShortHandshake {
			t.Fatalf("with %d bytes: %v", i, err)
		}
	}
	for i := range 20 {
		bad := bytes.Clone(want[:i+1])
		bad[i] ^= 1
		if _, err := ParseHandshake(bad); !errors.Is(err, ErrNotBitTorrent) || !strings.Contains(err.Error(), "byte "+itoa(i)+" ") {
			t.Fatalf("wrong byte %d: %v", i, err)
		}
	}
}

func itoa(i int) string {
	if i >= 10 {
		return string(rune('0'+i/10)) + itoa(i%10)
	}
	return string(rune('0' + i))
}

func TestDefaultLimitsFitTheTorrent(t *testing.T) {
	lim := DefaultLimits(17)
	if _, n, err := Parse(Message{ID: Bitfield, Bits: make([]byte, 3)}.Append(nil), lim); n == 0 || err != nil {
		t.Errorf("own bitfield: %v", err)
	}
	if _, _, err := Parse(Message{ID: Bitfield, Bits: make([]byte, 4)}.Append(nil), lim); !errors.Is(err, ErrTooLong) {
		t.Errorf("longer bitfield: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := Parse(b, roomy)
		switch {
		case err != nil && n != 0, n > len(b):
			t.Fatalf("n=%d err=%v", n, err)
		case n > 0:
			if again := m.Append(nil); !bytes.Equal(again, b[:n]) {
				t.Fatalf("% x parses to %+v, which is % x", b[:n], m, again)
			}
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b, roomy)
		if err != nil || n == 0 {
			return
		}
		if n > len(b) || h.Length > roomy.MaxBlock {
			t.Fatalf("%+v n=%d", h, n)
		}
		// The header tells where the message ends, whatever follows.
		if m, total, err := Parse(append(bytes.Clone(b[:n]), make([]byte, h.Length)...), roomy); err != nil || total != n+int(h.Length) || m.ID != h.ID {
			t.Fatalf("%+v, then %+v n=%d err=%v", h, m, total, err)
		}
	})
}

func FuzzParseHandshake(f *testing.F) {
	f.Add(Handshake{}.Append(nil))
	f.Add([]byte("\x13BitTorrent"))
	f.Add([]byte("GET /"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHandshake(b)
		if err == nil && !bytes.Equal(h.Append(nil), b[:HandshakeLen]) {
			t.Fatalf("% x is %+v", b, h)
		}
	})
}

func BenchmarkAppendRequest(b *testing.B) {
	buf := make([]byte, 0, 64)
	for b.Loop() {
		buf = Message{ID: Request, Index: 7, Begin: 16384, Length: 16384}.Append(buf[:0])
	}
}

func BenchmarkParseRequest(b *testing.B) {
	msg := Message{ID: Request, Index: 7, Begin: 16384, Length: 16384}.Append(nil)
	for b.Loop() {
		if _, n, _ := Parse(msg, roomy); n != len(msg) {
			b.Fatal(n)
		}
	}
}

func BenchmarkParsePieceHeader(b *testing.B) {
	msg := AppendPieceHeader(nil, 7, 16384, 16384)
	for b.Loop() {
		if _, n, _ := ParseHeader(msg, roomy); n != len(msg) {
			b.Fatal(n)
		}
	}
}

func BenchmarkBitsFromBytes(b *testing.B) {
	raw := make([]byte, 100_000/8)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := FromBytes(raw, 100_000); err != nil {
			b.Fatal(err)
		}
	}
}
