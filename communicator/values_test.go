package communicator

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func seq20(first byte) (b [20]byte) {
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// recode decodes a value of each kind and writes it again.
var recode = map[string]func([]byte) ([]byte, error){
	"header": func(b []byte) ([]byte, error) {
		h, err := decodeHeader(b)
		return h.encode(), err
	},
	"set": func(b []byte) ([]byte, error) {
		n, err := decodeSet(b)
		return encodeSet(n), err
	},
	"listing": func(b []byte) ([]byte, error) {
		f, err := decodeListing("x", b)
		return encodeListing(f), err
	},
	"address": func(b []byte) ([]byte, error) {
		a, err := decodeAddress(b)
		return encodeAddress(a), err
	},
	"peer": func(b []byte) ([]byte, error) {
		p, err := decodePeer(b)
		b = encodePeer(Announce{Addr: p.Addr, ClientID: p.ClientID, Left: p.Left, Size: p.Size, Rate: p.Rate, Have: p.Have})
		for _, by := range p.Doubters {
			b = append(b, by[:]...)
		}
		return b, err
	},
}

var goldenValues = []struct {
	kind, hex string
	value     []byte
}{
	{"header", "01" + "8094ebdc03" + "e807" + "07" + "d095ffac31" + "8802" + "0102030405060708090a0b0c0d0e0f1011121314" + "7461677461677461",
		header{size: 1000000000, pieces: 1000, publisher: 7, publishedMs: 13247695568, length: 264, digest: seq20(1), tag: [8]byte([]byte("tagtagta"))}.encode()},
	{"set", "018202", encodeSet(258)},
	{"listing", "01" + "05" + "00" + "0102030405060708090a0b0c0d0e0f1011121314",
		encodeListing(File{Size: 5, InfoHash: seq20(1)})},
	{"address", "01" + "04" + "0a000001" + "1b58", encodeAddress(netip.MustParseAddrPort("10.0.0.1:7000"))},
	{"address", "01" + "10" + "fe800000000000000000000000000001" + "1b58", encodeAddress(netip.MustParseAddrPort("[fe80::1%eth0]:7000"))},
	{"peer", "01" + "04" + "7f000001" + "1b58" + "2a" + "01" + "c801" + "ac02" + "03" + "00ff80",
		encodePeer(Announce{Addr: netip.MustParseAddrPort("[::ffff:127.0.0.1]:7000"), ClientID: 42, Left: -1, Size: 100, Rate: 300, Have: []byte{0, 255, 128}})},
}

func TestGoldenValues(t *testing.T) {
	for _, g := range goldenValues {
		if got := hex.EncodeToString(g.value); got != g.hex {
			t.Errorf("%s is written\n%s, want\n%s", g.kind, got, g.hex)
		}
		again, err := recode[g.kind](g.value)
		if err != nil || !bytes.Equal(again, g.value) {
			t.Errorf("%s does not read back: %x, %v", g.kind, again, err)
		}
	}
}

func TestDecodedFieldsAreTheEncodedOnes(t *testing.T) {
	published := time.Date(2025, 3, 4, 5, 6, 7, 8e6, time.UTC)
	f := File{Name: "x", Size: 1 << 40, InfoHash: seq20(9), Published: published}
	if got, err := decodeListing("x", encodeListing(f)); err != nil || got != f {
		t.Errorf("listing %+v, %v", got, err)
	}
	a := Announce{Addr: netip.MustParseAddrPort("[2001:db8::1]:7999"), ClientID: 1<<63 - 1, Left: 1 << 60, Size: 1 << 61, Have: bytes.Repeat([]byte{7}, 256)}
	want := Peer{Addr: a.Addr, ClientID: a.ClientID, Left: a.Left, Size: a.Size, Have: a.Have}
	if got, err := decodePeer(encodePeer(a)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("peer %+v, %v", got, err)
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ kind, hex, why string }{
		{"set", "", "nothing at all"},
		{"set", "0201", "a newer format"},
		{"set", "01", "cut short"},
		{"set", "018000", "a number not in its shortest form"},
		{"set", "01ffffffffffffffffffff01", "a number of more than 64 bits"},
		{"set", "018302", "more chunks than can be"},
		{"set", "010100", "a byte too many"},
		{"address", "01050a0000011b58", "an address of 5 bytes"},
		{"address", "011000000000000000000000ffff0a0000011b58", "IPv4 written as IPv6"},
		{"address", "01040a00", "cut short in the address"},
		{"peer", "01047f0000011b580000000081020000", "257 buckets"},
		{"peer", "01047f0000011b58000000000500", "fewer buckets than said"},
		{"header", "01" + "00000000" + "00" + "0102030405060708090a0b0c0d0e0f1011121314" + "7461677461677461", "a metainfo of no bytes"},
		{"header", "01" + "00000000" + "81808020" + "0102030405060708090a0b0c0d0e0f1011121314" + "7461677461677461", "a metainfo of more than 64 MiB"},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := recode[c.kind](b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with %s: %v", c.kind, c.why, err)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, g := range goldenValues {
		f.Add(g.kind, g.value)
	}
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		again := recode[kind]
		if again == nil {
			return
		}
		got, err := again(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if !bytes.Equal(got, b) {
			t.Fatalf("%s %x is written again as %x", kind, b, got)
		}
	})
}
