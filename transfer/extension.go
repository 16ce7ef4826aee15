package transfer

import (
	"bytes"
	"fmt"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// The extension protocol of BEP 10: each side may send a dictionary after the
// handshake. Of the keys that others know we say p (the port we listen on, so
// that a peer that was called knows where to call), v (the client), reqq (how many
// requests may wait here), metadata_size (BEP 9: the info dictionary is given) and
// upload_only (BEP 21: it fetches nothing, though it may lack something). One key is our
// own.
const (
	// keyMaxRequest, an integer at the top of the extension handshake: the
	// largest block in bytes that the sender serves per request. A peer that
	// does not say it is asked for 16 KiB at a time, as BEP 3 has it.
	keyMaxRequest = "ct_max_request"
	// largestRequest is what we say there, and the most that we ask for.
	largestRequest = 1 << 20
	// maxExtended bounds the payload of extended messages.
	maxExtended = 32 << 10
	clientName  = "chordtorrent"
)

type extended struct {
	Messages   map[string]int `bencode:"m"`
	Port       int            `bencode:"p,omitempty"`
	Client     string         `bencode:"v,omitempty"`
	Queue      int            `bencode:"reqq,omitempty"`
	UploadOnly *int           `bencode:"upload_only,omitempty"`   // BEP 21
	InfoSize   int            `bencode:"metadata_size,omitempty"` // BEP 9
	MaxRequest int            `bencode:"ct_max_request,omitempty"`
}

func (c *conn) sayExtended() {
	known := map[string]int{}
	if !c.s.t.spec.Private {
		known[pexName], known[metadataName] = pexID, metadataID
	}
	var uploadOnly *int
	if c.s.complete() && c.shown == nil { // who sees nothing here and hears that might leave
		uploadOnly = new(1)
	}
	payload, err := bencode.Marshal(extended{
		Messages: known, Port: int(c.l.e.port), Client: clientName,
		Queue: ownQueue, MaxRequest: largestRequest, UploadOnly: uploadOnly, InfoSize: c.s.infoSize(),
	})
	if err != nil {
		panic(fmt.Sprintf("transfer: extension handshake: %v", err))
	}
	c.tell(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{0}, payload...)})
}

// onExtended takes the handshake, and the messages that we said we know; any other
// is of no concern to us.
func (c *conn) onExtended(payload []byte) {
	if len(payload) == 0 {
		c.drop(malformed, fmt.Errorf("extended message without an id"))
		return
	}
	switch payload[0] {
	case 0:
	case pexID:
		c.onPex(payload[1:])
		return
	case metadataID:
		c.onMetadata(payload[1:])
		return
	default:
		return
	}
	x, err := parseExtended(payload[1:])
	if err != nil {
		c.drop(malformed, err)
		return
	}
	if c.introduced {
		c.idle() // it may say what has changed, now and then
	}
	c.introduced = true
	if x.Client != "" {
		c.client = x.Client
	}
	if x.UploadOnly != nil {
		c.uploadOnly = *x.UploadOnly == 1
	}
	if x.Queue > 0 {
		c.maxAsked = takes(x.Client, x.Queue)
	}
	if x.MaxRequest > 0 {
		c.maxRequest = min(x.MaxRequest, c.l.e.askAtMost)
		c.follows = c.fast
	}
	if id, said := x.Messages[pexName]; said {
		c.pexStart(id)
	}
	if id, said := x.Messages[metadataName]; said && id >= 0 && id <= 255 {
		c.info.id = byte(id)
	}
	if x.InfoSize > 0 {
		c.info.size = x.InfoSize
	}
	if !c.outgoing && x.Port > 0 {
		c.listensAt(uint16(x.Port))
	}
	if q := c.s.quest; q != nil {
		q.offered(c)
		return
	}
	c.leaveIfBothSeeds()
}

// decode reads the bencoded value at the start of b, whatever follows on it, and tells
// where that begins. The
// library would set aside as much memory for a string as its length says, up to 128
// MiB, before it looks whether there are as many bytes.
func decode(b []byte, into any) (int, error) {
	d := bencode.NewDecoder(bytes.NewReader(b))
	d.MaxStrLen = int64(len(b))
	err := d.Decode(into)
	return int(d.Offset), err
}

// parseExtended reads an extension handshake and brings its numbers within our
// bounds; 0 stands for what it does not say.
func parseExtended(b []byte) (extended, error) {
	var x extended
	if _, err := decode(b, &x); err != nil {
		return extended{}, fmt.Errorf("extension handshake: %w", err)
	}
	x.Client = wire.Printable(x.Client, 64)
	if x.Queue != 0 {
		x.Queue = min(max(x.Queue, 2), ownQueue)
	}
	if x.MaxRequest != 0 {
		x.MaxRequest = min(max(x.MaxRequest, blockLen), largestRequest)
	}
	if x.Port < 0 || x.Port > 65535 {
		x.Port = 0
	}
	x.InfoSize = max(x.InfoSize, 0)
	return x, nil
}
