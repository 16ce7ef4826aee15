package communicator

import "time"

const (
	// maxRounds bounds what is remembered of peers that announce through this
	// process, roundIdle for how long.
	maxRounds = 1 << 16
	roundIdle = 40 * time.Minute
)

// swarmSeat is one peer in one swarm.
type swarmSeat struct{ infoHash, peerID [20]byte }

// round is what is remembered from one announce of a peer to the next.
type round struct {
	first time.Time // announce of this run
	last  time.Time
	swarm int // its size when last asked

	unwanted bool // nobody in it fetched when last asked
}

// pace tells what is known about a peer before the ring is asked.
func (c *Communicator) pace(seat swarmSeat, a Announce) Pace {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	rd := c.rounds[seat]
	if rd == nil || a.Event == Started || now.Sub(rd.last) > roundIdle {
		if rd == nil && len(c.rounds) >= maxRounds {
			c.dropRounds(now)
		}
		rd = &round{first: now}
		c.rounds[seat] = rd
	}
	rd.last = now
	return Pace{Swarm: rd.swarm, Age: now.Sub(rd.first), Seeder: a.Left == 0, Unwanted: rd.unwanted}
}

func (c *Communicator) remember(seat swarmSeat, s Swarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rd := c.rounds[seat]; rd != nil {
		rd.swarm, rd.unwanted = s.Seeders+s.Leechers, s.Leechers == 0
	}
}

func (c *Communicator) forgetRound(seat swarmSeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rounds, seat)
}

// dropRounds makes room: the idle ones go, or, if none is, a part of all.
// Whoever is forgotten counts as new, which costs a few announces.
func (c *Communicator) dropRounds(now time.Time) {
	for seat, rd := range c.rounds {
		if now.Sub(rd.last) > roundIdle {
			delete(c.rounds, seat)
		}
	}
	for seat := range c.rounds {
		if len(c.rounds) < maxRounds*3/4 {
			break
		}
		delete(c.rounds, seat)
	}
}
