package rpc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"chordtorrent/chord"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random messages; 0 draws one")

func seeded(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// fill puts random content into a value of any type that a message may have.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.String:
		v.SetString(string(randomBytes(r)))
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Slice:
		if r.IntN(4) == 0 {
			return // nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(randomBytes(r))
			return
		}
		n := r.IntN(20)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	default:
		panic("messages have no " + v.Kind().String())
	}
}

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(40)<<(3*r.IntN(4)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestEveryMessageOfTheTableComesBackAsItWas(t *testing.T) {
	r := seeded(t)
	for n, row := range kinds {
		if row.msg == nil {
			continue
		}
		t.Run(fmt.Sprintf("%d_%T", n, row.msg), func(t *testing.T) {
			if row.role == 0 {
				t.Error("no role")
			}
			if _, ok := row.msg.(chord.Body); ok != (row.role == message) {
				t.Errorf("role %d, but chord.Body: %v", row.role, ok)
			}
			for round := range 200 {
				v := reflect.New(reflect.TypeOf(row.msg)).Elem()
				if round > 0 { // the first is the zero message
					fill(r, v)
				}
				kind, body, err := Encode(v.Interface())
				if err != nil {
					t.Fatal(err)
				}
				if int(kind) != n {
					t.Fatalf("encoded as %d", kind)
				}
				back, err := Decode(kind, body)
				if err != nil {
					t.Fatalf("%v of % x", err, body)
				}
				if !reflect.DeepEqual(back, v.Interface()) {
					t.Fatalf("sent %#v\n got %#v", v.Interface(), back)
				}
				for i := range body {
					body[i] ^= 0xff // a message that shares memory with it changes too
				}
				if !reflect.DeepEqual(back, v.Interface()) {
					t.Fatal("the decoded message lives in the body's memory")
				}
			}
		})
	}
}

// goldens are the bytes of the messages between programs of one release. They
// change only together with Version.
var goldens = []struct {
	msg  any
	kind uint8
	hex  string
}{
	{Hello{Version: 1, Cluster: "lab", Member: chord.Ref{ID: chord.ID{0xaa, 19: 1}, Addr: "10.0.0.1:8000"}}, 1,
		"9301a36c616292b4aa00000000000000000000000000000000000001ad31302e302e302e313a38303030"},
	{Refused{Reason: "no"}, 2, "91a26e6f"},
	{chord.Get{Key: "\x01a", Prefix: "p", After: "q", Limit: 300, Sample: 5}, 16, "95a20161a170a171d1012c05"},
	{chord.GetReply{Code: chord.CodeNotReady, Fields: []chord.Field{{Name: "f", Entry: chord.Entry{Value: []byte{1, 2}, Stamp: 1 << 32, Expires: -1, Deleted: true}}}, More: true, Total: 3, Unconfirmed: true}, 17,
		"95029195a166a20102cf0000000100000000ffc3c303c3"},
	{chord.Put{Key: "\x01a", Updates: []chord.Update{{Name: "f", Value: []byte("v"), TTL: 1e9, Delete: true}}}, 18,
		"92a201619194a166a176d23b9aca00c3"},
	{chord.PutReply{Code: chord.CodeDegraded, Stamp: 5, Copies: 1, Want: 3}, 19, "9408050103"},
	{chord.AssignID{}, 20, "90"},
	{chord.AssignIDReply{ClientID: 1<<63 - 1}, 21, "9200cf7fffffffffffffff"},
	{chord.GetStatus{}, 22, "90"},
	{chord.Status{Self: chord.Ref{Addr: "a"}, State: "member", Version: "v", Cluster: "c", Successors: []chord.Ref{{Addr: "b"}}, Keys: 1, SoftKeys: 2, Bytes: 70000, UnderReplicated: 3, IncompleteRanges: 4, LastRepair: 5, HTTP: "h",
		Ring: 6, Ranges: []chord.Range{{From: chord.ID{1}, State: chord.Stray, Own: true, Epoch: 7, Maps: 8}}, ClockOff: -9, Forgotten: []chord.ID{{2}}, Missed: []chord.ID{{3}}, Trackers: [][]string{{"t"}}}, 23,
		"dc001592b40000000000000000000000000000000000000000a161a66d656d626572a176a163" +
			"92b40000000000000000000000000000000000000000a09192b40000000000000000000000000000000000000000a162" +
			"c00102d20001117003040506" +
			"9196b40100000000000000000000000000000000000000b40000000000000000000000000000000000000000a57374726179c30708f791b40200000000000000000000000000000000000000a168a091b403000000000000000000000000000000000000009191a174"},
	{chord.Forget{ID: chord.ID{3}}, 24, "91b40300000000000000000000000000000000000000"},
	{chord.ForgetReply{Code: chord.CodeBadRequest, Told: 1, Of: 300}, 25, "930501d1012c"},
}

func TestGoldenBytes(t *testing.T) {
	have := make(map[uint8]bool)
	for _, g := range goldens {
		have[g.kind] = true
		kind, body, err := Encode(g.msg)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(body); kind != g.kind || got != g.hex {
			t.Errorf("%T: number %d, bytes\n%s\nwant %d\n%s", g.msg, kind, got, g.kind, g.hex)
		}
		want, _ := hex.DecodeString(g.hex)
		back, err := Decode(g.kind, want)
		if err != nil || !reflect.DeepEqual(back, g.msg) {
			t.Errorf("golden of %T is read as %#v, %v", g.msg, back, err)
		}
	}
	for n, row := range kinds {
		if row.msg != nil && row.role != message && !have[uint8(n)] {
			t.Errorf("%T has no golden", row.msg)
		}
	}
}

func TestWhatCannotBeDecoded(t *testing.T) {
	deep := strings.Repeat("91", 40)
	for _, c := range []struct {
		name string
		kind uint8
		hex  string
		want error
	}{
		{"number zero", 0, "90", ErrUnknownKind},
		{"number not given", 126, "90", ErrUnknownKind},
		{"number out of range", 255, "90", ErrUnknownKind},
		{"nothing", 20, "", ErrMalformed},
		{"nil", 20, "c0", ErrMalformed},
		{"a map", 20, "80", ErrMalformed},
		{"a field too many", 20, "9101", ErrMalformed},
		{"a field missing", 18, "91a0", ErrMalformed},
		{"bytes behind", 20, "9000", ErrMalformed},
		{"string for a number", 19, "94a10500000000", ErrMalformed},
		{"float for a number", 19, "94ca3f800000050103", ErrMalformed},
		{"extension for a number", 19, "94d40000050103", ErrMalformed},
		{"number over its type", 19, "94cd0100050103", ErrMalformed},
		{"negative for unsigned", 19, "94ff050103", ErrMalformed},
		{"number for a bool", 17, "9502c001030c", ErrMalformed},
		{"string longer than the body", 16, "95db7fffffffa170a171cd012c05", ErrMalformed},
		{"string of 4 GiB", 16, "95dbffffffffa170a171cd012c05", ErrMalformed},
		{"cut inside a length", 16, "95db7f", ErrMalformed},
		{"list of 4 G entries", 17, "9502ddffffffffc303c3", ErrMalformed},
		{"list cut inside its length", 17, "9502dd00", ErrMalformed},
		{"list of nils", 17, "95029" + "2c0c0" + "c303c3", ErrMalformed},
		{"array of numbers for a string", 16, "95920102a170a171cd012c05", ErrMalformed},
		{"id of 19 bytes", 1, "9301a092b3" + strings.Repeat("00", 19) + "a0", ErrMalformed},
		{"nil for an id", 1, "9301a092c0a0", ErrMalformed},
		{"nesting", 17, deep, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			msg, err := Decode(c.kind, b)
			if !errors.Is(err, c.want) {
				t.Errorf("got %#v, %v; want %v", msg, err, c.want)
			}
		})
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	if _, _, err := Encode(struct{ A int }{}); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("a type outside the table: %v", err)
	}
	if _, _, err := Encode(&chord.Get{}); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("a pointer: %v", err)
	}
	if _, _, err := Encode(nil); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("nil: %v", err)
	}
	long := chord.Put{Updates: []chord.Update{{Value: make([]byte, MaxFrame)}}}
	if _, _, err := Encode(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("longer than a frame: %v", err)
	}
	full := chord.Put{Updates: []chord.Update{{Value: make([]byte, chord.MaxPutBytes)}}}
	if _, _, err := Encode(full); err != nil {
		t.Errorf("the largest Put: %v", err)
	}
}

