package discovery

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
)

func testNIC(name string, flags net.Flags, addrs ...string) nic {
	n := nic{Interface: net.Interface{Index: len(name), Name: name, Flags: flags}}
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		n.addrs = append(n.addrs, a)
		if a.Is4() && !n.v4.IsValid() {
			n.v4 = a
		}
	}
	return n
}

func TestAnInterfaceAnnouncesOnlyWhatCanBeReachedThroughIt(t *testing.T) {
	lo := testNIC("lo", net.FlagUp|net.FlagLoopback, "127.0.0.1", "::1")
	eth0 := testNIC("eth0", net.FlagUp|net.FlagMulticast, "192.0.2.2", "192.0.2.3", "fd00::2")
	docker0 := testNIC("docker0", net.FlagUp|net.FlagMulticast, "172.17.0.1")
	many := testNIC("many", net.FlagUp|net.FlagMulticast, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9")
	for _, c := range []struct {
		name  string
		n     nic
		ring  string
		bind  string
		local bool
		want  []netip.AddrPort
	}{
		{"loopback ring on lo", lo, "127.0.0.1:8000", "127.0.0.1", true, addrPorts("127.0.0.1:8000")},
		{"loopback ring on lo, any bind", lo, "127.0.0.1:8000", "", true, addrPorts("127.0.0.1:8000")},
		{"loopback ring on eth0", eth0, "127.0.0.1:8000", "0.0.0.0", true, nil},
		{"ring on eth0, bound to all", eth0, "192.0.2.3:8000", "0.0.0.0", true, addrPorts("192.0.2.3:8000", "192.0.2.2:8000", "[fd00::2]:8000")},
		{"bound to all, on the other interface", docker0, "192.0.2.2:8000", "::", true, addrPorts("172.17.0.1:8000")},
		{"bound to all, on lo", lo, "192.0.2.2:8000", "", true, addrPorts("192.0.2.2:8000", "127.0.0.1:8000")},
		{"bound to one, there", eth0, "192.0.2.2:8000", "192.0.2.2", true, addrPorts("192.0.2.2:8000")},
		{"bound to one, elsewhere", docker0, "192.0.2.2:8000", "192.0.2.2", true, nil},
		{"bound to one, on lo", lo, "192.0.2.2:8000", "192.0.2.2", true, addrPorts("192.0.2.2:8000")},
		{"advertises a foreign address, on eth0", eth0, "203.0.113.9:8000", "0.0.0.0", false, addrPorts("192.0.2.2:8000", "192.0.2.3:8000", "[fd00::2]:8000")},
		{"advertises a foreign address, on lo", lo, "203.0.113.9:8000", "0.0.0.0", false, addrPorts("127.0.0.1:8000")},
		{"advertises a foreign address, bound to one", eth0, "203.0.113.9:8000", "192.0.2.3", false, addrPorts("192.0.2.3:8000")},
		{"more addresses than fit", many, "10.0.0.9:1", "", true, addrPorts("10.0.0.9:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1", "10.0.0.6:1")},
	} {
		self := Self{Ring: netip.MustParseAddrPort(c.ring)}
		if c.bind != "" {
			self.RingBind = netip.MustParseAddr(c.bind)
		}
		if got := c.n.reachable(self, c.local); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestInterfacesOfALoopbackBind(t *testing.T) {
	for _, bind := range []string{"127.0.0.1", "127.3.2.1"} {
		use, err := nics(netip.MustParseAddr(bind))
		if err != nil {
			t.Fatal(err)
		}
		if len(use) != 1 || !use[0].loopback() {
			t.Errorf("%s: %v", bind, use)
		}
	}
	if use, err := nics(netip.MustParseAddr("203.0.113.77")); err != nil || len(use) != 0 {
		t.Errorf("an address of nobody: %v, %v", use, err)
	}
}
