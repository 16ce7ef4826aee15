package communicator

import "time"

const (
	// youngFor is how long a peer counts as new to a swarm, and announces
	// often if the swarm is small: peers that start together find each other.
	youngFor      = 2 * time.Minute
	youngInterval = 5 * time.Second
	// aloneInterval applies to a new peer that found nobody to fetch from, and in its first
	// seconds to one that knows fewer than enough: of a crowd that starts together the first
	// to come would else know the fewest.
	aloneInterval = 2 * time.Second
	aloneFor      = 30 * time.Second
	enough        = 8
	fewFor        = 5 * time.Second
	// unwantedInterval applies to a seeder whom nobody wanted anything of when it asked
	// last: it only has to stay listed, and a machine may have thousands of such. One that
	// has few of them asks more often, as there are clients that a seed has to call.
	unwantedInterval = 2 * time.Minute
	leastUnwanted    = 15 * time.Second
	unwantedSpacing  = 600 * time.Millisecond
	// seatSpacing is how far apart the announces of all the seeders are, in one process,
	// that nobody wants anything of: with more of them than unwantedInterval has room
	// for, each waits longer. A hundred a second are little work for a small ring.
	seatSpacing = 10 * time.Millisecond
	// One announce in so much time is what a whole swarm may cost its ring
	// members: with more peers each of them waits longer.
	swarmSpacing = 50 * time.Millisecond
	// The longest intervals: a peer that died is told to others for 2.2 times
	// as long. A seed asks for nothing, it only has to stay listed.
	maxLeecherInterval = 3 * time.Minute
	maxSeederInterval  = 5 * time.Minute
	maxSwarmInterval   = 15 * time.Minute
	// minLifetime keeps an entry over a lost announce, however short the
	// interval.
	minLifetime = 15 * time.Second
)

// Pace is what the time to the next announce depends on.
type Pace struct {
	Swarm  int           // peers in the swarm, as far as is known
	Age    time.Duration // since this peer's first announce
	Seeder bool
	// Needs: it has something to fetch, and asked for others; Known is how many it was told.
	Needs bool
	Known int
	// Unwanted: of a seeder, it has asked before and there was nobody who fetches.
	Unwanted bool
	Seats    int // peers that announce through this process
}

// Interval gives the time to the next announce: seconds while the peer is new
// and the swarm small, minutes later, in proportion to its size when it is
// large. r, in [0,1), spreads it by ±20 %.
func (p Pace) Interval(r float64) time.Duration {
	d := youngInterval
	if p.Age > youngFor {
		d = time.Duration(float64(youngInterval) * float64(p.Age) / float64(youngFor))
	}
	switch {
	case !p.Seeder:
		d = min(d, maxLeecherInterval)
	case p.Unwanted:
		rest := unwantedInterval
		if p.Seats > 0 {
			rest = min(max(time.Duration(p.Seats)*unwantedSpacing, leastUnwanted), unwantedInterval)
		}
		d = min(max(d, rest), maxSeederInterval)
		d = max(d, min(time.Duration(p.Seats)*seatSpacing, maxSwarmInterval))
	default:
		d = min(d, maxSeederInterval)
	}
	d = max(d, min(time.Duration(p.Swarm)*swarmSpacing, maxSwarmInterval))
	if p.Needs && (p.Known == 0 && p.Age <= aloneFor || p.Known < enough && p.Age < fewFor) {
		d = min(d, aloneInterval)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*r))
}

// Lifetime is how long an entry stays after an announce that was told this
// interval: one announce may be lost and the next be late.
func Lifetime(interval time.Duration) time.Duration {
	return max(interval*22/10, minLifetime)
}
