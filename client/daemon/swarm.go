package daemon

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
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

// Fleet asks the ring who has how much. Speeds of ordinary clients are known from the second
// time on.
func (d *Daemon) Fleet(ctx context.Context, name string) (Fleet, error) {
	shown, err := d.c.Show(ctx, name)
	if err != nil {
		return Fleet{}, err
	}
	f := Fleet{Shown: shown}
	current := shown.Versions[0]
	for i := range shown.Swarm.Peers {
		p := &shown.Swarm.Peers[i]
		left := min(max(p.Left, 0), current.Size)
		h := Host{Addr: p.Addr, Bytes: current.Size - left, Size: current.Size, Seen: p.Seen, Have: p.Have}
		h.Rate, _ = d.speeds.Of(current.InfoHash, p)
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
