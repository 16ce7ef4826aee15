package store

import (
	"log/slog"
	"sync"
	"time"
)

// CommitStats tells how group commits have fared since opening.
type CommitStats struct {
	Commits, Failed uint64
	Seconds         float64 // spent in commits, together
	// Buckets counts commits that took at most CommitBuckets[i] seconds.
	Buckets [len(commitBuckets)]uint64
}

// commitBuckets are upper bounds in seconds: a fast SSD to a dying disk.
var commitBuckets = [...]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}

// CommitBuckets gives the upper bounds, in seconds, of CommitStats.Buckets.
func CommitBuckets() []float64 { return commitBuckets[:] }

type commitStats struct {
	mu      sync.Mutex
	s       CommitStats
	trouble error // of the last commit that failed, until it is over
	at      time.Time
	over    bool // the last commit that had something to write went through
	told    time.Time
	untold  int // commits that have failed since
}

// troubleFor is for how long a refused write is told of after others have gone
// through: on a full disk small ones still find room in the file.
const troubleFor = 30 * time.Second

// tellEvery is how often the log tells of a disk that goes on refusing writes: on a
// full one every operation is refused, some twenty in a second.
const tellEvery = time.Minute

// wrote notes how a commit ended that had something to write, and tells the log
// when trouble begins, goes on and is over.
func (c *commitStats) wrote(err error, now time.Time, log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = err == nil
	switch {
	case err != nil && c.trouble != nil && now.Sub(c.told) < tellEvery:
		c.untold++
	case err != nil:
		log.Error("cannot write to the database", "err", err, "refused", c.untold+1)
		c.told, c.untold = now, 0
	case c.trouble != nil && now.Sub(c.at) >= troubleFor:
		log.Info("the database takes writes again", "refused", c.untold)
		c.trouble, c.untold = nil, 0
	}
	if err != nil {
		c.trouble, c.at = err, now
	}
}

// Trouble tells why the disk refused a write just now, or last; nil if it does
// not any more.
func (d *DB) Trouble() error { return d.commits.troubled(time.Now()) }

func (c *commitStats) troubled(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && now.Sub(c.at) >= troubleFor {
		return nil
	}
	return c.trouble
}

func (c *commitStats) add(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Commits++
	if err != nil {
		c.s.Failed++
	}
	c.s.Seconds += took.Seconds()
	for i, bound := range commitBuckets {
		if took.Seconds() <= bound {
			c.s.Buckets[i]++
		}
	}
}

// Commits tells how group commits have fared since opening.
func (d *DB) Commits() CommitStats {
	d.commits.mu.Lock()
	defer d.commits.mu.Unlock()
	return d.commits.s
}
