package node

import (
	"log/slog"
	"net/netip"
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
		moved bool
	}{
		{"all is as it was", [][]netip.Addr{there, there, there, there}, false},
		{"a further one", [][]netip.Addr{both, both, both, both}, false},
		{"cut off", [][]netip.Addr{none, none, none, none}, false},
		{"cut off and back", [][]netip.Addr{none, none, there, there}, false},
		{"another for a moment", [][]netip.Addr{other, other, there, other, other}, false},
		{"another", [][]netip.Addr{there, none, other, other, other}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &Node{log: slog.New(slog.DiscardHandler), moved: make(chan struct{})}
			ticks, at := make(chan time.Time), 0
			ended := make(chan struct{})
			go func() {
				n.watchAddress(t.Context(), first, ticks, func() ([]netip.Addr, netip.Addr) {
					own := c.looks[at]
					at++
					return own, own[min(1, len(own)-1)]
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
	own, primary := addressesNow()
	for _, a := range own {
		if a == primary {
			return
		}
	}
	t.Errorf("%v is not among %v", primary, own)
}
