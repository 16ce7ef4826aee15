package transfer

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

type numbered int

func (numbered) handle(*loop) {}

func TestMailbox(t *testing.T) {
	t.Run("keeps the order", func(t *testing.T) {
		var m mailbox
		for i := range 5 {
			m.put(numbered(i))
		}
		got := m.take(nil)
		for i := range 5 {
			if got[i] != event(numbered(i)) {
				t.Fatalf("got %v", got)
			}
		}
		if len(m.take(nil)) != 0 {
			t.Error("taken twice")
		}
	})
	t.Run("gives back what nobody will handle", func(t *testing.T) {
		var m mailbox
		m.put(numbered(1))
		if left := m.close(); len(left) != 1 || left[0] != event(numbered(1)) {
			t.Errorf("left %v", left)
		}
		if m.put(numbered(2)) {
			t.Error("a closed mailbox took something")
		}
		if len(m.take(nil)) != 0 || len(m.close()) != 0 {
			t.Error("something in a closed mailbox")
		}
	})
	t.Run("loses nothing of many posters, each in its order", func(t *testing.T) {
		const posters, posts = 8, 2000
		var m mailbox
		var wg sync.WaitGroup
		for p := range posters {
			wg.Go(func() {
				for i := range posts {
					m.put(numbered(p*posts + i))
				}
			})
		}
		next := make([]int, posters)
		seen := 0
		for seen < posters*posts {
			for _, ev := range m.take(nil) {
				n := int(ev.(numbered))
				if n%posts != next[n/posts] {
					t.Fatalf("poster %d: %d came instead of %d", n/posts, n%posts, next[n/posts])
				}
				next[n/posts]++
				seen++
			}
		}
		wg.Wait()
	})
}

func TestBuffers(t *testing.T) {
	b := newBuffers(100)
	l := &loop{}
	if !b.take(40, false, l) || !b.take(60, false, l) || b.inUse() != 100 {
		t.Fatalf("%d in use", b.inUse())
	}
	x := b.fill(40)
	delete(b.hungry, l)
	if b.take(1, false, l) || !b.hungry[l] {
		t.Error("the limit did not hold")
	}
	delete(b.hungry, l)
	if !b.take(70, true, l) {
		t.Error("the one that must be given was not")
	}
	b.put(70, b.fill(70))
	if b.spare != 0 {
		t.Error("kept more than the limit")
	}
	b.put(40, x[:7]) // a short last piece comes back as what it was
	if b.spare != 40 {
		t.Errorf("%d spare", b.spare)
	}
	b.take(40, false, l)
	if again := b.fill(40); &again[0] != &x[0] || b.spare != 0 {
		t.Error("the spare one was not used")
	}
	b.put(40, x)
	b.put(60, nil) // room that was never filled
	if b.inUse() != 0 || b.spare != 40 {
		t.Errorf("%d in use, %d spare", b.inUse(), b.spare)
	}
	b.take(70, false, l)
	y := b.fill(70)
	if b.spare != 0 {
		t.Error("spare ones of another size stand in the way")
	}
	b.put(70, y)
	b.trim()
}

// Room that was taken and not yet filled must not have memory thrown away that it
// will ask for in a moment.
func TestBuffersAreUsedAgainWhileAllRoomIsTaken(t *testing.T) {
	b := newBuffers(100)
	l := &loop{}
	for range 10 {
		b.take(10, false, l)
	}
	first := b.fill(10)
	for range 9 {
		b.put(10, first)
		b.take(10, false, l)
		if again := b.fill(10); &again[0] != &first[0] {
			t.Fatal("memory that came back was not used again")
		}
	}
}

