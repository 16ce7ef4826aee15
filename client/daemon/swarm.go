package daemon

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"chordtorrent/client"
)

// Host is a peer of a swarm as the ring knows it.
type Host struct {
	Addr    netip.AddrPort
	Bytes   int64         // it has
	Size    int64         // of all
	Rate    float64       // bytes per second, between its last two reports, or as it says; 0: not known
	ETA     time.Duration // until it has all, by that rate; 0: not known
	Seen    time.Time     // of its last report
	Have    []byte        // the share of each of at most 256 parts, 0 to 255
	Slowest bool          // the last one to be done, as far as can be told
}

// Fleet is who has how much of a name.
type Fleet struct {
	Shown client.Shown
	Hosts []Host // those who have least first
	// Last is when the last of those who fetch will be done, by what they reported; 0:
	// not known, or all are.
	Last time.Duration
}

// progress is what a peer has reported, twice.
type progress struct {
	seen, before time.Time
	left, was    int64
}

// reports remembers what peers reported, to tell their speed. The last swarm looked
// at is enough.
type reports struct {
	mu    sync.Mutex
	swarm [20]byte
	peers map[[20]byte]progress
}

// Fleet asks the ring who has how much. Speeds of ordinary clients are known from the second
// time on.
func (d *Daemon) Fleet(ctx context.Context, name string) (Fleet, error) {
	shown, err := d.c.Show(ctx, name)
	if err != nil {
		return Fleet{}, err
	}
	f := Fleet{Shown: shown}
	current := shown.Versions[0]
	d.reports.mu.Lock()
	defer d.reports.mu.Unlock()
	if d.reports.swarm != current.InfoHash || d.reports.peers == nil {
		d.reports.swarm, d.reports.peers = current.InfoHash, make(map[[20]byte]progress)
	}
	for _, p := range shown.Swarm.Peers {
		left := min(max(p.Left, 0), current.Size)
		h := Host{Addr: p.Addr, Bytes: current.Size - left, Size: current.Size, Seen: p.Seen, Have: p.Have}
		last, known := d.reports.peers[p.PeerID]
		switch {
		case !known:
			last = progress{seen: p.Seen, left: left}
		case p.Seen.After(last.seen):
			last = progress{seen: p.Seen, left: left, before: last.seen, was: last.left}
		}
		d.reports.peers[p.PeerID] = last
		h.Rate = float64(p.Rate) // ordinary clients do not say it
		if t := last.seen.Sub(last.before).Seconds(); !last.before.IsZero() && t > 0 && last.was > left {
			h.Rate = float64(last.was-left) / t
		}
		if h.Rate > 0 {
			h.ETA = time.Duration(float64(left) / h.Rate * float64(time.Second))
		}
		f.Hosts = append(f.Hosts, h)
	}
	slices.SortFunc(f.Hosts, func(a, b Host) int { return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), a.Addr.Compare(b.Addr)) })
	slowest := -1
	for i, h := range f.Hosts {
		if h.ETA > f.Last && h.Bytes < h.Size {
			f.Last, slowest = h.ETA, i
		}
	}
	if slowest >= 0 {
		f.Hosts[slowest].Slowest = true
	}
	return f, nil
}
