package rpc

import (
	"encoding/hex"
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"chordtorrent/chord"
)

// unhex is for bytes that are written down in a test.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatANeighbourVersionSendsIsUnderstood(t *testing.T) {
	reply := chord.GetReply{Code: chord.CodeOK, Fields: []chord.Field{{Name: "f"}, {Name: "g", Entry: chord.Entry{Value: []byte("v")}}}, Total: 3}
	_, body, err := Encode(reply)
	if err != nil {
		t.Fatal(err)
	}
	// One field more in the message, and in each of the two in its list: a number, a text
	// and a list of both.
	longer := unhex(t, "96")
	rest := body[1:]
	at := len(rest) - len(mustCheck(t, &shape{class: integer}, rest)) // the code
	longer = append(longer, rest[:at]...)
	longer = append(longer, rest[at]) // a list of two
	rest = rest[at+1:]
	for range 2 {
		end := mustCheck(t, known.byNumber[17].shape.fields[1].elem, rest)
		one := rest[:len(rest)-len(end)]
		longer = append(longer, one[0]+1) // one field more
		longer = append(longer, one[1:]...)
		longer = append(longer, unhex(t, "92a3616263d1012c")...)
		rest = end
	}
	longer = append(append(longer, rest...), 0x2a)
	got, err := decodeOf(Version+1, 17, longer)
	if err != nil || !reflect.DeepEqual(got, reply) {
		t.Errorf("with a field more: %#v, %v", got, err)
	}
	if _, err := decodeOf(Version, 17, longer); !errors.Is(err, ErrMalformed) {
		t.Errorf("of our own version it is malformed, but: %v", err)
	}
	if _, err := decodeOf(Version-1, 17, longer); !errors.Is(err, ErrMalformed) {
		t.Errorf("of an older version too, but: %v", err)
	}
	for name, odd := range map[string]string{"a map": "81a0a0", "a float": "ca00000000", "cut off": "92a0", "deep": "91919191919191919191919191919191919100", "an extension": "d40000"} {
		if _, err := decodeOf(Version+1, 20, append(unhex(t, "91"), unhex(t, odd)...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s in a field that is not known: %v", name, err)
		}
	}

	shorter := append([]byte{body[0] - 1}, body[1:len(body)-1]...)
	if got, err := decodeOf(Version-1, 17, shorter); err != nil || !reflect.DeepEqual(got, reply) {
		t.Errorf("without its last field, which is zero then: %#v, %v", got, err)
	}
	for _, version := range []uint16{Version, Version + 1} {
		if _, err := decodeOf(version, 17, shorter); !errors.Is(err, ErrMalformed) {
			t.Errorf("a field missing of version %d: %v", version, err)
		}
	}
}

func mustCheck(t *testing.T, s *shape, b []byte) (rest []byte) {
	t.Helper()
	rest, err := s.check(b, Version)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

func TestMembersOfNeighbourVersionsTalk(t *testing.T) {
	for _, beside := range []uint16{Version - 1, Version + 1} {
		a, b := startMember(t, 1), startMember(t, 2)
		b.hello.Version = beside
		b.send(a.ref, 1, "from the other version")
		if got := receive(t, "a message", a.got); got.Body.(note).Text != "from the other version" {
			t.Errorf("got %+v", got)
		}
		a.send(b.ref, 2, "and back")
		receive(t, "a message", b.got)
		c, d := startMember(t, 3), startMember(t, 4)
		d.hello.Version = beside
		c.send(d.ref, 3, "it answers, too")
		receive(t, "a message", d.got)
	}
	a, b := startMember(t, 1), startMember(t, 2)
	b.hello.Version = Version + 2
	b.send(a.ref, 1, "from too far away")
	if f := receive(t, "the refusal", b.failed); f.seq != 1 {
		t.Errorf("%+v", f)
	}
}

// TestANewerMessageIsDropped: what a newer member sends and we do not know costs nothing
// but itself; from one of our own version it ends the connection.
func TestANewerMessageIsDropped(t *testing.T) {
	const unknown = 126
	for _, version := range []uint16{Version, Version + 1} {
		for _, who := range []chord.Ref{{ID: chord.ID{9}, Addr: "127.0.0.1:1"}, {}} { // a member, a client
			m := startMember(t, 1)
			conn, err := net.Dial("tcp", m.ref.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			r := newFrameReader(conn)
			if _, err := greet(conn, r, Hello{Version: version, Cluster: "test", Member: who}); err != nil {
				t.Fatal(err)
			}
			frames := mustFrame(t, chord.GetStatus{}, 5, false, 0)
			frames[4] = unknown
			if who.IsZero() {
				frames = append(frames, mustFrame(t, chord.AssignID{}, 6, false, 0)...)
			} else {
				frames = append(frames, mustFrame(t, note{Text: "known"}, 6, false, 0)...)
			}
			if _, err := conn.Write(frames); err != nil {
				t.Fatal(err)
			}
			if version == Version {
				if f, err := r.next(); err == nil {
					t.Errorf("an unknown message of our own version is answered with %+v", f)
				}
				continue
			}
			if who.IsZero() {
				if f, err := r.next(); err != nil || f.id != 6 {
					t.Errorf("the request after a newer one: %+v, %v", f, err)
				}
			} else if got := receive(t, "the message after a newer one", m.got); got.Seq != 6 {
				t.Errorf("got %+v", got)
			}
			if n := m.Counters()["newer_message"]; n != 1 {
				t.Errorf("%d newer messages counted", n)
			}
		}
	}
}

func TestAHelloOfTheNextVersionMayHaveMoreFields(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	result := make(chan Hello, 1)
	go func() {
		theirs, _ := welcome(far, newFrameReader(far), Hello{Version: Version, Cluster: ""}, func(Hello) string { return "" })
		far.Close()
		result <- theirs
	}()
	hello := mustFrame(t, Hello{Version: Version + 1}, 0, false, 0)
	body := lengthBytes + headerBytes + leftBytes
	hello[body]++ // one field more
	hello = append(hello, 0xc3)
	hello[3]++ // so much longer
	if _, err := near.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := readHello(newFrameReader(near)); err != nil {
		t.Error(err)
	}
	if theirs := <-result; theirs.Version != Version+1 {
		t.Errorf("%+v", theirs)
	}
}
