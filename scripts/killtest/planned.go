package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/chord/rpc"
	"chordtorrent/chord/secret"
)

// stepResult is how long one step of planned work took: an upgrade of a member, or a
// step of a rotation on all of them.
type stepResult struct {
	What     string  `json:"what"`
	LeftSec  float64 `json:"left_sec,omitempty"`  // from SIGTERM to the end of the process
	ReadySec float64 `json:"ready_sec,omitempty"` // from its start to its ready line
	WholeSec float64 `json:"whole_sec"`           // of the whole step, until nothing is under-replicated
}

// planned says whether nothing was done to the ring but what an operator does in order.
func (r *report) planned() bool {
	return !slices.ContainsFunc(r.Modes, func(mode string) bool { return mode != "upgrade" && mode != "rotate" })
}

func spreadOfSteps(steps []stepResult) string {
	var took []time.Duration
	for _, s := range steps {
		took = append(took, time.Duration(s.WholeSec*float64(time.Second)))
	}
	return fmt.Sprintf("each whole again after %.1f s in the median, %.1f s at most", quantile(took, 0.5), quantile(took, 1))
}

// upgrade has each member in turn leave and come back as the other program. The load
// is told nothing: whatever fails counts.
func (f *fleet) upgrade(l *load, r *report) (err error) {
	if r.From, err = versionOf(f.o.program); err != nil {
		return err
	}
	if r.To, err = versionOf(f.o.upgradeTo); err != nil {
		return err
	}
	for _, m := range f.inRingOrder() {
		m.program = f.o.upgradeTo
		step, err := f.again(m)
		if err != nil {
			return fmt.Errorf("upgrading %s: %w", m.addr, err)
		}
		r.Upgrades = append(r.Upgrades, step)
		f.stablePhase(l, r, "upgrade of "+m.addr)
	}
	fmt.Fprintln(os.Stderr, "upgraded:", spreadOfSteps(r.Upgrades))
	return nil
}

// versionOf is what a program says of itself.
func versionOf(program string) (string, error) {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", program, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// again has a member leave in order and come back, and waits until the ring is whole.
func (f *fleet) again(m *member) (step stepResult, err error) {
	began := time.Now()
	step.What = m.addr
	if err := m.leave(); err != nil {
		return step, err
	}
	step.LeftSec = time.Since(began).Seconds()
	started := time.Now()
	ready, err := m.start(f.lab)
	if err == nil {
		err = <-ready
	}
	if err != nil {
		return step, err
	}
	step.ReadySec = time.Since(started).Seconds()
	_, _, err = f.settle(3 * time.Minute)
	step.WholeSec = time.Since(began).Seconds()
	return step, err
}

// secretOf is the file of a host's copy of the secret: 0 is the clients', "" without one.
func (o *options) secretOf(host int) string {
	if !o.closed {
		return ""
	}
	return filepath.Join(o.work, fmt.Sprintf("secret-%d", host))
}

// firstSecret gives all n members and the clients the same one.
func (f *fleet) firstSecret(n int) error {
	text := []byte(secret.Generate())
	for host := range n + 1 {
		if err := os.WriteFile(f.o.secretOf(host), text, 0o600); err != nil {
			return err
		}
	}
	var err error
	f.keeper, err = secret.Open(f.o.secretOf(0))
	return err
}

// rotate replaces the secret in the three steps of README. In the middle of each, when
// half of the members have done it, one of either half leaves and comes back, so that
// connections are made anew between them.
func (f *fleet) rotate(l *load, r *report) error {
	before, err := os.ReadFile(f.o.secretOf(0))
	if err != nil {
		return err
	}
	after := []byte(secret.Generate())
	for _, s := range []struct {
		what string
		text []byte
	}{
		{"the new one added", slices.Concat(before, after)},
		{"the new one first", slices.Concat(after, before)},
		{"the old one removed", after},
	} {
		began := time.Now()
		ring := f.inRingOrder()
		half := len(ring) / 2
		if err := f.hand(ring[:half], s.text); err != nil {
			return err
		}
		for _, m := range []*member{ring[0], ring[half]} {
			if _, err := f.again(m); err != nil {
				return fmt.Errorf("%s, half way: %w", s.what, err)
			}
		}
		if err := f.hand(ring[half:], s.text); err != nil {
			return err
		}
		if err := replace(f.o.secretOf(0), s.text); err != nil { // the clients'
			return err
		}
		if _, err := f.keeper.Reload(); err != nil {
			return err
		}
		for _, m := range ring {
			m.hangUp() // so that looks are by the new one
		}
		if _, _, err := f.settle(3 * time.Minute); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		r.Rotation = append(r.Rotation, stepResult{What: s.what, WholeSec: time.Since(began).Seconds()})
		f.stablePhase(l, r, s.what)
	}
	fmt.Fprintln(os.Stderr, "secret replaced:", spreadOfSteps(r.Rotation))
	return f.shutOut(l, before)
}

// rereadWithin is by when members have read a file again that was changed.
const rereadWithin = 10 * time.Second

// hand gives members a file of secrets, and waits until they have read it.
func (f *fleet) hand(members []*member, text []byte) error {
	for _, m := range members {
		if err := replace(m.secret, text); err != nil {
			return err
		}
	}
	secrets, err := secret.Open(members[0].secret)
	if err != nil {
		return err
	}
	end := time.Now().Add(f.o.patience(rereadWithin))
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for _, m := range members {
		for {
			have, err := m.fingerprints()
			if err == nil && slices.Equal(have, secrets.Fingerprints()) {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s has not read its secrets within %v: it has %v of %v, error %v", m.addr, f.o.patience(rereadWithin), have, secrets.Fingerprints(), err) //nolint:errorlint // it may be nil
			}
			<-t.C
		}
	}
	return nil
}

// replace writes a file of secrets as an operator's tool would: nobody reads half of it.
func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// fingerprints asks a member which secrets it accepts, the one in use first.
func (m *member) fingerprints() ([]string, error) {
	text, err := m.metrics()
	if err != nil {
		return nil, err
	}
	var list []string
	const first = `place="first"`
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "chordtorrent_secret_info{") {
			continue
		}
		_, rest, _ := strings.Cut(line, `fingerprint="`)
		print, _, _ := strings.Cut(rest, `"`)
		if strings.Contains(line, first) {
			list = slices.Insert(list, 0, print)
		} else {
			list = append(list, print)
		}
	}
	return list, nil
}

// metrics asks a member's page for Prometheus.
func (m *member) metrics() ([]byte, error) {
	client := http.Client{Timeout: 5 * time.Second}
	reply, err := client.Get("http://" + m.http + "/metrics")
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s/metrics: %s", m.http, reply.Status)
	}
	return io.ReadAll(io.LimitReader(reply.Body, 1<<20))
}

// shutOut sees that nobody is let in any more who has the old secret alone.
func (f *fleet) shutOut(l *load, old []byte) error {
	path := filepath.Join(f.o.work, "secret-old")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		return err
	}
	keeper, err := secret.Open(path)
	if err != nil {
		return err
	}
	for _, m := range f.inRingOrder() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		c, err := rpc.Dial(ctx, m.addr, f.o.cluster, keeper)
		cancel()
		if err == nil {
			_ = c.Close()
			l.violate("%s lets in who has the old secret alone", m.addr)
		} else if !errors.Is(err, rpc.ErrRefused) {
			l.violate("%s does not refuse the old secret, but: %v", m.addr, err)
		}
	}
	return nil
}
