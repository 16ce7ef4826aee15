package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Ready tells why no lab can be made here, in words that say what would help; nil: it can.
// It makes a namespace with a limited link, and takes it away again.
func Ready() error {
	if os.Geteuid() != 0 {
		return errors.New("networks of namespaces are made by root: say it with sudo")
	}
	for _, command := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("there is no command %s: install iproute2", command)
		}
	}
	name := fmt.Sprint("ready", os.Getpid())
	if err := run("ip", "netns", "add", name); err != nil {
		return fmt.Errorf("no network namespace can be made here (a container needs --privileged for it): %w", err)
	}
	defer func() { _ = run("ip", "netns", "del", name) }() // the pid makes the name nobody else's
	steps := []struct {
		what, module string
		argv         []string
	}{
		{"bridge", "bridge", []string{"ip", "-n", name, "link", "add", "br0", "type", "bridge"}},
		{"pair of interfaces", "veth", []string{"ip", "-n", name, "link", "add", "end0", "type", "veth", "peer", "name", "end1"}},
		{"limited link", "sch_tbf", []string{"tc", "-n", name, "qdisc", "add", "dev", "end0", "root", "tbf", "rate", "1mbit", "burst", "128k", "latency", "50ms"}},
	}
	for _, s := range steps {
		if err := run(s.argv[0], s.argv[1:]...); err != nil {
			return fmt.Errorf("this kernel makes no %s; does modprobe %s help? %w", s.what, s.module, err)
		}
	}
	return nil
}
