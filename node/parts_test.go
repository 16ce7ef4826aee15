package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/node/store"
)

func FuzzPresence(f *testing.F) {
	good := presence{ID: chord.ID{1, 2, 3}, Epoch: 77, Addr: "10.0.0.1:8000", HTTP: "10.0.0.1:6969", UDP: "10.0.0.1:6970"}
	f.Add(good.encode())
	good.HTTP = ""
	f.Add(good.encode())
	f.Add(append(good.encode(), "what a later version adds"...))
	f.Add([]byte{})
	f.Add(good.encode()[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePresence(b)
		if err != nil {
			if !errors.Is(err, errBadPresence) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		if again, err := decodePresence(p.encode()); err != nil || again != p {
			t.Errorf("%+v reads back as %+v, %v", p, again, err)
		}
	})
}

func TestPresenceIsOneLineOfGolden(t *testing.T) {
	p := presence{ID: chord.ID{0xab}, Epoch: 0x0102, Addr: "[::1]:8000"}
	want := "\x01\xab" + strings.Repeat("\x00", 19) + "\x00\x00\x00\x00\x00\x00\x01\x02" + "\x0a[::1]:8000" + "\x00" + "\x00"
	if got := string(p.encode()); got != want {
		t.Errorf("encoded %q, want %q", got, want)
	}
	if want := p.ID.String() + "-102"; p.name() != want {
		t.Errorf("name %q, want %q", p.name(), want)
	}
	// Earlier versions did not tell of a UDP tracker.
	if earlier, err := decodePresence([]byte(want[:len(want)-1])); err != nil || earlier != p {
		t.Errorf("an earlier version's reads as %+v, %v", earlier, err)
	}
	for _, bad := range []string{"", "nohost", "0.0.0.0:8000", "10.0.0.1:0", "224.0.0.1:8000", "name:8000"} {
		p.Addr = bad
		if _, err := decodePresence(p.encode()); err == nil {
			t.Errorf("address %q was taken", bad)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for in, want := range map[string]endpoint{
		"":               {},
		"10.0.0.1":       {host: "10.0.0.1"},
		"host":           {host: "host"},
		"::1":            {host: "::1"},
		":80":            {port: 80, hasPort: true},
		"10.0.0.1:0":     {host: "10.0.0.1", hasPort: true},
		"[::1]:8000":     {host: "::1", port: 8000, hasPort: true},
		"localhost:6969": {host: "localhost", port: 6969, hasPort: true},
	} {
		if got, err := parseEndpoint(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, bad := range []string{"a:b:c", "host:http", "host:70000", "[::1", "host:-1"} {
		if got, err := parseEndpoint(bad); err == nil {
			t.Errorf("%q was taken for %+v", bad, got)
		}
	}
}

func TestTheRingPortIsTheFirstFreeOneThenThatOfLastTime(t *testing.T) {
	on := endpoint{host: "127.0.0.1"}
	first, err := listenRing(on, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	second, err := listenRing(on, 0)
	if err != nil {
		t.Fatal(err)
	}
	if first.port < firstRingPort || second.port <= first.port || second.port > lastRingPort {
		t.Errorf("ports %d and %d", first.port, second.port)
	}
	second.close()
	again, err := listenRing(on, second.port)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if again.port != second.port {
		t.Errorf("port %d, was %d", again.port, second.port)
	}
	other, err := listenRing(on, first.port) // of last time, and taken
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if other.port == first.port {
		t.Error("two listeners on one port")
	}
}

func TestAdvertised(t *testing.T) {
	everywhere := &ringPort{port: 8001, host: netip.IPv6Unspecified()}
	specific := &ringPort{port: 8001, host: netip.MustParseAddr("10.1.2.3")}
	for _, c := range []struct {
		flag string
		port *ringPort
		want string
	}{
		{"", specific, "10.1.2.3:8001"},
		{"192.0.2.9", specific, "192.0.2.9:8001"},
		{"192.0.2.9:99", everywhere, "192.0.2.9:99"},
		{"[2001:db8::1]:99", everywhere, "[2001:db8::1]:99"},
		{"localhost", everywhere, "127.0.0.1:8001"},
	} {
		if got, err := advertised(t.Context(), c.flag, c.port); err != nil || got.String() != c.want {
			t.Errorf("%q: %s, %v; want %s", c.flag, got, err, c.want)
		}
	}
	if got, err := advertised(t.Context(), "", everywhere); err != nil || got.Addr().IsUnspecified() || got.Port() != 8001 {
		t.Errorf("on all interfaces: %s, %v", got, err)
	}
}

func TestIdentityIsMadeOnceAndItsEpochOnlyGrows(t *testing.T) {
	dir, err := store.LockDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	now := time.UnixMilli(1_000_000)
	first, err := loadIdentity(dir, "c", now)
	if err != nil {
		t.Fatal(err)
	}
	first.Port = 8123
	if err := first.save(dir); err != nil {
		t.Fatal(err)
	}
	second, err := loadIdentity(dir, "c", now.Add(-time.Hour)) // a clock that was set back
	if err != nil {
		t.Fatal(err)
	}
	if second.id != first.id || second.Port != 8123 || second.Epoch <= first.Epoch || first.id == (chord.ID{}) {
		t.Errorf("first %+v, then %+v", first, second)
	}
	path := filepath.Join(dir.Path, identityFile)
	for _, bad := range []string{"{", `{"format":9}`, `{"format":1,"cluster":"c","id":"xyz"}`, ""} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadIdentity(dir, "c", now); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// best gives the targets' best addresses, sorted.
func best(targets []target) (out []string) {
	for _, t := range targets {
		out = append(out, t[0])
	}
	slices.Sort(out)
	return out
}

func TestTheJoinerTriesAMembersAddressesInOrder(t *testing.T) {
	var dialed []string
	dial := func(addr string) error {
		dialed = append(dialed, addr)
		if addr == "bad:1" {
			return errors.New("nobody there")
		}
		return nil
	}
	j := newJoiner(chord.Ref{}, discovery.JoinList{}, newKnown(), dial, func() []presence { return nil }, slog.New(slog.DiscardHandler))
	j.hint(discovery.Hint{ID: chord.ID{1}, Addrs: []string{"bad:1", "good:2", "never:3"}})
	j.round(t.Context(), false)
	j.dials.Wait()
	if !slices.Equal(dialed, []string{"bad:1", "good:2"}) {
		t.Errorf("dialed %v", dialed)
	}
}

func TestTheJoinerLooksForWhoeverIsMissing(t *testing.T) {
	ref := func(i byte) chord.Ref { return chord.Ref{ID: chord.ID{i}, Addr: fmt.Sprintf("10.0.0.%d:8000", i)} }
	in := func(i byte, epoch uint64) presence {
		return presence{ID: ref(i).ID, Epoch: epoch, Addr: ref(i).Addr}
	}
	view := []presence{in(1, 1), in(2, 5)}
	j := newJoiner(ref(1), discovery.JoinList{}, newKnown(ref(2), ref(3)), nil, func() []presence { return view }, nil)
	now := time.Unix(1000, 0)
	targets := func(all bool, fixed ...string) []string {
		now = now.Add(retryAddress)
		clear(j.dialing) // nobody dials in this test
		return best(j.targets(fixed, all, now))
	}
	if got := targets(true, "10.0.0.9:8000", ref(1).Addr, ref(2).Addr); !slices.Equal(got, []string{ref(3).Addr, "10.0.0.9:8000"}) {
		t.Errorf("with nobody hinted: %v", got)
	}
	j.hint(discovery.Hint{ID: ref(2).ID, Epoch: 5, Addrs: []string{ref(2).Addr}}) // is in the view
	j.hint(discovery.Hint{ID: ref(1).ID, Epoch: 9, Addrs: []string{ref(1).Addr}}) // is this node
	j.hint(discovery.Hint{ID: ref(4).ID, Epoch: 1, Addrs: []string{ref(4).Addr}})
	if got := targets(false); !slices.Equal(got, []string{ref(4).Addr}) {
		t.Errorf("after a hint: %v", got)
	}
	if got := j.targets(nil, false, now); len(got) != 0 {
		t.Errorf("tried again at once: %v", got)
	}
	moved := discovery.Hint{ID: ref(2).ID, Epoch: 6, Addrs: []string{"10.0.0.22:8000"}}
	j.hint(moved)
	if got := targets(false); !slices.Equal(got, []string{"10.0.0.22:8000", ref(4).Addr}) {
		t.Errorf("a member that moved, and one that is still missing: %v", got)
	}
	view = append(view, in(4, 1), presence{ID: ref(2).ID, Epoch: 6, Addr: "10.0.0.22:8000"})
	if got := targets(true); !slices.Equal(got, []string{ref(3).Addr}) {
		t.Errorf("when they came in: %v", got)
	}
	j.hint(discovery.Hint{ID: ref(7).ID, Epoch: 1, Addrs: []string{ref(7).Addr}})
	j.hint(discovery.Hint{ID: ref(7).ID, Epoch: 1, Leaving: true})
	if got := targets(false); len(got) != 0 {
		t.Errorf("somebody who left: %v", got)
	}
	for i := range 3 * maxHints {
		j.hint(discovery.Hint{ID: chord.ID{99, byte(i), byte(i >> 8)}, Addrs: []string{fmt.Sprint("10.1.0.1:", i+1)}})
	}
	if len(j.hints) > maxHints {
		t.Errorf("%d hints kept", len(j.hints))
	}
	if got := targets(false); len(got) != joinPerRound {
		t.Errorf("%d addresses in one round", len(got))
	}
}

func TestOfOneIdentityTheNewestEpochCounts(t *testing.T) {
	self := presence{ID: chord.ID{5}, Epoch: 5, Addr: "10.0.0.5:8000"}
	g := &gossip{self: self, alive: map[string]presence{}}
	for _, p := range []presence{
		{ID: chord.ID{1}, Epoch: 3, Addr: "10.0.0.1:8003"},
		{ID: chord.ID{1}, Epoch: 4, Addr: "10.0.0.1:8004"},
		{ID: chord.ID{1}, Epoch: 2, Addr: "10.0.0.1:8002"},
		{ID: chord.ID{5}, Epoch: 4, Addr: "10.0.0.5:7000"}, // this node, before it was started again
		self,
	} {
		g.alive[p.name()] = p
	}
	want := []presence{{ID: chord.ID{1}, Epoch: 4, Addr: "10.0.0.1:8004"}, self}
	if got := g.members(); !slices.Equal(got, want) {
		t.Errorf("members %+v", got)
	}
}

func TestTheClockNeverRunsBackwardsAndDoesNotLag(t *testing.T) {
	wall, mono := time.Unix(1000, 0), time.Duration(0)
	c := clock{base: chord.Time(wall.UnixNano()), wall: func() time.Time { return wall }, since: func(time.Time) time.Duration { return mono }}
	start := c.now()
	mono += time.Second
	wall = wall.Add(-time.Hour) // set back
	if got := c.now(); got != start.Add(time.Second) {
		t.Errorf("a wall clock that was set back: %v after the start", got.Sub(start))
	}
	wall = time.Unix(1000, 0).Add(8 * time.Hour) // suspended over night
	mono += time.Second
	if got := c.now(); got != chord.Time(wall.UnixNano()) {
		t.Errorf("after a suspend: %v behind the wall clock", chord.Time(wall.UnixNano()).Sub(got))
	}
	mono += time.Second
	wall = wall.Add(time.Second)
	if got := c.until(c.now().Add(time.Minute)); got != time.Minute {
		t.Errorf("until: %v", got)
	}
	if got := c.until(1); got != 0 {
		t.Errorf("until the past: %v", got)
	}
}

func TestTheQueueKeepsOrderAndRefusesAfterItsEnd(t *testing.T) {
	q := newQueue()
	for i := range 3 {
		q.post(i)
	}
	q.viewChanged()
	events, view := q.take(nil)
	if fmt.Sprint(events) != "[0 1 2]" || !view {
		t.Errorf("took %v, view %v", events, view)
	}
	q.post(3)
	if left := q.close(); fmt.Sprint(left) != "[3]" || q.post(4) {
		t.Errorf("left %v", left)
	}
}
