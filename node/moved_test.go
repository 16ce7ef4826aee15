package node

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestANodeNoticesThatItsAddressIsGone(t *testing.T) {
	var (
		first  = netip.MustParseAddr("192.0.2.4")
		second = netip.MustParseAddr("192.0.2.11")
		there  = []netip.Addr{loopback, first}
		both   = []netip.Addr{loopback, second, first}
		none   = []netip.Addr{loopback}
		other  = []netip.Addr{loopback, second}
	)
	for _, c := range []struct {
		name  string
		looks [][]netip.Addr
		had   bool // a default route, at its start
		has   bool // at each look
		moved bool
	}{
		{"all is as it was", [][]netip.Addr{there, there, there, there}, true, true, false},
		{"a further one", [][]netip.Addr{both, both, both, both}, true, true, false},
		{"cut off", [][]netip.Addr{none, none, none, none}, true, true, false},
		{"cut off and back", [][]netip.Addr{none, none, there, there}, true, true, false},
		{"another for a moment", [][]netip.Addr{other, other, there, other, other}, true, true, false},
		{"unplugged, with a bridge for containers", [][]netip.Addr{other, other, other, other}, true, false, false},
		{"another, where there never was a default route", [][]netip.Addr{there, other, other, other}, false, false, true},
		{"another", [][]netip.Addr{there, none, other, other, other}, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &Node{log: slog.New(slog.DiscardHandler), moved: make(chan struct{})}
			ticks, at := make(chan time.Time), 0
			ended := make(chan struct{})
			go func() {
				n.watchAddress(t.Context(), first, c.had, ticks, func() addresses {
					own := c.looks[at]
					at++
					return addresses{own, own[min(1, len(own)-1)], c.has}
				})
				close(ended)
			}()
			for range c.looks {
				ticks <- time.Time{}
			}
			if c.moved {
				<-ended
			}
			select {
			case <-n.Moved():
				if !c.moved {
					t.Error("it says that it has moved")
				}
			default:
				if c.moved {
					t.Error("it does not say that it has moved")
				}
			}
		})
	}
}

// It would be started again and again if its address were not among its machine's own.
func TestThePrimaryAddressIsOneOfThisMachines(t *testing.T) {
	if a := addressesNow(); !slices.Contains(a.own, a.primary) {
		t.Errorf("%v is not among %v", a.primary, a.own)
	}
}
