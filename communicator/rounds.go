package communicator

import (
	"math"
	"time"
)

const (
	// maxRounds bounds what is remembered of peers that announce through this
	// process, roundIdle for how long. fewRounds are not looked through for idle ones.
	maxRounds = 1 << 18
	roundIdle = 40 * time.Minute
	fewRounds = 1 << 10
)

// swarmSeat is one peer in one swarm.
type swarmSeat struct{ infoHash, peerID [20]byte }

// round is what is remembered from one announce of a peer to the next. A machine may
// have a hundred thousand of them, so it is small.
type round struct {
	first, last int64 // announce of this run, Unix nanoseconds
	swarm       int32 // its size when last asked

	unwanted bool // nobody in it fetched when last asked
}

// rounds are those of all peers that announce through this process. It has no lock of
// its own.
type rounds struct {
	of   map[swarmSeat]round
	tidy int // how many there may be before idle ones are looked for
}

// pace tells what is known about a peer before the ring is asked.
func (c *Communicator) pace(seat swarmSeat, a Announce) Pace {
	now := c.now().UnixNano()
	c.mu.Lock()
	defer c.mu.Unlock()
	rd, known := c.rounds.of[seat]
	if !known {
		c.rounds.makeRoom(now)
	}
	if !known || a.Event == Started || rd.idle(now) {
		rd = round{first: now}
	}
	rd.last = now
	c.rounds.of[seat] = rd
	return Pace{Swarm: int(rd.swarm), Age: time.Duration(now - rd.first), Seeder: a.Left == 0, Unwanted: rd.unwanted, Seats: len(c.rounds.of)}
}

func (rd round) idle(now int64) bool { return time.Duration(now-rd.last) > roundIdle }

func (c *Communicator) remember(seat swarmSeat, s Swarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rd, known := c.rounds.of[seat]; known {
		rd.swarm, rd.unwanted = int32(min(s.Seeders+s.Leechers, math.MaxInt32)), s.Leechers == 0
		c.rounds.of[seat] = rd
	}
}

func (c *Communicator) forgetRound(seat swarmSeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rounds.of, seat)
}

// makeRoom has the idle ones go, whenever there are twice as many as the last time, and
// when there are too many even so, a part of all. Whoever is forgotten counts as new,
// which costs a few announces.
func (r *rounds) makeRoom(now int64) {
	if len(r.of) < max(r.tidy, fewRounds) {
		return
	}
	for seat, rd := range r.of {
		if rd.idle(now) {
			delete(r.of, seat)
		}
	}
	if len(r.of) >= maxRounds {
		for seat := range r.of {
			if len(r.of) < maxRounds*3/4 {
				break
			}
			delete(r.of, seat)
		}
	}
	r.tidy = min(2*len(r.of), maxRounds)
}
