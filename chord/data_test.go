package chord

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ringOf starts a settled ring.
func ringOf(t reporter, opt simOptions, n int) (*simNet, []*simHost) {
	t.Helper()
	net := newSimNet(t, opt)
	net.checkAlways()
	hosts := net.startAll(n)
	net.settle(n)
	return net, hosts
}

// TestReadYourWrites walks through the operations of a map, from every member
// of rings of several sizes.
func TestReadYourWrites(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			net, hosts := ringOf(t, simOptions{seed: testSeed(t, 7)}, n)
			q := QuorumOf(Hard, n)
			for i, h := range hosts {
				key := Key(fmt.Sprint("\x01map ", i))
				if r := h.get(key); r.Code != CodeNotFound || r.Unconfirmed {
					t.Fatalf("an unwritten map: %s", showGet(r))
				}
				first := h.mustPut(key, "b", "one")
				if first.Want != q.W || first.Stamp.Millis() != h.clock().Millis() && first.Stamp.Millis() < simEpoch.Millis() {
					t.Fatalf("put in a ring of %d: %s", n, showPut(first))
				}
				other := hosts[(i+1)%n]
				if second := other.mustPut(key, "a", "two"); second.Stamp <= first.Stamp {
					t.Fatalf("stamp %d after %d", second.Stamp, first.Stamp)
				}
				for _, reader := range hosts {
					reader.mustGet(key, "a", "two", "b", "one")
				}
				other.mustPut(key, "b", "three")
				h.mustGet(key, "a", "two", "b", "three")
				r := h.do(Put{Key: key, Updates: []Update{{Name: "a", Delete: true}}}).(PutReply)
				if r.Code != CodeOK {
					t.Fatalf("delete: %s", showPut(r))
				}
				other.mustGet(key, "b", "three")
				h.do(Put{Key: key, Updates: []Update{{Name: "b", Delete: true}, {Name: "never was", Delete: true}}})
				if r := other.get(key); r.Code != CodeNotFound {
					t.Fatalf("a map of tombstones: %s", showGet(r))
				}
				other.mustPut(key, "a", "back")
				h.mustGet(key, "a", "back")
			}
			net.settle(n)
		})
	}
}

// TestPutManyFields writes several fields at once: all by one stamp.
func TestPutManyFields(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 3)}, 5)
	var updates []Update
	var want []string
	for i := range 50 {
		name := fmt.Sprintf("%02d", i)
		updates = append(updates, Update{Name: name, Value: []byte("v" + name)})
		want = append(want, name, "v"+name)
	}
	r := hosts[1].do(Put{Key: "\x01m", Updates: updates}).(PutReply)
	if r.Code != CodeOK {
		t.Fatal(showPut(r))
	}
	hosts[3].mustGet("\x01m", want...)
	for _, f := range hosts[2].get("\x01m").Fields {
		if f.Stamp != r.Stamp {
			t.Fatalf("field %q has stamp %d, the put %d", f.Name, f.Stamp, r.Stamp)
		}
	}
}

// TestGetPrefixAndPages reads parts of a map.
func TestGetPrefixAndPages(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 4)}, 4)
	for i := range 30 {
		hosts[i%4].mustPut("\x01m", fmt.Sprintf("%c%02d", "ab"[i%2], i), "0123456789")
	}
	hosts[0].do(Put{Key: "\x01m", Updates: []Update{{Name: "a00", Delete: true}}})
	read := func(g Get) GetReply {
		t.Helper()
		g.Key = "\x01m"
		r := hosts[2].do(g).(GetReply)
		if r.Code != CodeOK {
			t.Fatalf("%+v: %s", g, showGet(r))
		}
		return r
	}
	if r := read(Get{Prefix: "a"}); len(r.Fields) != 14 || r.Total != 14 || r.More || r.Fields[0].Name != "a02" {
		t.Errorf("prefix a: %s", showGet(r))
	}
	if r := read(Get{After: "b25"}); len(r.Fields) != 2 || r.Fields[0].Name != "b27" || r.More {
		t.Errorf("after b25: %s", showGet(r))
	}
	var names []string
	for after, pages := "", 0; ; pages++ {
		r := read(Get{Prefix: "b", After: after, Limit: 40})
		if len(r.Fields) == 0 || len(r.Fields) > 4 || pages > 20 {
			t.Fatalf("page %d: %s", pages, showGet(r))
		}
		for _, f := range r.Fields {
			names = append(names, f.Name)
		}
		if !r.More {
			break
		}
		after = names[len(names)-1]
	}
	if len(names) != 15 || !slices.IsSorted(names) {
		t.Errorf("pages gave %q", names)
	}
	r := read(Get{Prefix: "b", Sample: 5})
	picked := map[string]bool{}
	for _, f := range r.Fields {
		if !strings.HasPrefix(f.Name, "b") {
			t.Errorf("the sample has %q", f.Name)
		}
		picked[f.Name] = true
	}
	if len(picked) != 5 || len(r.Fields) != 5 || r.Total != 15 {
		t.Errorf("sample of 5: %s", showGet(r))
	}
	if r := hosts[1].do(Get{Key: "\x01m", Prefix: "c"}).(GetReply); r.Code != CodeNotFound {
		t.Errorf("prefix that no field has: %s", showGet(r))
	}
}

