package transfer

import (
	"context"
	"net/netip"
	"time"
)

// Announcer tells others of this peer and learns of them. The engine calls it
// from one goroutine per torrent, never twice at the same time, except that
// Stop makes the last call from its caller's goroutine.
type Announcer interface {
	// Announce says how far this peer is and returns who else there is and when
	// to announce next. It should return soon after ctx has ended.
	Announce(ctx context.Context, p Progress) (Answer, error)
}

// Event is what an announce is about.
type Event uint8

const (
	None      Event = iota // the interval has passed, or peers have run out
	Started                // the first one; repeated until it succeeds
	Completed              // all pieces are there now; not said when they were at the start
	Stopped                // this peer leaves
)

// Progress is what an announce tells. Byte counts are of piece data.
type Progress struct {
	Event                      Event
	Uploaded, Downloaded, Left int64
	// Have is the share of each of up to 256 runs of pieces, see wire.Bits.Shares.
	Have   []byte
	PeerID [20]byte
	Port   uint16
}

// Answer is what an announce returns. Interval zero means 30 s.
type Answer struct {
	Peers    []netip.AddrPort
	Interval time.Duration
}

const (
	usualInterval = 30 * time.Second
	leastInterval = time.Second
	// When peers run out the swarm is asked again after 2 s, then 4 s …
	firstWish = 2 * time.Second
	lastWish  = time.Minute
	// A failed announce is repeated after 1 s, 2 s …
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// announce is the announcer goroutine of a torrent; it ends with t.ctx.
func (t *Torrent) announce() {
	defer close(t.announced)
	var (
		event    = Started
		retry    = firstRetry
		patience = firstWish // between announces that are made for a wish
		finished = t.done
		timer    = time.NewTimer(0)
	)
	defer timer.Stop()
	<-timer.C
	select {
	case <-t.done: // complete from the start
		finished = nil
	default:
	}
	for {
		wait, wished, ok := retry, (<-chan struct{})(nil), false
		p, alive := t.askProgress()
		if !alive {
			return
		}
		p.Event = event
		answer, err := t.spec.Announcer.Announce(t.ctx, p)
		if t.ctx.Err() != nil {
			return
		}
		if err != nil {
			t.e.cfg.Log.Info("announce failed", "info_hash", hexHash(t.spec.InfoHash), "err", err)
			retry = min(2*retry, lastRetry)
		} else {
			ok, retry, event = true, firstRetry, None
			if len(answer.Peers) > 0 {
				t.addPeers(answer.Peers)
			}
			wait = answer.Interval
			if wait <= 0 {
				wait = usualInterval
			}
			wait = max(wait, leastInterval)
			wished = t.wish
		}
		due, hurried := time.Now().Add(wait), false
		timer.Reset(wait)
	waiting:
		for {
			select {
			case <-t.ctx.Done():
				return
			case <-finished:
				finished = nil
				if ok {
					event = Completed
					break waiting
				}
				// Started was not heard yet; it will say that nothing is left.
			case <-timer.C:
				if !hurried {
					patience = firstWish
				}
				break waiting
			case <-wished:
				// Not at once: it may be that nobody else is there.
				wished = nil
				if time.Until(due) > patience {
					hurried = true
					timer.Reset(patience)
					patience = min(2*patience, lastWish)
				}
			}
		}
	}
}

func (t *Torrent) askProgress() (Progress, bool) {
	ask := askProgress{t: t, reply: make(chan Progress, 1)}
	if !t.l.post(ask) {
		return Progress{}, false
	}
	p, ok := <-ask.reply
	return p, ok
}
