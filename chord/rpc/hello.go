package rpc

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"

	"chordtorrent/chord"
)

// Magic is what the dialing side of an rpc connection sends first.
const Magic = "CHR1"

// maxHello is the longest frame accepted from somebody not yet known.
const maxHello = 1 << 10

// Hello is the first frame in both directions of a connection.
type Hello struct {
	Version uint16    // of the table in kinds.go; the first field for ever
	Cluster string    // the cluster's name
	Member  chord.Ref // who speaks; zero for a client
}

// Refused ends a connection (id 0, not a reply), or says why a request will
// get no answer (a reply to it). Reason is in words, for a person.
type Refused struct {
	Reason string
}

// helloKind is the frame number of Hello in every version.
const helloKind = 1

// ErrRefused is the outcome of dialing somebody who does not want us, or whom
// we do not want: of another cluster or version, or not the member meant.
var ErrRefused = errors.New("refused")

// greet is the dialing side of the handshake; the caller sets a deadline.
func greet(conn net.Conn, r *frameReader, mine Hello) (Hello, error) {
	first, err := appendFrame([]byte(Magic), mine, 0, false, 0)
	if err != nil {
		return Hello{}, err
	}
	if _, err := conn.Write(first); err != nil {
		return Hello{}, err
	}
	theirs, err := readHello(r)
	if err != nil {
		return Hello{}, err
	}
	if reason := mismatch(mine, theirs); reason != "" {
		return Hello{}, fmt.Errorf("%w: %s", ErrRefused, reason)
	}
	return theirs, nil
}

// welcome is the accepting side, after Magic; the caller sets a deadline and
// may refuse for reasons of its own (check gives one). Whoever is refused is
// told why.
func welcome(conn net.Conn, r *frameReader, mine Hello, check func(Hello) string) (Hello, error) {
	theirs, err := readHello(r)
	if err != nil {
		return Hello{}, err
	}
	reason := mismatch(theirs, mine)
	if reason == "" {
		reason = check(theirs)
	}
	if reason != "" {
		refuse(conn, reason)
		return theirs, fmt.Errorf("%w: %s", ErrRefused, reason)
	}
	answer, err := appendFrame(nil, mine, 0, false, 0)
	if err != nil {
		return Hello{}, err
	}
	_, err = conn.Write(answer)
	return theirs, err
}

// refuse tells the other side why the connection ends, as far as it goes.
func refuse(conn net.Conn, reason string) {
	if b, err := appendFrame(nil, Refused{Reason: reason}, 0, false, 0); err == nil {
		_, _ = conn.Write(b) // it is being closed anyway
	}
}

// mismatch says why the dialer and the accepting side do not fit together.
func mismatch(dialer, accepter Hello) string {
	if !fits(dialer.Version, accepter.Version) {
		return fmt.Sprintf("it speaks version %d of the ring protocol, not %d or one beside that: use programs of one release, or of one and the next", accepter.Version, dialer.Version)
	}
	if dialer.Cluster != accepter.Cluster {
		return fmt.Sprintf("it belongs to cluster %q, not %q: --cluster says which is meant", accepter.Cluster, dialer.Cluster)
	}
	return ""
}

// readHello reads the first frame of the other side.
func readHello(r *frameReader) (Hello, error) {
	r.limit = maxHello
	defer func() { r.limit = MaxFrame }()
	f, err := r.next()
	if err != nil {
		return Hello{}, err
	}
	if f.reply || roleOf(f.kind) != setup {
		return Hello{}, fmt.Errorf("%w: no Hello, but number %d", ErrMalformed, f.kind)
	}
	speaks := uint16(Version)
	if v, ok := helloVersion(f.body); ok && f.kind == helloKind {
		speaks = v
	}
	msg, err := decodeOf(speaks, f.kind, f.body)
	if err != nil {
		// A Hello of a version far away may look in any way.
		if !fits(speaks, Version) {
			return Hello{Version: speaks}, nil
		}
		return Hello{}, err
	}
	if no, isNo := msg.(Refused); isNo {
		return Hello{}, fmt.Errorf("%w: %s", ErrRefused, printable(no.Reason))
	}
	return msg.(Hello), nil
}

// helloVersion reads the first field of a Hello of any version.
func helloVersion(body []byte) (uint16, bool) {
	if len(body) == 0 {
		return 0, false
	}
	n, rest, ok := listLen(body)
	if !ok || n == 0 || len(rest) == 0 {
		return 0, false
	}
	switch b := rest[0]; {
	case b <= 0x7f:
		return uint16(b), true
	case b == mpUint8 && len(rest) > 1:
		return uint16(rest[1]), true
	case b == mpUint8+1 && len(rest) > 2:
		return uint16(rest[1])<<8 | uint16(rest[2]), true
	}
	return 0, false
}

// printable makes a stranger's words safe for a terminal and a log.
func printable(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, s)
}
