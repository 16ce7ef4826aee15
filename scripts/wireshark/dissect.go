package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Messages as tshark numbers them (BEP 3, 6), and what it has no number for.
const (
	unchoke    = 1
	interested = 2
	bitfield   = 5
	request    = 6
	piece      = 7
	haveAll    = 14

	handshake = -1
	// longPiece is a piece message of more than 16 KiB. Wireshark takes a message that
	// long for noise, and shows the frames as continuation data.
	longPiece = -2
)

// message is one that tshark has made out.
type message struct {
	fromSeed bool
	kind     int
	length   int // of a request: what is asked for; of a piece: its block
}

// talk is what was said between the seed and one other.
type talk struct {
	frames    int
	malformed []string
	messages  []message
}

// fields are what tshark prints of a frame, several of a kind with commas.
var fields = []string{"frame.number", "ip.src", "_ws.malformed", "bittorrent.protocol.name", "bittorrent.msg.type",
	"bittorrent.msg.length", "bittorrent.piece.length", "bittorrent.continuous_data"}

// dissect has tshark read a capture, as it comes.
func dissect(capture, seed, other string) (*talk, error) {
	args := []string{"-n", "-r", capture, "-Y", "tcp.len > 0 && ip.addr == " + other, "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &talk{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if err := t.frame(strings.Split(lines.Text(), "|"), seed); err != nil {
			return nil, errors.Join(fmt.Errorf("%q: %w", lines.Text()[:min(200, len(lines.Text()))], err), cmd.Wait())
		}
	}
	return t, errors.Join(lines.Err(), cmd.Wait())
}

// frame takes the fields of one.
func (t *talk) frame(f []string, seed string) error {
	if len(f) != len(fields) {
		return fmt.Errorf("%d fields, not %d", len(f), len(fields))
	}
	t.frames++
	if f[2] != "" {
		t.malformed = append(t.malformed, f[0])
	}
	say := func(kind, length int) {
		t.messages = append(t.messages, message{f[1] == seed, kind, length})
	}
	if f[3] != "" {
		say(handshake, 0)
	}
	kinds, err := numbers(f[4])
	if err != nil {
		return err
	}
	lengths, err := numbers(f[5])
	if err != nil {
		return err
	}
	asked, err := numbers(f[6])
	if err != nil {
		return err
	}
	lengths = slices.DeleteFunc(lengths, func(n int) bool { return n == 0 }) // keep-alives have no type
	if len(kinds) != len(lengths) {
		return fmt.Errorf("%d messages have %d lengths", len(kinds), len(lengths))
	}
	for i, kind := range kinds {
		switch kind {
		case request:
			if len(asked) == 0 {
				return errors.New("a request for nothing")
			}
			say(kind, asked[0])
			asked = asked[1:]
		case piece:
			say(kind, lengths[i]-9)
		default:
			say(kind, 0)
		}
	}
	// What is not dissected should begin with the head of a piece, at least once.
	if head, err := hex.DecodeString(f[7][:min(10, len(f[7]))]); err == nil && len(head) == 5 && head[4] == piece {
		say(longPiece, int(head[0])<<24+int(head[1])<<16+int(head[2])<<8+int(head[3])-9)
	}
	return nil
}

func numbers(list string) (ns []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if s == "" {
			continue
		}
		n, err := strconv.ParseInt(s, 0, 32) // some are hexadecimal
		if err != nil {
			return nil, err
		}
		ns = append(ns, int(n))
	}
	return ns, nil
}

// steps are how a download begins.
var steps = []struct {
	words    string
	fromSeed bool
	kinds    []int
}{
	{"the handshake of who fetches", false, []int{handshake}},
	{"the seed's", true, []int{handshake}},
	{"that it has all", true, []int{bitfield, haveAll}},
	{"interested", false, []int{interested}},
	{"unchoke", true, []int{unchoke}},
	{"a request", false, []int{request}},
	{"a piece", true, []int{piece, longPiece}},
}

// check says what is not as it should be. With all set every block of the payload must
// have been made out.
func (t *talk) check(all bool) error {
	if len(t.malformed) > 0 {
		return fmt.Errorf("%d malformed frames, of them %s", len(t.malformed), t.malformed[0])
	}
	at := 0
	for _, s := range steps {
		i := slices.IndexFunc(t.messages, func(m message) bool { return m.fromSeed == s.fromSeed && slices.Contains(s.kinds, m.kind) })
		if i < 0 {
			return fmt.Errorf("tshark does not see %s", s.words)
		}
		if i < at {
			return fmt.Errorf("tshark sees %s too early", s.words)
		}
		at = i
	}
	first := t.messages[at]
	wanted := slices.ContainsFunc(t.messages[:at], func(m message) bool { return m.kind == request && m.length == first.length })
	if !wanted {
		return fmt.Errorf("the first piece has %d bytes, which nobody asked for", first.length)
	}
	if got := t.bytes(); all && got < size {
		return fmt.Errorf("tshark sees %d of %d bytes in pieces", got, size)
	}
	return nil
}

// bytes is what tshark has made out of the payload.
func (t *talk) bytes() (n int) {
	for _, m := range t.messages {
		if m.kind == piece {
			n += m.length
		}
	}
	return n
}

func (t *talk) String() string {
	largest := 0
	for _, m := range t.messages {
		if m.kind == request {
			largest = max(largest, m.length)
		}
	}
	return fmt.Sprintf("%d frames, none malformed; %d messages in order; requests of up to %d bytes, %d bytes in pieces",
		t.frames, len(t.messages), largest, t.bytes())
}
