package trackers

import (
	"encoding/binary"
	"testing"
)

func check(t *testing.T, r reply) {
	if r.interval < leastInterval || r.interval > mostInterval || r.least < 0 || r.least > r.interval || len(r.peers) > maxPeers || len(r.trackerID) > maxTrackerID {
		t.Errorf("%+v", r)
	}
	for _, p := range r.peers {
		if !usable(p) {
			t.Errorf("nobody listens at %v", p)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("d8:intervali60e12:min intervali30e5:peers6:\x0a\x00\x00\x01\x1a\xe1e"))
	f.Add([]byte("d8:intervali60e5:peersld2:ip8:10.0.0.14:porti1eee6:peers618:123456789012345678e"))
	f.Add([]byte("d14:failure reason2:no8:retry in5:nevere"))
	f.Add([]byte("d8:intervali99999999999999999999e10:tracker id2:me15:warning message1:we"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseAnswer(b); err == nil {
			check(t, r)
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add(words(actionConnect, 1, u64(2)), false)
	f.Add(words(actionAnnounce, 1, u32(60), u32(1), u32(2), []byte(peersOf("10.0.0.1:1"))), false)
	f.Add(words(actionError, 1, []byte("no")), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		var transaction uint32
		if len(b) >= 8 {
			transaction = binary.BigEndian.Uint32(b[4:])
		}
		if body, err := parsePacket(b, actionConnect, transaction); err == nil {
			_, _ = parseConnect(body)
		}
		addrLen := 4
		if six {
			addrLen = 16
		}
		if body, err := parsePacket(b, actionAnnounce, transaction); err == nil {
			if r, err := parseAnnounce(body, addrLen); err == nil {
				check(t, r)
			}
		}
	})
}