// TestLargeMap pages through a map of 20 MiB.
func TestLargeMap(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 5)}, 3)
	const fields = 80
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, MaxValueBytes) }
	for i := range fields {
		r := hosts[i%3].do(Put{Key: "\x02big", Updates: []Update{{Name: fmt.Sprintf("%03d", i), Value: value(i)}}}).(PutReply)
		if r.Code != CodeOK {
			t.Fatalf("field %d: %s", i, showPut(r))
		}
	}
	pages := func(h *simHost) {
		t.Helper()
		after, got := "", 0
		for {
			r := h.do(Get{Key: "\x02big", After: after}).(GetReply)
			if r.Code != CodeOK || r.Unconfirmed || len(r.Fields) == 0 {
				net.fatalf("behind %q: code %s, %d fields", after, codeNames[r.Code], len(r.Fields))
			}
			size := 0
			for _, f := range r.Fields {
				if f.Name != fmt.Sprintf("%03d", got) || !bytes.Equal(f.Value, value(got)) {
					t.Fatalf("field %d of the pages is %q, %d bytes", got, f.Name, len(f.Value))
				}
				got++
				size += len(f.Name) + len(f.Value)
			}
			if size > MaxGetBytes {
				t.Fatalf("a page of %d bytes", size)
			}
			if !r.More {
				break
			}
			after = r.Fields[len(r.Fields)-1].Name
		}
		if got != fields {
			t.Fatalf("the pages give %d fields", got)
		}
	}
	pages(hosts[0])
	// It moves to those who join and is whole there too.
	net.host().start()
	net.settle(4)
	pages(net.hosts[3])
	hosts[0].crash(false)
	net.settle(3)
	pages(hosts[1])
}

// TestLimits refuses what is too large, and what makes no sense.
func TestLimits(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 6)}, 3)
	put := func(key Key, u ...Update) Code { return hosts[0].do(Put{Key: key, Updates: u}).(PutReply).Code }
	full := func(n int) []byte { return make([]byte, n) }
	for _, c := range []struct {
		name string
		got  Code
		want Code
	}{
		{"longest key", put(Key("\x01"+strings.Repeat("k", MaxKeyBytes-1)), Update{Name: "f"}), CodeOK},
		{"key too long", put(Key("\x01"+strings.Repeat("k", MaxKeyBytes)), Update{Name: "f"}), CodeTooLarge},
		{"longest field", put("\x01k", Update{Name: strings.Repeat("f", MaxFieldBytes)}), CodeOK},
		{"field too long", put("\x01k", Update{Name: strings.Repeat("f", MaxFieldBytes+1)}), CodeTooLarge},
		{"largest value", put("\x01k", Update{Name: "f", Value: full(MaxValueBytes)}), CodeOK},
		{"value too large", put("\x01k", Update{Name: "f", Value: full(MaxValueBytes + 1)}), CodeTooLarge},
		{"put too large", put("\x01k", Update{Name: "1", Value: full(MaxValueBytes)}, Update{Name: "2", Value: full(MaxValueBytes)},
			Update{Name: "3", Value: full(MaxValueBytes)}, Update{Name: "4", Value: full(MaxValueBytes)}), CodeTooLarge},
		{"no updates", put("\x01k"), CodeBadRequest},
		{"no key", put("", Update{Name: "f"}), CodeBadRequest},
		{"get without key", hosts[0].do(Get{}).(GetReply).Code, CodeBadRequest},
		{"get of too long a key", hosts[0].do(Get{Key: Key(strings.Repeat("k", MaxKeyBytes+1))}).(GetReply).Code, CodeTooLarge},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, codeNames[c.got], codeNames[c.want])
		}
	}
}

