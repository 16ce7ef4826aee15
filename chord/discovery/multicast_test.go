package discovery

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/chord"
)

// helperEnv makes the test binary announce a member, for a test with more
// than one process: its value is the cluster's name.
const helperEnv = "DISCOVERY_TEST_ANNOUNCE"

func TestMain(m *testing.M) {
	if cluster := os.Getenv(helperEnv); cluster != "" {
		announceUntilStdinEnds(cluster)
		return
	}
	goleak.VerifyTestMain(m)
}

func announceUntilStdinEnds(cluster string) {
	mc, err := Open(Config{Cluster: cluster, Bind: loopback})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		cancel()
	}()
	mc.Announce(ctx, memberSelf(byte(os.Getpid())|1))
	_ = mc.Close()
}

// patience fails a test that hangs; no test waits for it when it passes.
const patience = 30 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// randomCluster is a name that no other test on this machine uses.
func randomCluster() string { return "test-" + rand.Text() }

// open joins on lo only: nothing leaves the machine.
func open(t testing.TB, cluster string) *Multicast {
	t.Helper()
	m, err := Open(Config{Cluster: cluster, Bind: loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func memberSelf(id byte) Self {
	return Self{ID: chord.ID{id}, Epoch: 1, Ring: netip.AddrPortFrom(loopback, 8000+uint16(id)), HTTPPort: 6969}
}

func hintOf(id byte) Hint {
	return Hint{ID: chord.ID{id}, Epoch: 1, Addrs: []string{fmt.Sprintf("127.0.0.1:%d", 8000+int(id))}, HTTP: "127.0.0.1:6969"}
}

// announceMember announces until the returned function is called, which waits
// for the goodbye.
func announceMember(t testing.TB, m *Multicast, self Self) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Announce(ctx, self)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// next waits for a hint that fits.
func next(t testing.TB, m *Multicast, what string, fits func(Hint) bool) Hint {
	t.Helper()
	give := time.After(patience)
	for {
		select {
		case h := <-m.Hints():
			if fits(h) {
				return h
			}
		case <-give:
			t.Fatalf("waited in vain for %s; counters %v", what, m.Counters())
		}
	}
}

// until waits for a condition that other goroutines bring about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	give := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func anyHint(Hint) bool { return true }

func TestANewcomerFindsAMember(t *testing.T) {
	cluster := randomCluster()
	member, other := open(t, cluster), open(t, cluster)
	stop := announceMember(t, member, memberSelf(1))
	if h := next(t, other, "the first announcement", anyHint); !reflect.DeepEqual(h, hintOf(1)) {
		t.Errorf("%+v", h)
	}
	client := open(t, cluster) // after it: must ask
	client.Query()
	if h := next(t, client, "an answer", anyHint); !reflect.DeepEqual(h, hintOf(1)) {
		t.Errorf("%+v", h)
	}
	client.StopQuery()
	stop()
	for _, m := range []*Multicast{other, client} {
		h := next(t, m, "the goodbye", func(h Hint) bool { return h.Leaving })
		if h.ID != (chord.ID{1}) || len(h.Addrs) != 0 {
			t.Errorf("%+v", h)
		}
	}
	if n := member.Counters()["own"]; n == 0 {
		t.Errorf("a member did not tell its own announcements: %v", member.Counters())
	}
	select {
	case h := <-member.Hints():
		t.Errorf("a member has a hint of itself: %+v", h)
	default:
	}
}

func TestManyOnOneMachineHearEachOther(t *testing.T) {
	cluster := randomCluster()
	const n = 12
	var all []*Multicast
	for range n {
		all = append(all, open(t, cluster))
	}
	for i, m := range all {
		announceMember(t, m, memberSelf(byte(i+1)))
	}
	var wg sync.WaitGroup
	for i, m := range all {
		wg.Go(func() {
			seen := map[chord.ID]bool{}
			give := time.After(patience)
			for len(seen) < n-1 {
				select {
				case h := <-m.Hints():
					if h.ID == (chord.ID{byte(i + 1)}) {
						t.Errorf("member %d hears itself", i+1)
					}
					seen[h.ID] = true
				case <-give:
					t.Errorf("member %d heard only %d others", i+1, len(seen))
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTwoProcessesFindEachOther(t *testing.T) {
	cluster := randomCluster()
	m := open(t, cluster)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+cluster)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	next(t, m, "the other process", func(h Hint) bool { return !h.Leaving })
	m.Query()
	next(t, m, "its answer", func(h Hint) bool { return !h.Leaving })
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	next(t, m, "its goodbye", func(h Hint) bool { return h.Leaving })
}

func TestClustersDoNotHearEachOther(t *testing.T) {
	ours, theirs := randomCluster(), randomCluster()
	a, b := open(t, ours), open(t, theirs)
	announceMember(t, a, memberSelf(1))
	b.Query()
	until(t, "both drop the other's", func() bool {
		return a.Counters()["other_cluster"] > 0 && b.Counters()["other_cluster"] > 0
	})
	select {
	case h := <-b.Hints():
		t.Errorf("%+v", h)
	default:
	}
}

// stranger gives a way to send anything to the group on lo.
func stranger(t *testing.T) (send func([]byte)) {
	t.Helper()
	m := open(t, randomCluster()) // only for its socket
	out := m.using()[0]
	return func(b []byte) {
		t.Helper()
		if _, err := out.conn.WriteTo(b, nil, m.groupTo); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotBelievedIsCountedAndNotAnswered(t *testing.T) {
	cluster := randomCluster()
	member, client := open(t, cluster), open(t, cluster)
	announceMember(t, member, memberSelf(1))
	next(t, client, "the member", anyHint)

	send := stranger(t)
	hash := clusterHash(cluster)
	ask := packet{Kind: query, Cluster: hash, Sender: chord.ID{7}, Epoch: 1, Seq: 1}
	lie := packet{Kind: announce, Cluster: hash, Sender: chord.ID{8}, Epoch: 5, Seq: 1, Addrs: addrPorts("127.0.0.1:9")}
	old := lie
	old.Epoch = 4
	misplaced := lie
	misplaced.Kind = answer
	foreign := ask
	foreign.Cluster = clusterHash("another")
	version := ask.appendTo(nil)
	version[3]++
	long := append(ask.appendTo(nil), make([]byte, 1000)...)

	for reason, b := range map[string][]byte{
		"garbage":       []byte("M-SEARCH * HTTP/1.1\r\n"),
		"other_version": version,
		"other_cluster": foreign.appendTo(nil),
		"malformed":     long,
		"misplaced":     misplaced.appendTo(nil),
	} {
		before := member.Counters()[reason]
		send(b)
		until(t, reason+" is counted", func() bool { return member.Counters()[reason] > before })
	}

	send(lie.appendTo(nil))
	next(t, client, "an announcement that cannot be told from a true one", func(h Hint) bool { return h.ID == chord.ID{8} })
	before := client.Counters()["replay"]
	send(lie.appendTo(nil))
	send(old.appendTo(nil))
	until(t, "both replays are counted", func() bool { return client.Counters()["replay"] >= before+2 })
	select {
	case h := <-client.Hints():
		if h.ID == (chord.ID{8}) {
			t.Errorf("a replay became a hint: %+v", h)
		}
	default:
	}

	// A flood of queries, each new: few are let through, fewer answered.
	for range 500 {
		ask.Seq++
		send(ask.appendTo(nil))
	}
	until(t, "the flood is dropped", func() bool {
		c := member.Counters()
		return c["flood"] > 0 && c["answer_flood"] > 0
	})
	client.Query()
	next(t, client, "an answer for somebody else", func(h Hint) bool { return h.ID == chord.ID{1} })
}

func TestOnlyFromThisMachineAndThroughItsInterfaces(t *testing.T) {
	m := open(t, randomCluster())
	ask := packet{Kind: query, Cluster: m.cluster, Sender: chord.ID{7}, Epoch: 1, Seq: 1}.appendTo(nil)
	lo := m.using()[0].Index
	for _, c := range []struct {
		from string
		via  int
		want string
	}{
		{"203.0.113.5:9", lo, "other_machine"},
		{"127.0.0.1:9", lo + 1000, "other_interface"},
		{"127.0.0.1:9", lo, ""},
	} {
		if _, _, reason := m.judge(ask, netip.MustParseAddrPort(c.from), c.via, true); reason != c.want {
			t.Errorf("from %s through %d: %q, want %q", c.from, c.via, reason, c.want)
		}
	}
}

func TestALoopbackAddressIsBelievedOnLoopbackOnly(t *testing.T) {
	m := open(t, randomCluster())
	eth := testNIC("eth0", net.FlagUp|net.FlagMulticast, "192.0.2.2")
	m.tell(packet{Kind: announce, Sender: chord.ID{1}, Addrs: addrPorts("127.0.0.1:8000")}, eth)
	if n := m.Counters()["unreachable"]; n != 1 {
		t.Errorf("%v", m.Counters())
	}
	m.tell(packet{Kind: announce, Sender: chord.ID{1}, HTTP: 80, Addrs: addrPorts("127.0.0.1:8000", "192.0.2.9:8000")}, eth)
	if h := <-m.Hints(); !reflect.DeepEqual(h.Addrs, []string{"192.0.2.9:8000"}) || h.HTTP != "192.0.2.9:80" {
		t.Errorf("%+v", h)
	}
}

func TestASlowReaderLosesHintsAndBlocksNobody(t *testing.T) {
	m := open(t, randomCluster())
	for range hintRoom + 5 {
		m.tell(packet{Kind: bye}, nic{})
	}
	if n := m.Counters()["hint_lost"]; n != 5 {
		t.Errorf("%d lost", n)
	}
}

func TestAnInterfaceThatChangesIsAnnouncedAgain(t *testing.T) {
	cluster := randomCluster()
	member, other := open(t, cluster), open(t, cluster)
	announceMember(t, member, memberSelf(1))
	next(t, other, "the member", anyHint)

	member.mu.Lock()
	for i, o := range member.outlets {
		other := *o
		other.addrs = addrs("10.1.2.3") // it had another address until now
		member.outlets[i] = &other
	}
	member.mu.Unlock()
	if err := member.refresh(); err != nil {
		t.Fatal(err)
	}
	next(t, other, "a new announcement", anyHint)

	member.rejoin()
	other.rejoin()
	other.Query()
	next(t, other, "an answer after joining again", anyHint)
	for _, m := range []*Multicast{member, other} {
		if n := m.Counters()["join_failed"]; n != 0 {
			t.Errorf("%v", m.Counters())
		}
	}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestCloseSaysGoodbye(t *testing.T) {
	cluster := randomCluster()
	member, other := open(t, cluster), open(t, cluster)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		member.Announce(context.Background(), memberSelf(1))
	}()
	next(t, other, "the member", anyHint)
	if err := member.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	next(t, other, "the goodbye", func(h Hint) bool { return h.Leaving })
	if err := member.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	member.Announce(context.Background(), memberSelf(1)) // returns at once
	member.Query()
	member.StopQuery()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	alone, err := net.ListenUDP("udp4", &net.UDPAddr{}) // does not share its port
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	port := alone.LocalAddr().(*net.UDPAddr).Port
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{Config{Group: netip.MustParseAddrPort("10.0.0.1:1234")}, "224.0.0.0"},
		{Config{Group: netip.MustParseAddrPort("[ff02::1]:1234")}, "IPv4"},
		{Config{Group: netip.MustParseAddrPort("239.255.4.3:0")}, "and a port"},
		{Config{TTL: 256}, "TTL 256"},
		{Config{TTL: -1}, "TTL -1"},
		{Config{Bind: netip.MustParseAddr("203.0.113.77")}, "203.0.113.77"},
		{Config{Group: netip.AddrPortFrom(netip.MustParseAddr("239.255.4.3"), uint16(port)), Bind: loopback}, "another program"},
	} {
		m, err := Open(c.cfg)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v does not say %q", c.cfg, err, c.says)
		}
	}
}

func TestTimesAreSpread(t *testing.T) {
	for range 1000 {
		if d := jittered(time.Second); d < 750*time.Millisecond || d >= 1250*time.Millisecond {
			t.Fatal(d)
		}
	}
	for _, c := range []struct {
		members int
		most    time.Duration
	}{{0, 2 * time.Millisecond}, {10, 50 * time.Millisecond}, {100_000, 500 * time.Millisecond}} {
		if d := answerSpread(c.members); d <= 0 || d > c.most {
			t.Errorf("%d members answer within %v", c.members, d)
		}
	}
}

func TestOfALargeRingOnlyAFewAnswer(t *testing.T) {
	m := open(t, randomCluster())
	now := time.Now()
	const members = 1000
	for i := range members {
		m.guard.fresh(now, packet{Kind: announce, Sender: chord.ID{1, byte(i >> 8), byte(i)}, Seq: 1})
	}
	waiting := make(map[asker]time.Time)
	const asked = 5000
	for i := range asked {
		m.queue(waiting, asker{netip.AddrPortFrom(loopback, uint16(i)), 1})
		if len(waiting) > maxWaiting {
			t.Fatalf("%d wait", len(waiting))
		}
	}
	// About 24 in 1,000 queries are answered by each of 1,000 members: 120 here.
	if n := len(waiting); n < 40 || n > 240 {
		t.Errorf("%d of %d queries are answered", n, asked)
	}
}

func TestAnnounceEndsWithItsContext(t *testing.T) {
	m := open(t, randomCluster())
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("over"))
	m.Announce(ctx, memberSelf(1))
}

// BenchmarkFindRing is what a client waits for: from Open to the first answer.
func BenchmarkFindRing(b *testing.B) {
	cluster := randomCluster()
	for i := range 3 {
		announceMember(b, open(b, cluster), memberSelf(byte(i+1)))
	}
	for b.Loop() {
		m, err := Open(Config{Cluster: cluster, Bind: loopback})
		if err != nil {
			b.Fatal(err)
		}
		m.Query()
		next(b, m, "a member", anyHint)
		m.Close()
	}
}

func BenchmarkPacket(b *testing.B) {
	in := golden(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsePacket(in); err != nil {
			b.Fatal(err)
		}
	}
}
