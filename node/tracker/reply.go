package tracker

import (
	"strconv"
	"time"
)

// The answers in bencode, whose dictionaries have their keys in order, are written straight
// into the bytes that are sent.

// appendAnswer puts an answer into the form that was asked for.
func appendAnswer(b []byte, a *announce, ans *answer, id string) []byte {
	interval := seconds(ans.interval)
	b = append(b, "d8:complete"...)
	b = appendInt(b, int64(ans.seeders))
	b = append(b, "11:external ip"...) // BEP 24
	if is4(&a.ip) {
		b = append(append(b, "4:"...), a.ip[12:]...)
	} else {
		b = append(append(b, "16:"...), a.ip[:]...)
	}
	b = append(b, "10:incomplete"...)
	b = appendInt(b, int64(ans.leechers))
	b = append(b, "8:interval"...)
	b = appendInt(b, interval)
	b = append(b, "12:min interval"...)
	b = appendInt(b, max(interval/2, 1))
	b = append(b, "5:peers"...)
	if a.compact {
		b = appendCompact(b, ans.peers)
	} else {
		b = appendList(b, ans.peers, !a.noPeerID)
	}
	if id != "" {
		b = appendString(append(b, "10:tracker id"...), id)
	}
	if ans.warning != "" {
		b = appendString(append(b, "15:warning message"...), ans.warning)
	}
	return append(b, 'e')
}

// appendCompact writes peers as strings of 6 and of 18 bytes each (BEP 23, 7), the latter
// with the key that it has.
func appendCompact(b []byte, peers []record) []byte {
	four := 0
	for i := range peers {
		if is4(&peers[i].ip) {
			four++
		}
	}
	b = strconv.AppendInt(b, int64(6*four), 10)
	b = append(b, ':')
	for i := range peers {
		if r := &peers[i]; is4(&r.ip) {
			b = r.appendTo(b)
		}
	}
	if four == len(peers) {
		return b
	}
	b = append(b, "6:peers6"...)
	b = strconv.AppendInt(b, int64(18*(len(peers)-four)), 10)
	b = append(b, ':')
	for i := range peers {
		if r := &peers[i]; !is4(&r.ip) {
			b = r.appendTo(b)
		}
	}
	return b
}

// appendTo writes where a peer is as 6 or 18 bytes (BEP 23, 7, 15).
func (r *record) appendTo(b []byte) []byte {
	if is4(&r.ip) {
		return append(b, r.ip[12], r.ip[13], r.ip[14], r.ip[15], byte(r.port>>8), byte(r.port))
	}
	return append(append(b, r.ip[:]...), byte(r.port>>8), byte(r.port))
}

// appendList writes peers as a list of dictionaries (BEP 3).
func appendList(b []byte, peers []record, ids bool) []byte {
	b = append(b, 'l')
	for i := range peers {
		b = appendString(append(b, "d2:ip"...), peers[i].addr().Addr().String())
		if ids {
			b = append(append(b, "7:peer id20:"...), peers[i].id[:]...)
		}
		b = append(b, "4:port"...)
		b = append(appendInt(b, int64(peers[i].port)), 'e')
	}
	return append(b, 'e')
}

// appendFailure writes the answer to what cannot be answered (BEP 3).
func appendFailure(b []byte, why string) []byte {
	return append(appendString(append(b, "d14:failure reason"...), why), 'e')
}

func appendInt(b []byte, n int64) []byte {
	return append(strconv.AppendInt(append(b, 'i'), n, 10), 'e')
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

// seconds rounds up, so that nobody comes before it is due.
func seconds(d time.Duration) int64 { return max(int64((d+time.Second-1)/time.Second), 1) }
