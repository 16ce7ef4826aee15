package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// lab is a switch and hosts around it, each a network namespace of its own, with
// no way to anything outside. Host 0 is where the clients run.
type lab struct {
	prefix string
	hosts  int
}

func (l lab) ns(i int) string   { return fmt.Sprintf("%s-%d", l.prefix, i) }
func (l lab) addr(i int) string { return fmt.Sprintf("10.99.0.%d", i+1) }
func (l lab) sw() string        { return l.prefix + "-sw" }

// command runs a program and gives its output with the error.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (l lab) build() error {
	steps := [][]string{
		{"netns", "add", l.sw()},
		{"-n", l.sw(), "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"},
		{"-n", l.sw(), "link", "set", "br0", "up"},
	}
	for i := range l.hosts {
		port := fmt.Sprint("p", i)
		steps = append(steps,
			[]string{"netns", "add", l.ns(i)},
			[]string{"-n", l.sw(), "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", l.ns(i)},
			[]string{"-n", l.sw(), "link", "set", port, "master", "br0", "up"},
			[]string{"-n", l.ns(i), "link", "set", "lo", "up"},
			[]string{"-n", l.ns(i), "addr", "add", l.addr(i) + "/24", "dev", "eth0"},
			[]string{"-n", l.ns(i), "link", "set", "eth0", "up"},
			[]string{"-n", l.ns(i), "route", "add", "224.0.0.0/4", "dev", "eth0"},
		)
	}
	for _, s := range steps {
		if err := command("ip", s...); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the lab away, also one that was built half.
func (l lab) remove() {
	for i := range l.hosts {
		_ = command("ip", "netns", "del", l.ns(i)) // it may not be there
	}
	_ = command("ip", "netns", "del", l.sw())
}

// cut has host i take nothing in from the others named; nil ends all cuts.
func (l lab) cut(i int, from []int) error {
	script := "flush ruleset\n"
	if len(from) > 0 {
		var addrs []string
		for _, o := range from {
			addrs = append(addrs, l.addr(o))
		}
		script += "table ip cut { chain in { type filter hook input priority 0; ip saddr { " + strings.Join(addrs, ", ") + " } drop; }; }\n"
	}
	cmd := exec.Command("ip", "netns", "exec", l.ns(i), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cutting off %s: %w: %s", l.ns(i), err, out)
	}
	return nil
}

// inside runs this program again in the clients' host.
func (l lab) inside(args []string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command("ip", append([]string{"netns", "exec", l.ns(0), self, "--inside", l.prefix}, args...)...)
}
