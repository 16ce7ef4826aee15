package transfer

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"slices"
	"time"
)

// Who is asked for an info dictionary, and who has to go for others: liars cost a
// bounded amount of memory and of time. What is offered by all that are asked is bounded,
// who is slow makes room for who was not asked yet, and an address that was of no use
// comes behind all others.

const (
	// askedTogether is how many peers are asked at a time, not counting those that
	// take longer than placeFor, and askedMost all of them.
	askedTogether = 4
	askedMost     = 16
	placeFor      = 30 * time.Second
	// askedAtAddress is how many are asked at one address.
	askedAtAddress = 2
	// besideLargest is what all that are asked may offer beyond one of the largest, in
	// bytes.
	besideLargest = 16 << 20
	// steadyRate is what a peer sends that keeps its place for as long as it takes.
	steadyRate = 64 << 10 // bytes per second
)

// more asks further peers as long as few are asked.
func (q *quest) more() {
	now, places := q.s.l.now, askedTogether
	for _, t := range q.talks {
		if now.Sub(t.began) < placeFor {
			places--
		}
	}
	if q.over || places <= 0 {
		return
	}
	var may []*conn
	for _, c := range q.s.conns {
		if c.state == open && c.info.id != 0 && c.info.size != 0 && q.talks[c] == nil && !now.Before(c.info.notNow) {
			may = append(may, c)
		}
	}
	slices.SortFunc(may, func(a, b *conn) int {
		return cmp.Or(cmp.Compare(q.faults[a.addr.Addr()], q.faults[b.addr.Addr()]), cmp.Compare(a.id, b.id))
	})
	for _, c := range may {
		if places == 0 {
			return
		}
		if slow, fits := q.room(c); fits {
			places--
			t := &talk{size: c.info.size, sum: sha1.New(), early: make(map[int][]byte), began: now}
			q.talks[c] = t
			c.info.asked = true
			q.ask(c, t)
		} else if slow != nil {
			t := q.talks[slow]
			q.blame(slow, noMetadata, fmt.Errorf("%d of %d bytes in %v, and others wait", t.bytes, t.size, now.Sub(t.began).Round(time.Second)))
			return // whoever comes next was asked when that one left
		}
	}
}

// room tells whether there is a place for a peer; if not, slow is who must make room for
// it: the slowest that has had its place for long enough, nil for none.
func (q *quest) room(c *conn) (slow *conn, fits bool) {
	here, offered := 0, c.info.size
	for o, t := range q.talks {
		offered += t.size
		if o.addr.Addr() == c.addr.Addr() {
			here++
		}
	}
	crowded := here >= askedAtAddress
	if !crowded && len(q.talks) < askedMost && offered <= q.most+besideLargest {
		return nil, true
	}
	if c.info.asked {
		return nil, false
	}
	least := float64(steadyRate)
	for o, t := range q.talks {
		age := q.s.l.now.Sub(t.began)
		if age < placeFor || crowded && o.addr.Addr() != c.addr.Addr() || q.faults[o.addr.Addr()] < q.faults[c.addr.Addr()] {
			continue
		}
		if rate := float64(t.bytes) / age.Seconds(); rate < least {
			slow, least = o, rate
		}
	}
	return slow, false
}

// blame drops a peer that was of no use, and puts its address far back.
func (q *quest) blame(c *conn, why reason, err error) {
	at := c.addr.Addr()
	if len(q.faults) >= maxAddresses {
		clear(q.faults)
	}
	q.faults[at]++
	if why == wrongMetadata {
		q.s.ban(c.from, why)
	}
	c.drop(why, err)
	q.s.book.putBack(at, q.s.l.now.Add(backOff(placeFor, lastBackOff, q.faults[at]-1)))
}
