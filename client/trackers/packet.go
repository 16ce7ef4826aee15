package trackers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"

	"chordtorrent/transfer"
)

// The packets of BEP 15, all numbers big-endian:
//
//	connect   protocol u64, action 0 u32, transaction u32
//	          -> action 0 u32, transaction u32, connection u64
//	announce  connection u64, action 1 u32, transaction u32, info hash (20), peer id (20), downloaded u64, left u64,
//	          uploaded u64, event u32, ip u32, key u32, wanted i32, port u16, then options (BEP 41)
//	          -> action 1 u32, transaction u32, interval u32, leechers u32, seeders u32, peers (6 or 18 each)
//	error     -> action 3 u32, transaction u32, text
const (
	protocolID     = 0x41727101980
	actionConnect  = 0
	actionAnnounce = 1
	actionError    = 3

	optionURL = 2 // BEP 41: length u8, so many bytes of path and query
)

var (
	errStray = errors.New("not the answer to what was asked")
	errShort = errors.New("its packet is too short")
)

func connectPacket(transaction uint32) []byte {
	b := binary.BigEndian.AppendUint64(nil, protocolID)
	b = binary.BigEndian.AppendUint32(b, actionConnect)
	return binary.BigEndian.AppendUint32(b, transaction)
}

// udpEvents are the numbers of the events, which are in another order than ours.
var udpEvents = map[transfer.Event]uint32{transfer.None: 0, transfer.Completed: 1, transfer.Started: 2, transfer.Stopped: 3}

func announcePacket(connection uint64, transaction uint32, u *url.URL, q question) []byte {
	b := binary.BigEndian.AppendUint64(nil, connection)
	b = binary.BigEndian.AppendUint32(b, actionAnnounce)
	b = binary.BigEndian.AppendUint32(b, transaction)
	b = append(b, q.infoHash[:]...)
	b = append(b, q.peerID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(q.downloaded))
	b = binary.BigEndian.AppendUint64(b, uint64(q.left))
	b = binary.BigEndian.AppendUint64(b, uint64(q.uploaded))
	b = binary.BigEndian.AppendUint32(b, udpEvents[q.event])
	b = binary.BigEndian.AppendUint32(b, 0) // the address that this comes from
	b = binary.BigEndian.AppendUint32(b, q.key)
	b = binary.BigEndian.AppendUint32(b, uint32(int32(q.want)))
	b = binary.BigEndian.AppendUint16(b, q.port)
	for data := u.RequestURI(); data != "" && data != "/"; {
		n := min(len(data), 255)
		b = append(b, optionURL, byte(n))
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return b
}

// parsePacket takes the frame off an answer to a request with that action and transaction.
// errStray when it is an answer to something else, a *Refusal when the tracker refuses.
func parsePacket(b []byte, action, transaction uint32) ([]byte, error) {
	if len(b) < 8 || binary.BigEndian.Uint32(b[4:]) != transaction {
		return nil, errStray
	}
	switch binary.BigEndian.Uint32(b) {
	case action:
		return b[8:], nil
	case actionError:
		return nil, &Refusal{Reason: printable(string(b[8:]))}
	}
	return nil, errStray
}

func parseConnect(body []byte) (uint64, error) {
	if len(body) < 8 {
		return 0, errShort
	}
	return binary.BigEndian.Uint64(body), nil
}

// parseAnnounce reads peers with addresses of so many bytes. A packet that was cut in the
// middle of one loses that one.
func parseAnnounce(body []byte, addrLen int) (reply, error) {
	if len(body) < 12 {
		return reply{}, errShort
	}
	var r reply
	r.settle(int64(binary.BigEndian.Uint32(body)), 0)
	peers := body[12:]
	var err error
	if r.peers, err = compact(nil, string(peers[:len(peers)-len(peers)%(addrLen+2)]), addrLen); err != nil {
		return reply{}, fmt.Errorf("its packet: %w", err)
	}
	return r, nil
}