func TestWorkersFinishTheirQueue(t *testing.T) {
	w := startWorkers(3)
	var ran atomic.Int64
	for range 500 {
		w.submit(counting{&ran})
	}
	w.close()
	if n := ran.Load(); n != 500 {
		t.Errorf("%d of 500 jobs ran", n)
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) run() { c.n.Add(1) }

func TestBook(t *testing.T) {
	b := newBook()
	now := time.Unix(1e9, 0)
	var addrs []netip.AddrPort
	for i := range 3 {
		addrs = append(addrs, netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:7000", i+1)))
	}
	b.add(addrs)
	b.add(addrs) // known ones are kept
	b.add([]netip.AddrPort{netip.MustParseAddrPort("[::ffff:10.0.0.1]:7000"), netip.MustParseAddrPort("0.0.0.0:1"),
		netip.MustParseAddrPort("10.0.0.9:0"), netip.MustParseAddrPort("239.0.0.1:7000"), {}})
	if len(b.order) != 3 {
		t.Fatalf("%d addresses", len(b.order))
	}
	var got []netip.AddrPort
	for range 3 {
		k := b.next(now, false)
		got = append(got, k.addr)
		k.failed(now, "refused", 0)
	}
	slices.SortFunc(got, netip.AddrPort.Compare)
	if !slices.Equal(got, addrs) {
		t.Errorf("got %v", got)
	}
	if b.next(now, false) != nil || !b.waiting(false) {
		t.Error("no back-off")
	}
	k := b.next(now.Add(firstBackOff), false)
	waits := time.Duration(0)
	for range 30 {
		k.failed(now, "refused", 0.99)
		if wait := k.next.Sub(now); wait < waits || wait > 3*lastBackOff/2 {
			t.Errorf("waits %v after %v", wait, waits)
		}
		waits = k.next.Sub(now)
	}
	for _, k := range b.order {
		k.never = "banned"
	}
	if b.waiting(false) || b.next(now.Add(time.Hour), false) != nil {
		t.Error("dialled what must never be")
	}
	for i := range 2 * maxAddresses {
		b.entry(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1))
	}
	if len(b.order) != maxAddresses {
		t.Errorf("%d addresses remembered", len(b.order))
	}
}

// TestBookMakesRoomForNewAddresses: made-up addresses that failed do not keep
// real ones out for good.
func TestBookMakesRoomForNewAddresses(t *testing.T) {
	b := newBook()
	for i := range maxAddresses {
		k := b.entry(netip.AddrPortFrom(loopback, uint16(i+1)))
		if i%2 == 0 {
			k.failed(time.Unix(0, 0), "refused", 0)
		}
	}
	worst := b.by[netip.AddrPortFrom(loopback, 3)]
	worst.failed(time.Unix(0, 0), "refused", 0)
	real := netip.AddrPortFrom(loopback, 60000)
	if b.entry(real) == nil || len(b.order) != maxAddresses || len(b.by) != maxAddresses {
		t.Fatalf("no room for a new address: %d of %d", len(b.order), maxAddresses)
	}
	if b.by[worst.addr] != nil {
		t.Error("the address that failed most often is still there")
	}
}

func TestMeter(t *testing.T) {
	var m meter
	for range 50 {
		m.add(200)
		m.tick(200 * time.Millisecond)
	}
	if m.rate < 999 || m.rate > 1001 || m.total != 10000 {
		t.Errorf("%+v", m)
	}
	for range 100 {
		m.tick(200 * time.Millisecond)
	}
	if m.rate != 0 {
		t.Errorf("rate %v long after the last byte", m.rate)
	}
	m.tick(0)
}

func TestEveryReasonHasWords(t *testing.T) {
	seen := make(map[string]bool)
	for r := range lastReason {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d: %q", r, r)
		}
		seen[r.String()] = true
	}
}

func TestProfiles(t *testing.T) {
	for name, slots := range map[string]int{"lan": 64, "wan": 8} {
		var p Profile
		if err := p.UnmarshalText([]byte(name)); err != nil || p.String() != name {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		cfg := Config{Profile: p}
		if err := cfg.validate(); err != nil || cfg.UploadSlots != slots {
			t.Errorf("%s: %d slots, %v", name, cfg.UploadSlots, err)
		}
	}
	var p Profile
	if p.UnmarshalText([]byte("moon")) == nil {
		t.Error("there is a profile moon")
	}
	if cfg := (Config{Profile: 9}); cfg.validate() == nil {
		t.Error("there is a profile 9")
	}
}

// A peer that fetches nothing, though it lacks something, takes nobody's slot.
func TestUploadOnlyPeersWasteNoSlot(t *testing.T) {
	f := makeTorrent(t, 120, 16<<10, 160<<10)
	e := start(t, func(c *Config) { c.UploadSlots = 1 })
	spec := f.seedSpec(t)
	spec.Have.Clear(3)
	tor := e.add(t, spec)
	idle := joinFast(t, e, f, 1)
	idle.introduce(extended{UploadOnly: new(1)})
	idle.introduce(extended{Port: 1001}) // which takes nothing back
	idle.send(wire.Message{ID: wire.Interested})
	until(t, "the first to be interested", func() bool { st := tor.Status(); return len(st.Peers) == 1 && st.Peers[0].Wants })
	if st := tor.Status(); !st.Peers[0].Choked || st.PeersWanting != 0 {
		t.Errorf("%+v", st)
	}
	wants := joinFast(t, e, f, 2)
	wants.send(wire.Message{ID: wire.Interested})
	wants.expect(wire.Unchoke)
}

// Between two that only upload nothing will ever move (BEP 21).
func TestUploadOnlyPeersLeaveASeed(t *testing.T) {
	f := makeTorrent(t, 121, 16<<10, 160<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	p := joinFast(t, e, f, 1)
	p.send(wire.Message{ID: wire.Have, Index: 1})
	p.introduce(extended{UploadOnly: new(1)})
	p.gone()
	until(t, "the reason", func() bool { return e.drops[bothSeeds].Load() == 1 })
}
