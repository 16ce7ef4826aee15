package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
	"chordtorrent/node/store"
)

func TestANodeAloneServesItsClients(t *testing.T) {
	cfg := testConfig(t, testCluster())
	n := start(t, cfg)
	if n.Members() != 1 {
		t.Errorf("%d members, want 1", n.Members())
	}
	if r := put(t, n, "\x01key", "field", "value"); r.Copies != 1 || r.Want != 1 {
		t.Errorf("reply %+v, want one copy of one", r)
	}
	wantValue(t, n, "\x01key", "field", "value")

	c, err := rpc.Dial(t.Context(), n.Ref().Addr, cfg.Cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Call(t.Context(), chord.GetStatus{})
	if err != nil {
		t.Fatal(err)
	}
	st := got.(chord.Status)
	if st.Self != n.Ref() || st.Version != "test" || st.Cluster != cfg.Cluster || st.HTTP != n.HTTPAddr() || st.Keys != 1 {
		t.Errorf("status over the network: %+v", st)
	}
}

func get(t *testing.T, url string, accept ...string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Accept"] = accept
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHTTPTellsHealthStatusAndMetrics(t *testing.T) {
	n := start(t, testConfig(t, testCluster()))
	put(t, n, "\x01key", "field", "value")
	base := "http://" + n.HTTPAddr()
	if code, body := get(t, base+"/healthz"); code != http.StatusOK || body != "ready\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, body := get(t, base+"/"); code != http.StatusOK || !strings.Contains(body, n.Ref().ID.String()) {
		t.Errorf("status page: %d %q", code, body)
	}
	if code, body := get(t, base+"/", "text/html"); code != http.StatusOK || !strings.Contains(body, "<svg") || !strings.Contains(body, n.Ref().ID.String()) ||
		!strings.Contains(body, "<td>127.0.0.1<wbr>:") || !strings.Contains(body, "(this one)") {
		t.Errorf("status page for a browser: %d %q", code, body)
	}
	if code, _ := get(t, base+"/nowhere"); code != http.StatusNotFound {
		t.Errorf("an unknown path gives %d", code)
	}
	var body string
	eventually(t, "the first repair, in the metrics", func() bool {
		_, body = get(t, base+"/metrics")
		return strings.Contains(body, "chordtorrent_under_replicated_keys 0\n") && strings.Contains(body, "chordtorrent_incomplete_ranges 0\n")
	})
	for _, line := range []string{
		"chordtorrent_members 1", "chordtorrent_ready 1", `chordtorrent_keys{class="hard"} 1`,
		`chordtorrent_operations_total{code="ok",op="put"}`, "chordtorrent_commit_duration_seconds_count",
		`chordtorrent_build_info{cluster=`,
		`chordtorrent_operations_total{code="ok",op="status"} 2` + "\n", // the two pages; health and metrics do not count
	} {
		if !strings.Contains(body, line) {
			t.Errorf("metrics lack %q:\n%s", line, body)
		}
	}
	n.leaving.Store(true)
	if code, _ := get(t, base+"/healthz"); code != http.StatusServiceUnavailable {
		t.Errorf("healthz of a leaving node gives %d", code)
	}
}

func TestMetricsTellAClusterThatIsNoUTF8(t *testing.T) {
	n := start(t, testConfig(t, testCluster()+"\xff"))
	code, body := get(t, "http://"+n.HTTPAddr()+"/metrics")
	if code != http.StatusOK || !strings.Contains(body, "chordtorrent_build_info{cluster=") || !strings.Contains(body, "chordtorrent_ready 1") {
		t.Errorf("metrics: %d %s", code, body)
	}
}

func TestThreeNodesStartedTogetherFindEachOther(t *testing.T) {
	for _, way := range []string{"multicast", "join"} {
		t.Run(way, func(t *testing.T) {
			cluster := testCluster()
			cfgs := make([]Config, 3)
			var first *Node
			for i := range cfgs {
				cfgs[i] = testConfig(t, cluster)
				switch {
				case way == "multicast":
					cfgs[i].Multicast, cfgs[i].MulticastTTL = discovery.DefaultGroup, 0
				case i == 0:
					first = start(t, cfgs[0])
				default:
					cfgs[i].Join = first.Ref().Addr
				}
			}
			var nodes []*Node
			if first != nil {
				nodes = append(startAll(t, cfgs[1:]...), first)
			} else {
				nodes = startAll(t, cfgs...)
			}
			whole(t, nodes...)
			for i, n := range nodes {
				put(t, n, "\x01shared", fmt.Sprint(i), "v")
			}
			for _, n := range nodes {
				for i := range nodes {
					wantValue(t, n, "\x01shared", fmt.Sprint(i), "v")
				}
			}
		})
	}
}

// ring starts n members, the first of which the others join.
func ring(t *testing.T, size int) (cfgs []Config, nodes []*Node) {
	t.Helper()
	cluster := testCluster()
	cfgs = append(cfgs, testConfig(t, cluster))
	nodes = append(nodes, start(t, cfgs[0]))
	for range size - 1 {
		cfg := testConfig(t, cluster)
		cfg.Join = nodes[0].Ref().Addr
		cfgs = append(cfgs, cfg)
	}
	nodes = append(nodes, startAll(t, cfgs[1:]...)...)
	whole(t, nodes...)
	return cfgs, nodes
}

func TestWritesGoOnAfterAMemberDied(t *testing.T) {
	_, nodes := ring(t, 3)
	for i := range 10 {
		put(t, nodes[0], chord.Key(fmt.Sprint("\x01", i)), "f", "before")
	}
	nodes[2].kill()
	for i := range 10 {
		put(t, nodes[i%2], chord.Key(fmt.Sprint("\x01", i)), "g", "after")
	}
	whole(t, nodes[:2]...)
	for i := range 10 {
		wantValue(t, nodes[1], chord.Key(fmt.Sprint("\x01", i)), "f", "before")
		wantValue(t, nodes[0], chord.Key(fmt.Sprint("\x01", i)), "g", "after")
	}
}

func TestARingThatWasKilledStartsAgainFromDisk(t *testing.T) {
	cfgs, nodes := ring(t, 3)
	for i := range 10 {
		put(t, nodes[i%3], chord.Key(fmt.Sprint("\x01", i)), "f", "v")
	}
	var before []chord.Ref
	for _, n := range nodes {
		before = append(before, n.Ref())
		n.kill()
	}
	for i := range cfgs {
		cfgs[i].Join = "" // they remember each other
	}
	nodes = startAll(t, cfgs...)
	for i, n := range nodes {
		if n.Ref() != before[i] {
			t.Errorf("member %d came back as %v, was %v", i, n.Ref(), before[i])
		}
	}
	whole(t, nodes...)
	for i := range 10 {
		wantValue(t, nodes[(i+1)%3], chord.Key(fmt.Sprint("\x01", i)), "f", "v")
	}
}

func TestAMemberThatReturnsElsewhereIsOneMember(t *testing.T) {
	cfgs, nodes := ring(t, 3)
	old := nodes[2].Ref()
	nodes[2].kill()
	// Somebody else has its port by now.
	taken, err := listenRing(mustEndpoint(t, old.Addr), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.close()
	back := start(t, cfgs[2])
	if back.Ref().ID != old.ID || back.Ref().Addr == old.Addr {
		t.Fatalf("came back as %v, was %v", back.Ref(), old)
	}
	for _, n := range nodes[:2] {
		eventually(t, "the new address in the view, the old one gone", func() bool {
			return slices.Contains(n.viewRefs(), back.Ref()) && !slices.Contains(n.viewRefs(), old)
		})
	}
	whole(t, nodes[0], nodes[1], back)
}

func TestLeavingHandsOver(t *testing.T) {
	_, nodes := ring(t, 2)
	for i := range 10 {
		put(t, nodes[0], chord.Key(fmt.Sprint("\x01", i)), "f", "v")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := nodes[0].Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := nodes[0].Call(ctx, chord.GetStatus{}); !errors.Is(err, chord.ErrLeaving) {
		t.Errorf("a closed node answers %v", err)
	}
	whole(t, nodes[1])
	for i := range 10 {
		wantValue(t, nodes[1], chord.Key(fmt.Sprint("\x01", i)), "f", "v")
	}
}

func TestAllMayLeaveAtOnce(t *testing.T) {
	for range 2 {
		_, nodes := ring(t, 4)
		var all sync.WaitGroup
		for _, n := range nodes {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := n.Close(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// What does not belong on the ring port costs its sender the connection, and
// is counted.
func TestGarbageOnTheRingPortIsCountedAndHarmless(t *testing.T) {
	cfg := testConfig(t, testCluster())
	n := start(t, cfg)
	other := gossipLabel("another cluster")
	for _, garbage := range [][]byte{
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		[]byte("CHR1 and then no hello at all, for many bytes........................."),
		append([]byte{rpc.GossipByte, byte(len(other))}, other...),
		append(append([]byte{rpc.GossipByte, byte(len(gossipLabel(cfg.Cluster)))}, gossipLabel(cfg.Cluster)...), 6, 0xff, 0xff, 0xff, 0xff, 0xff),
		{rpc.GossipByte, 0},
		{0},
		{},
	} {
		for _, network := range []string{"tcp", "udp"} {
			conn, err := net.Dial(network, n.Ref().Addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(garbage); err != nil {
				t.Fatal(err)
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.CloseWrite() // the other side may have gone first
				_, _ = io.Copy(io.Discard, tcp)
			}
			_ = conn.Close()
		}
	}
	eventually(t, "the garbage in the metrics", func() bool {
		_, body := get(t, "http://"+n.HTTPAddr()+"/metrics")
		return strings.Contains(body, `chordtorrent_dropped_total{part="gossip",reason="not_gossip"} 4`) &&
			strings.Contains(body, `chordtorrent_dropped_total{part="port",reason="unknown_protocol"} 2`)
	})
	put(t, n, "\x01key", "f", "v")
	if n.Members() != 1 {
		t.Errorf("garbage became a member: %d", n.Members())
	}
}

func TestStartRefusesWhatCannotWork(t *testing.T) {
	cluster := testCluster()
	running := start(t, testConfig(t, cluster))
	for _, c := range []struct {
		name    string
		change  func(*Config)
		config  bool // a *ConfigError
		is      error
		mention []string
	}{
		{"the same data directory", func(c *Config) { c.DataDir = running.cfg.DataDir }, false, store.ErrLocked, []string{fmt.Sprint(os.Getpid()), "--data-dir"}},
		{"a port that is taken", func(c *Config) { c.Bind = running.Ref().Addr }, false, nil, []string{running.Ref().Addr, "--bind"}},
		{"an http port that is taken", func(c *Config) { c.HTTP = running.HTTPAddr() }, false, nil, []string{running.HTTPAddr(), "--http"}},
		{"an address of another machine", func(c *Config) { c.Bind = "192.0.2.1:0" }, false, nil, []string{"192.0.2.1", "--bind"}},
		{"a join item without port", func(c *Config) { c.Join = "10.0.0.1:8000,nonsense" }, true, nil, []string{"join", "nonsense"}},
		{"a group that is none", func(c *Config) { c.Multicast = "10.0.0.1:1234" }, true, nil, []string{"multicast", "10.0.0.1:1234"}},
		{"a TTL out of range", func(c *Config) { c.MulticastTTL = 256 }, true, nil, []string{"multicast-ttl"}},
		{"a bad bind", func(c *Config) { c.Bind = "a:b:c" }, true, nil, []string{"bind", "a:b:c"}},
		{"an unreachable advertise", func(c *Config) { c.Advertise = "0.0.0.0" }, true, nil, []string{"advertise", "0.0.0.0"}},
		{"no data directory", func(c *Config) { c.DataDir = "" }, true, nil, []string{"data-dir"}},
		{"a data directory that is a file", func(c *Config) { c.DataDir = "/dev/null" }, false, nil, []string{"/dev/null", "--data-dir"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(t, cluster)
			c.change(&cfg)
			n, err := Start(t.Context(), cfg)
			if err == nil {
				n.kill()
				t.Fatal("it started")
			}
			var bad *ConfigError
			if errors.As(err, &bad) != c.config {
				t.Errorf("a *ConfigError: %v, want %v: %v", !c.config, c.config, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			for _, m := range c.mention {
				if !strings.Contains(err.Error(), m) {
					t.Errorf("%q does not mention %q", err, m)
				}
			}
		})
	}
}

func TestADataDirectoryOfAnotherClusterIsRefusedWithBothNames(t *testing.T) {
	cfg := testConfig(t, "first")
	start(t, cfg).kill()
	cfg.Cluster = "second"
	_, err := Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), `"first"`) || !strings.Contains(err.Error(), `"second"`) {
		t.Errorf("got %v", err)
	}
}

func TestAStartThatIsGivenUpLeavesNothing(t *testing.T) {
	cfg := testConfig(t, testCluster())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	start(t, cfg) // directory and ports are free
}

func mustEndpoint(t *testing.T, s string) endpoint {
	t.Helper()
	e, err := parseEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
