// Package lab makes networks of namespaces for programs that measure or torment
// others: hosts around a switch, with no way to anything outside. It needs root and
// the commands ip, nft and tc.
package lab

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Lab is a switch and Hosts around it, each a network namespace of its own, whose names
// begin with Prefix.
type Lab struct {
	Prefix string
	Hosts  int
}

// NS is the namespace of host i, Addr its address.
func (l Lab) NS(i int) string   { return fmt.Sprintf("%s-%d", l.Prefix, i) }
func (l Lab) Addr(i int) string { return fmt.Sprintf("10.99.0.%d", i+1) }
func (l Lab) sw() string        { return l.Prefix + "-sw" }

// On gives the command line that runs another one on host i.
func (l Lab) On(i int, argv ...string) []string {
	return append([]string{"ip", "netns", "exec", l.NS(i)}, argv...)
}

// run runs a program and gives its output with the error. Ctrl-C is not for it: who is
// interrupted takes the lab away, which needs such programs.
func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Build makes the network, and removes those of the same kind whose makers were killed.
func (l Lab) Build() error {
	if _, err := l.Leftovers(); err != nil {
		return err
	}
	steps := [][]string{
		{"netns", "add", l.sw()},
		{"-n", l.sw(), "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"},
		{"-n", l.sw(), "link", "set", "br0", "up"},
	}
	for i := range l.Hosts {
		port := fmt.Sprint("p", i)
		steps = append(steps,
			[]string{"netns", "add", l.NS(i)},
			[]string{"-n", l.sw(), "link", "add", port, "type", "veth", "peer", "name", "eth0", "address", mac(i), "netns", l.NS(i)},
			[]string{"-n", l.sw(), "link", "set", port, "master", "br0", "up"},
			[]string{"-n", l.NS(i), "link", "set", "lo", "up"},
			[]string{"-n", l.NS(i), "addr", "add", l.Addr(i) + "/24", "dev", "eth0"},
			[]string{"-n", l.NS(i), "link", "set", "eth0", "up"},
			[]string{"-n", l.NS(i), "route", "add", "224.0.0.0/4", "dev", "eth0"},
			// What Linux has if nobody chooses, so that all machines measure the same: BBR,
			// which this one may have, sends much more twice where many share a link.
			[]string{"-n", l.NS(i), "route", "change", "10.99.0.0/24", "dev", "eth0", "proto", "kernel", "scope", "link", "src", l.Addr(i), "congctl", "cubic"},
		)
	}
	for _, s := range steps {
		if err := run("ip", s...); err != nil {
			return err
		}
	}
	l.onlySwitch()
	for i := range l.Hosts {
		if err := l.introduce(i); err != nil {
			return err
		}
	}
	return nil
}

// onlySwitch has the switch ask no firewall about what it passes on, as one of metal does not:
// with br_netfilter in the kernel each namespace begins with that, and it costs CPU for each
// packet. Where it may not be said the lab works all the same.
func (l Lab) onlySwitch() {
	_ = run("ip", "netns", "exec", l.sw(), "sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do echo 0 >$f; done")
}

// mac is the Ethernet address of host i.
func mac(i int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&0xff) }

// introduce has host i know the Ethernet addresses of all others, as the table of those that
// were asked for is one for the whole machine, and a hundred hosts fill it.
func (l Lab) introduce(i int) error {
	var lines strings.Builder
	for k := range l.Hosts {
		if k != i {
			fmt.Fprintf(&lines, "neigh add %s lladdr %s dev eth0 nud permanent\n", l.Addr(k), mac(k))
		}
	}
	cmd := exec.Command("ip", "-n", l.NS(i), "-batch", "-")
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("telling %s of the others: %w: %s", l.NS(i), err, out)
	}
	return nil
}

// Remove takes it away, also one that was built half.
func (l Lab) Remove() {
	for i := range l.Hosts {
		_ = run("ip", "netns", "del", l.NS(i)) // it may not be there
	}
	_ = run("ip", "netns", "del", l.sw())
}

// Shape gives host i a link of so many bits per second both ways, with a queue of
// 50 ms.
func (l Lab) Shape(i int, bitsPerSec int64) error {
	burst := max(128<<10, bitsPerSec/8/250) // 4 ms
	tbf := []string{"root", "tbf", "rate", fmt.Sprintf("%dbit", bitsPerSec), "burst", fmt.Sprint(burst), "latency", "50ms"}
	up := append([]string{"netns", "exec", l.NS(i), "tc", "qdisc", "add", "dev", "eth0"}, tbf...)
	down := append([]string{"netns", "exec", l.sw(), "tc", "qdisc", "add", "dev", fmt.Sprint("p", i)}, tbf...)
	for _, side := range [][]string{up, down} {
		if err := run("ip", side...); err != nil {
			return err
		}
	}
	return nil
}

// Unplug takes host i off the switch: the others hear nothing of it any more, not even
// that it has gone.
func (l Lab) Unplug(i int) error {
	return run("ip", "-n", l.sw(), "link", "set", fmt.Sprint("p", i), "down")
}

// Sent is how many bytes have left host i.
func (l Lab) Sent(i int) (int64, error) {
	argv := l.On(i, "cat", "/sys/class/net/eth0/statistics/tx_bytes")
	text, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return 0, fmt.Errorf("counting what %s has sent: %w", l.NS(i), err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Received is how many bytes have come to each host, as the switch has counted them.
func (l Lab) Received() ([]int64, error) {
	text, err := exec.Command("ip", "-n", l.sw(), "-s", "-j", "link").Output()
	if err != nil {
		return nil, fmt.Errorf("counting what hosts have received: %w", err)
	}
	return received(text, l.Hosts)
}

// received reads what ip tells of the ports of a switch.
func received(text []byte, hosts int) ([]int64, error) {
	var ports []struct {
		Name  string `json:"ifname"`
		Stats struct {
			TX struct {
				Bytes int64 `json:"bytes"`
			} `json:"tx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal(text, &ports); err != nil {
		return nil, fmt.Errorf("counting what hosts have received: %w", err)
	}
	came := make([]int64, hosts)
	for _, p := range ports {
		if i, err := strconv.Atoi(strings.TrimPrefix(p.Name, "p")); err == nil && i >= 0 && i < hosts {
			came[i] = p.Stats.TX.Bytes
		}
	}
	return came, nil
}

// Quiet has host i call nobody of the others named; they can call it. nil ends it.
func (l Lab) Quiet(i int, to []int) error {
	return l.filter(i, "output", "daddr", to, "tcp flags & (syn | ack) == syn ")
}

// Cut has host i take nothing in from the others named; nil ends all cuts.
func (l Lab) Cut(i int, from []int) error { return l.filter(i, "input", "saddr", from, "") }

// filter has host i drop what is of others, instead of what it dropped until now.
func (l Lab) filter(i int, hook, side string, others []int, which string) error {
	script := "flush ruleset\n"
	if len(others) > 0 {
		var addrs []string
		for _, o := range others {
			addrs = append(addrs, l.Addr(o))
		}
		script += fmt.Sprintf("table ip cut { chain c { type filter hook %s priority 0; ip %s { %s } %sdrop; }; }\n", hook, side, strings.Join(addrs, ", "), which)
	}
	cmd := exec.Command("ip", "netns", "exec", l.NS(i), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("setting what %s drops: %w: %s", l.NS(i), err, out)
	}
	return nil
}
