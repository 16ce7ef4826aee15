package transfer

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// Metadata exchange (BEP 9): who has only the info hash of a torrent, from a magnet
// link, asks its peers for the info dictionary, in parts of 16 KiB. Here it is given;
// quest.go fetches it. That of a private torrent is not given: whoever may have it
// got it with the address of its tracker.

const (
	metadataName = "ut_metadata"
	// metadataID is what peers call ut_metadata when they speak to us.
	metadataID   = 2
	metadataPart = 16 << 10
	// givenAtMost is how many times the whole is given over one connection.
	givenAtMost = 3
	// infoAhead is how much of it waits in a connection's output: it is given as the
	// peer reads, and not before.
	infoAhead = 64 << 10
	// keepInfo is how long it stays in memory after somebody has asked, and how long
	// nobody is given it when it could not be read.
	keepInfo = 10 * time.Second
)

// The values of msg_type.
const (
	metadataRequest = iota
	metadataData
	metadataReject
)

// metadataMessage is the payload; in one of type data the part follows on it.
type metadataMessage struct {
	Type  int `bencode:"msg_type"`
	Piece int `bencode:"piece"`
	Total int `bencode:"total_size,omitempty"`
}

func parseMetadata(payload []byte) (m metadataMessage, part []byte, err error) {
	n, err := decode(payload, &m)
	if err != nil {
		return metadataMessage{}, nil, fmt.Errorf("metadata message: %w", err)
	}
	return m, payload[n:], nil
}

// partsOf is how many parts so many bytes have.
func partsOf(size int) int { return (size + metadataPart - 1) / metadataPart }

// infoTalk is what a connection knows of metadata exchange.
type infoTalk struct {
	id      byte      // what the peer calls it; 0: it does not know it
	size    int       // of the info dictionary that the peer says it has, in bytes; 0: it has none
	waiting []int     // parts that it has asked for
	given   int       // parts that it was given
	notNow  time.Time // not asked before: it has rejected
	asked   bool      // it was asked for the info dictionary
}

// shelf is where the info dictionary of a swarm lies while somebody asks for it.
type shelf struct {
	bytes   []byte // nil: not in memory
	reading bool   // a worker brings it
	used    time.Time
	lacking time.Time // until then nobody is given it
}

// infoSize is what peers are told; 0: they get nothing here.
func (s *swarm) infoSize() int {
	if s.t.spec.Info == nil || s.t.spec.Private {
		return 0
	}
	return s.t.spec.Layout.InfoSize
}

// onMetadata handles the messages of the extension.
func (c *conn) onMetadata(payload []byte) {
	m, part, err := parseMetadata(payload)
	if err != nil {
		c.drop(malformed, err)
		return
	}
	switch {
	case m.Type == metadataRequest:
		c.onInfoRequest(m.Piece)
	case c.s.quest != nil && m.Type == metadataData:
		c.s.quest.onPart(c, m, part)
	case c.s.quest != nil && m.Type == metadataReject:
		c.s.quest.onReject(c)
	default:
		c.idle()
	}
}

func (c *conn) onInfoRequest(part int) {
	x := &c.info
	parts := partsOf(c.s.infoSize())
	if part < 0 || part >= parts || x.given+len(x.waiting) >= givenAtMost*parts || c.l.now.Before(c.s.info.lacking) {
		c.tellMetadata(metadataMessage{Type: metadataReject, Piece: part}, nil)
		c.idle()
		return
	}
	x.waiting = append(x.waiting, part)
	c.wake()
}

func (c *conn) tellMetadata(m metadataMessage, part []byte) {
	if c.info.id == 0 {
		return // it asks, and has not said what it calls the answer
	}
	head, err := bencode.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("transfer: metadata message: %v", err))
	}
	payload := append(append([]byte{c.info.id}, head...), part...)
	c.tell(wire.Message{ID: wire.ExtendedMsg, Payload: payload})
}

// giveInfo answers as much of what was asked for as the peer reads.
func (c *conn) giveInfo() {
	x, s := &c.info, c.s
	if len(x.waiting) == 0 {
		return
	}
	if s.info.bytes == nil {
		s.bringInfo()
		return
	}
	s.info.used = c.l.now
	for len(x.waiting) > 0 && len(c.out)-c.outAt < infoAhead && c.state == open {
		at := x.waiting[0] * metadataPart
		m := metadataMessage{Type: metadataData, Piece: x.waiting[0], Total: len(s.info.bytes)}
		x.waiting = x.waiting[1:]
		x.given++
		c.tellMetadata(m, s.info.bytes[at:min(at+metadataPart, len(s.info.bytes))])
	}
}

// bringInfo has a worker read the info dictionary.
func (s *swarm) bringInfo() {
	if s.info.reading || s.halted() {
		return
	}
	s.info.reading = true
	s.away++
	s.l.e.readers.submit(&readInfo{s: s})
}

// keptInfo gives its memory back when nobody has asked for a while.
func (s *swarm) keptInfo() {
	if len(s.conns) == 0 || s.l.now.Sub(s.info.used) > keepInfo {
		s.info.bytes = nil
	}
}

// readInfo is an info dictionary on its way from its owner.
type readInfo struct {
	s     *swarm
	bytes []byte
	err   error
}

// run is on a worker.
func (r *readInfo) run() {
	spec := &r.s.t.spec
	r.bytes, r.err = spec.Info()
	if r.err == nil && (sha1.Sum(r.bytes) != spec.InfoHash || len(r.bytes) != spec.Layout.InfoSize) {
		r.err = errors.New("it is that of another torrent")
	}
	r.s.l.post(r)
}

// handle is back on the loop.
func (r *readInfo) handle(l *loop) {
	s := r.s
	s.away--
	s.info.reading = false
	if r.err != nil {
		s.log.Warn("cannot give the info dictionary to peers", "err", r.err)
		s.info.lacking = l.now.Add(keepInfo)
	} else {
		s.info.bytes, s.info.used = r.bytes, l.now
	}
	for _, c := range s.conns {
		if r.err != nil {
			for _, part := range c.info.waiting {
				c.tellMetadata(metadataMessage{Type: metadataReject, Piece: part}, nil)
			}
			c.info.waiting = nil
		} else if len(c.info.waiting) > 0 {
			c.wake()
		}
	}
	s.keptInfo()
	s.checkStopped()
}