// TestDataMovesToJoiner fills a ring of one and lets others join: each range
// has its copies where they belong, and no stray one stays.
func TestDataMovesToJoiner(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 1)
		hi := newHistory(net)
		const keys = 40
		for i := range keys {
			hi.write(hosts[0], Key(fmt.Sprint("\x01key ", i)), "f")
		}
		net.run(time.Second)
		for n := 2; n <= 8; n++ {
			net.host().start()
			// Clients go on meanwhile, at all members.
			for i := range 20 {
				h := net.hosts[net.rng.IntN(len(net.hosts))]
				hi.read(h, Key(fmt.Sprint("\x01key ", net.rng.IntN(keys))))
				hi.write(h, Key(fmt.Sprint("\x01key ", net.rng.IntN(keys))), fmt.Sprint(i%3))
				net.run(net.between(0, 100*time.Millisecond))
			}
			net.settle(n)
			hi.verify(net.hosts...)
		}
		if hi.failed > 0 {
			t.Errorf("writes failed while members joined, though nobody was missing: %s", hi)
		}
		wantCopies(net, keys, Hard)
	})
}

// wantCopies waits until every key is held by those that should, and by
// nobody else.
func wantCopies(net *simNet, keys int, class Class) {
	net.t.Helper()
	ring := net.ring()
	q := QuorumOf(class, len(ring))
	var err error
	if !net.runUntil(60*time.Second, func() bool { err = copiesErr(ring, q.N, keys, class); return err == nil }) {
		net.fatalf("%v", err)
	}
}

func copiesErr(ring []*simHost, copies, keys int, class Class) error {
	total := 0
	for i, h := range ring {
		held := map[Key]bool{}
		h.disk.Keys(class, ID{}, ID{}, func(k Key) bool { held[k] = true; return true })
		total += len(held)
		for back := range copies {
			owner := ring[(i-back+len(ring))%len(ring)]
			before := ring[(i-back-1+2*len(ring))%len(ring)]
			for k := range held {
				if InArc(before.ref.ID, HashKey(k), owner.ref.ID) {
					delete(held, k)
				}
			}
		}
		if len(held) > 0 {
			return fmt.Errorf("%s holds %d stray copies", h, len(held))
		}
	}
	if total != copies*keys {
		return fmt.Errorf("%d copies of %d keys, want %d of each", total, keys, copies)
	}
	return nil
}

// TestLeaveHandsOver empties a ring by orderly leaves, down to the last one.
func TestLeaveHandsOver(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 6)
		hi := newHistory(net)
		for i := range 20 {
			hi.write(hosts[i%6], Key(fmt.Sprint("\x01key ", i)), "f")
		}
		net.run(time.Second)
		for left := 5; left >= 1; left-- {
			h := hosts[left]
			h.leave()
			for i := range 10 {
				at := hosts[net.rng.IntN(left)]
				hi.write(at, Key(fmt.Sprint("\x01key ", net.rng.IntN(20))), fmt.Sprint(i))
				hi.read(at, Key(fmt.Sprint("\x01key ", net.rng.IntN(20))))
				net.run(net.between(0, 50*time.Millisecond))
			}
			net.wait(h.name+" leaves", 30*time.Second, func() bool { return h.m == nil })
			h.wipe() // whatever it had is of no use to anybody any more
			net.settle(left)
			hi.verify(hosts[:left]...)
		}
		if hi.degraded+hi.failed > hi.acked/10 {
			t.Errorf("orderly leaves cost too many writes: %s", hi)
		}
	})
}

// TestConcurrentWriters lets all members write one field at once: they
// converge on one of the values, the one with the highest stamp.
func TestConcurrentWriters(t *testing.T) {
	eachSeed(t, 10, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed, skew: 200 * time.Millisecond}, 5)
		hi := newHistory(net)
		for range 20 {
			for _, h := range hosts {
				hi.write(h, "\x01one", "f")
			}
			hi.read(hosts[net.rng.IntN(5)], "\x01one")
			net.run(net.between(0, 5*time.Millisecond))
		}
		net.run(time.Second)
		if hi.acked != 100 {
			t.Errorf("a healthy ring of five: %s", hi)
		}
		hi.verify(hosts...)
		want := hosts[0].get("\x01one").Fields
		for _, h := range hosts {
			if got := h.get("\x01one").Fields; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s reads %v, %s %v", hosts[0], want, h, got)
			}
		}
		net.run(30 * time.Second)
		for _, h := range hosts {
			if got := dumpStore(h.disk, Hard); got != dumpStore(hosts[0].disk, Hard) {
				t.Errorf("the stores differ after repair:\n%s%s", got, dumpStore(hosts[0].disk, Hard))
			}
		}
	})
}

