package trackers

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"time"

	"chordtorrent/transfer/storage"
)

const (
	// maxTrackers bounds the trackers of a torrent.
	maxTrackers = 100
	// A tracker that failed is left alone for 15 s, 30 s … half an hour.
	firstBackOff = 15 * time.Second
	lastBackOff  = 30 * time.Minute
	// neverAgain is how long one is left alone that says it is of no use.
	neverAgain = 24 * time.Hour
)

// List are the trackers of one torrent, and a transfer.Announcer: one call at a time.
type List struct {
	c        *Client
	infoHash [20]byte
	key      uint32
	tiers    [][]*tracker // each in the order in which they are asked (BEP 12)
	next     time.Time    // when it is time to announce again
	least    time.Time    // when a tracker may be asked again although it is not
	silent   bool         // none has answered the last time, which was said
}

// tracker is one of them. It belongs to the goroutine that announces, and to that of a try
// while that is under way.
type tracker struct {
	url      *url.URL
	knows    bool  // it has heard of us, and not that we left
	left     int64 // as it was told
	id       string
	warned   string // what it said last, to say it once
	failures int    // in a row
	due      time.Time
}

// List makes a List of the trackers in announce tiers, which are shuffled. What is no
// address of a tracker is left out, said once in the log.
func (c *Client) List(infoHash [20]byte, tiers [][]string) *List {
	l := &List{c: c, infoHash: infoHash, key: rand.Uint32()}
	seen := make(map[string]bool)
	for _, urls := range tiers {
		var tier []*tracker
		for _, s := range urls {
			u, err := storage.TrackerURL(s)
			if err != nil {
				c.log.Info("tracker left out", "tracker", printable(s), "err", err)
				continue
			}
			if seen[u.String()] || len(seen) == maxTrackers {
				continue
			}
			seen[u.String()] = true
			tier = append(tier, &tracker{url: u})
		}
		rand.Shuffle(len(tier), func(i, j int) { tier[i], tier[j] = tier[j], tier[i] })
		if len(tier) > 0 {
			l.tiers = append(l.tiers, tier)
		}
	}
	return l
}

// Len is how many trackers there are.
func (l *List) Len() int {
	n := 0
	for _, tier := range l.tiers {
		n += len(tier)
	}
	return n
}

// host is how a tracker is called in logs and errors: its path may be a secret.
func (t *tracker) host() string { return t.url.Scheme + "://" + t.url.Host }

// candidates are those whose turn it is, in order, and when the next one may be asked if
// there are none.
func (l *List) candidates(now time.Time) (order []*tracker, soonest time.Time) {
	for _, tier := range l.tiers {
		for _, t := range tier {
			if !t.due.After(now) {
				order = append(order, t)
			}
			if soonest.IsZero() || t.due.Before(soonest) {
				soonest = t.due
			}
		}
	}
	return order, soonest
}

// promote puts a tracker that works to the front of its tier.
func (l *List) promote(t *tracker) {
	for _, tier := range l.tiers {
		for i, other := range tier {
			if other == t {
				copy(tier[1:i+1], tier[:i])
				tier[0] = t
				return
			}
		}
	}
}

// worked notes what a tracker answered.
func (t *tracker) worked(r reply, left int64) {
	t.knows, t.left, t.failures, t.due = true, left, 0, time.Time{}
	if r.trackerID != "" {
		t.id = r.trackerID
	}
}

// failed notes that it did not, and when it may be asked again.
func (t *tracker) failed(err error, now time.Time) {
	t.failures++
	pause := min(firstBackOff<<min(t.failures-1, 10), lastBackOff)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		switch {
		case refusal.Never:
			pause = neverAgain
		case refusal.Again > 0:
			pause = refusal.Again
		}
	}
	t.due = now.Add(pause*3/4 + rand.N(pause/2))
}

// Check says why an address is not that of a tracker that could be asked; nil if it is.
func Check(address string) error {
	_, err := storage.TrackerURL(address)
	return err
}