func TestTypesThatMessagesMustNotHave(t *testing.T) {
	type hidden struct{ a int }
	for _, v := range []any{
		struct{ M map[string]int }{},
		struct{ P *int }{},
		struct{ F float64 }{},
		struct{ E error }{},
		struct{ A [2]string }{},
		struct{ L []struct{ F func() } }{},
		struct {
			A int `codec:"b"`
		}{},
		struct {
			A int `json:",omitempty"`
		}{},
		hidden{a: 1},
	} {
		if s, err := shapeOf(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T is accepted as %+v", v, s)
		}
	}
}

// FuzzDecode checks that whatever decodes encodes again, and decodes to the same.
func FuzzDecode(f *testing.F) {
	for _, g := range goldens {
		b, _ := hex.DecodeString(g.hex)
		f.Add(g.kind, b)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n, row := range kinds {
		if row.msg == nil {
			continue
		}
		v := reflect.New(reflect.TypeOf(row.msg)).Elem()
		fill(r, v)
		if _, body, err := Encode(v.Interface()); err == nil && len(body) < 4096 {
			f.Add(uint8(n), body)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		if kind == noteKind {
			return
		}
		for _, version := range []uint16{Version - 1, Version + 1} { // as lenient as it gets
			if msg, err := decodeOf(version, kind, body); err == nil {
				if _, _, err := Encode(msg); err != nil {
					t.Fatalf("of version %d %#v: %v", version, msg, err)
				}
			}
		}
		msg, err := Decode(kind, body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownKind) {
				t.Fatalf("an error without a name: %v", err)
			}
			return
		}
		again, body2, err := Encode(msg)
		if err != nil || again != kind {
			t.Fatalf("%#v: %v", msg, err)
		}
		msg2, err := Decode(again, body2)
		if err != nil || !reflect.DeepEqual(msg, msg2) {
			t.Fatalf("%#v\nbecame %#v, %v", msg, msg2, err)
		}
		_, body3, err := Encode(msg2)
		if err != nil || !bytes.Equal(body2, body3) {
			t.Fatalf("% x\nbecame % x, %v", body2, body3, err)
		}
	})
}