// TestLookupsThroughHints asks at members whose view of the ring is out of
// date: the answer comes by way of NotOwner and its hint.
func TestLookupsThroughHints(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 8)
		hi := newHistory(net)
		for i := range 20 {
			hi.write(hosts[i%8], Key(fmt.Sprint("\x01key ", i)), "f")
		}
		net.run(time.Second)
		// Half of the ring is hidden from the first member's gossip, so that
		// its guess of an owner is often wrong.
		for _, h := range hosts[4:] {
			net.lie(hosts[0], h, 20*time.Second)
		}
		net.run(4 * time.Second)
		for i := range 20 {
			hi.write(hosts[0], Key(fmt.Sprint("\x01key ", i)), "g")
			hi.read(hosts[0], Key(fmt.Sprint("\x01key ", i)))
		}
		net.run(11 * time.Second)
		if hi.acked < 40 {
			t.Errorf("with half of the ring hidden from one member: %s", hi)
		}
		net.run(10 * time.Second)
		net.settle(8)
		hi.verify(hosts...)
	})
}

// TestAssignID gives numbers of 63 bits, none twice.
func TestAssignID(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 9)}, 3)
	seen := map[uint64]bool{}
	for i := range 300 {
		h := hosts[i%3]
		if i == 150 {
			h.crash(false)
			h.start()
			net.settle(3)
		}
		r := h.do(AssignID{}).(AssignIDReply)
		if r.Code != CodeOK || r.ClientID == 0 || r.ClientID >= 1<<63 || seen[r.ClientID] {
			t.Fatalf("id %d is %d, code %s, known %v", i, r.ClientID, codeNames[r.Code], seen[r.ClientID])
		}
		seen[r.ClientID] = true
	}
}

// TestStatus tells the truth about a small ring.
func TestStatus(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 10)}, 3)
	hosts[0].mustPut("\x01k", "f", "12345")
	hosts[0].do(Put{Key: "\x81s", Updates: []Update{{Name: "f", Value: []byte("v"), TTL: time.Minute}}})
	net.run(time.Second)
	st := hosts[1].status()
	if st.Self != hosts[1].ref || st.State != "member" || len(st.Members) != 3 || len(st.Successors) != 2 || st.Predecessor != hosts[1].m.pred ||
		st.Keys != 1 || st.Bytes != 5 || st.SoftKeys != 1 || st.UnderReplicated != 0 || st.IncompleteRanges != 0 || st.LastRepair == 0 {
		t.Errorf("status: %+v", st)
	}
	if !slices.IsSortedFunc(st.Members, func(a, b Ref) int { return a.ID.Compare(b.ID) }) {
		t.Errorf("members are not in ring order: %v", st.Members)
	}
}

// TestAWriteIsStampedAboveItsLastTry has the first owner of a key say that it has
// begun a write and is no longer the one: what it stamped it with may be held
// somewhere, so the next stamp is above it.
func TestAWriteIsStampedAboveItsLastTry(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 5)
	key, at := Key("\x01key"), hosts[0]
	owner := hosts[slices.IndexFunc(hosts, func(h *simHost) bool { return h.m.owns(HashKey(key)) })]
	if owner == at {
		at = hosts[1]
	}
	tried := stampAt(net.now.Add(3 * time.Minute).Millis())
	var sent []Envelope
	net.watch = func(env Envelope) {
		if _, ok := env.Body.(ForwardPut); ok {
			sent = append(sent, env)
		}
	}
	net.cutOneWay(owner, at)
	op := at.begin(Put{Key: key, Updates: []Update{{Name: "f", Value: []byte("v")}}}, func(*simOp) {})
	net.wait("the write is passed on", time.Second, func() bool { return len(sent) == 1 })
	at.receive(Envelope{From: owner.ref, To: at.ref, Seq: sent[0].Seq, Reply: true, Body: ForwardedPut{Reply: PutReply{Code: CodeNotOwner, Stamp: tried}}})
	net.heal()
	net.wait("the write is acknowledged", 5*time.Second, func() bool { return op.reply != nil })
	if r := op.reply.(PutReply); r.Code != CodeOK || r.Stamp <= tried {
		net.fatalf("answer %+v, want a stamp above %v", r, tried)
	}
	if again := sent[len(sent)-1].Body.(ForwardPut); len(sent) < 2 || again.Tried != tried {
		net.fatalf("passed on %d times, the last time as tried with %v, not %v", len(sent), again.Tried, tried)
	}
}
