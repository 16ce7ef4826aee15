package communicator

import (
	"encoding/binary"
	"testing"
	"time"
)

func seatOf(i int) (s swarmSeat) {
	binary.BigEndian.PutUint32(s.infoHash[:], uint32(i))
	return s
}

// Whoever serves a hundred thousand files is remembered with all of them; who has not
// been heard of for long makes room, so that the number is about that of those who are
// there.
func TestRoundsAreThoseOfWhoIsThere(t *testing.T) {
	r := rounds{of: make(map[swarmSeat]round)}
	now := time.Hour.Nanoseconds()
	for i := range 100_000 {
		r.makeRoom(now)
		r.of[seatOf(i)] = round{first: now, last: now}
	}
	if len(r.of) != 100_000 {
		t.Fatalf("%d are left of 100,000", len(r.of))
	}
	later := now + (roundIdle + time.Second).Nanoseconds()
	for i := range 30_000 {
		r.of[seatOf(i)] = round{first: now, last: later}
	}
	for i := 100_000; i < 200_000; i++ {
		r.makeRoom(later)
		r.of[seatOf(i)] = round{first: later, last: later}
	}
	if n := len(r.of); n < 130_000 || n > 200_000 {
		t.Errorf("%d are remembered when 130,000 are there", n)
	}
	for i := range 30_000 {
		if _, known := r.of[seatOf(i)]; !known {
			t.Fatalf("seat %d, which is there, was forgotten", i)
		}
	}
	for i := 200_000; i < 200_000+2*maxRounds; i++ {
		r.makeRoom(later)
		r.of[seatOf(i)] = round{first: later, last: later}
	}
	if n := len(r.of); n > maxRounds {
		t.Errorf("%d are remembered, at most %d may be", n, maxRounds)
	}
}
