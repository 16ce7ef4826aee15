package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/memberlist"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
	"chordtorrent/chord/secret"
)

func TestGossipKeysFollowTheFile(t *testing.T) {
	a, b, c := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32)), []byte(strings.Repeat("c", 32))
	ring, err := keyring([][]byte{a, b})
	if err != nil {
		t.Fatal(err)
	}
	g := &gossip{keys: ring}
	for _, want := range [][][]byte{{b, a}, {b}, {c, b}, {a}} {
		if err := g.setKeys(want); err != nil {
			t.Fatal(err)
		}
		if got := ring.GetKeys(); len(got) != len(want) || string(ring.GetPrimaryKey()) != string(want[0]) {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	var none *memberlist.Keyring
	if none, err = keyring(nil); none != nil || err != nil {
		t.Errorf("a ring without a secret has keys: %v", err)
	}
}

func secretFile(t *testing.T, letters string) string {
	t.Helper()
	if letters == "" {
		return ""
	}
	file := filepath.Join(t.TempDir(), "secret")
	writeSecrets(t, file, letters)
	return file
}

func writeSecrets(t *testing.T, file, letters string) {
	t.Helper()
	var text strings.Builder
	for _, l := range letters {
		text.WriteString(strings.Repeat(string(l), 64) + "\n")
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// putFor writes as a program does: it tries again while the ring is settling.
func putFor(t *testing.T, n *Node, value string) {
	t.Helper()
	eventually(t, "a write is acknowledged", func() bool {
		return put(t, n, "\x01key", "field", value).Code == chord.CodeOK
	})
}

func TestASecretIsReplacedWhileTheRingRuns(t *testing.T) {
	cluster := testCluster()
	var cfgs []Config
	for range 3 {
		cfg := testConfig(t, cluster)
		cfg.SecretFile = secretFile(t, "a")
		cfgs = append(cfgs, cfg)
	}
	first := start(t, cfgs[0])
	cfgs[1].Join, cfgs[2].Join = first.Ref().Addr, first.Ref().Addr
	nodes := append(startAll(t, cfgs[1:]...), first)
	whole(t, nodes...)
	putFor(t, first, "a")
	for _, step := range []string{"ab", "ba", "b"} {
		for i, n := range []*Node{first, nodes[0], nodes[1]} {
			before := n.cfg.keeper.TLS()
			writeSecrets(t, cfgs[i].SecretFile, step)
			eventually(t, "the file is read again", func() bool {
				return n.cfg.keeper.TLS() != before && len(n.gossip.keys.GetKeys()) == len(step)
			})
			putFor(t, n, step) // with the others a step behind
		}
		whole(t, nodes...)
	}
	// Whoever comes with the new one is a member, with the old one nobody.
	late := testConfig(t, cluster)
	late.SecretFile, late.Join = secretFile(t, "b"), first.Ref().Addr
	whole(t, append(nodes, start(t, late))...)
	if _, err := rpc.Dial(t.Context(), first.Ref().Addr, cluster, mustOpen(t, secretFile(t, "a"))); !errors.Is(err, rpc.ErrRefused) {
		t.Errorf("the old secret: %v", err)
	}
}

func mustOpen(t *testing.T, file string) *secret.Keeper {
	t.Helper()
	k, err := secret.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// One that has another secret than those it is to join, or none, or belongs to
// another cluster, is told so.
func TestTheTrackerOfAClosedRingWantsAPasskey(t *testing.T) {
	cfg := testConfig(t, testCluster())
	cfg.SecretFile = secretFile(t, "a")
	n := start(t, cfg)
	base := "http://" + n.HTTPAddr()
	if _, body := get(t, base+"/announce?info_hash=x"); !strings.Contains(body, "passkey") {
		t.Errorf("without a passkey: %q", body)
	}
	if code, body := get(t, base+"/"+n.cfg.keeper.Passkey()+"/files.json"); code != 200 || !strings.Contains(body, `"total":0`) {
		t.Errorf("with it: %d %q", code, body)
	}
}

func TestWhoIsRefusedIsToldWhy(t *testing.T) {
	cluster := testCluster()
	cfg := testConfig(t, cluster)
	cfg.SecretFile = secretFile(t, "a")
	n := start(t, cfg)
	for _, c := range []struct{ letters, cluster, want string }{
		{"", cluster, "secret"},
		{"b", cluster, "secret"},
		{"a", testCluster(), cluster},
	} {
		var out lockedBuffer
		cfg := testConfig(t, c.cluster)
		cfg.SecretFile, cfg.Join = secretFile(t, c.letters), n.Ref().Addr
		cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
		start(t, cfg)
		eventually(t, "the reason in the log", func() bool {
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, "refuses this one") && strings.Contains(line, c.want) {
					return true
				}
			}
			return false
		})
		if count := strings.Count(out.String(), "refuses this one"); count != 1 {
			t.Errorf("told %d times:\n%s", count, out.String())
		}
	}
}

// lockedBuffer is a bytes.Buffer for a writer and a reader at a time.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestRingsWithDifferentSecretsDoNotMix(t *testing.T) {
	cluster := testCluster()
	var nodes []*Node
	join := ""
	for _, letters := range []string{"", "a", "b"} {
		cfg := testConfig(t, cluster)
		cfg.SecretFile, cfg.Join = secretFile(t, letters), join
		n := start(t, cfg)
		nodes = append(nodes, n)
		if join != "" {
			join += ","
		}
		join += n.Ref().Addr
	}
	// Each has tried the ones before it, and is alone all the same.
	for _, n := range nodes {
		if err := n.gossip.join(nodes[0].Ref().Addr); err == nil && n != nodes[0] {
			t.Error("a gossip of another secret was joined")
		}
		if n.Members() != 1 {
			t.Errorf("%d members", n.Members())
		}
	}
	// The gossip of each counts by reason what it did not take.
	cfg := testConfig(t, testCluster())
	other := start(t, cfg) // a ring of another name
	for _, c := range []struct {
		from, to *Node
		reason   string
	}{
		{nodes[1], nodes[0], "secret_where_none_is"},
		{nodes[0], nodes[1], "no_secret"},
		{nodes[2], nodes[1], "other_secret"},
		{other, nodes[0], "other_cluster"},
	} {
		before := c.to.gossip.refused()[c.reason]
		if err := c.from.gossip.join(c.to.Ref().Addr); err == nil {
			t.Errorf("%s: joined", c.reason)
		}
		eventually(t, c.reason+" is counted", func() bool { return c.to.gossip.refused()[c.reason] > before })
	}
}

// Four pairs of nodes on one multicast group, which differ in the name of their
// cluster or in their secret, become four rings of two.
func TestRingsOnOneGroupDoNotMix(t *testing.T) {
	x, y := testCluster(), testCluster()
	group := fmt.Sprintf("239.255.4.3:%d", 20000+os.Getpid()%20000)
	var cfgs []Config
	kinds := []struct{ cluster, letters string }{{x, ""}, {x, "a"}, {x, "b"}, {y, "a"}}
	for _, k := range kinds {
		for range 2 {
			cfg := testConfig(t, k.cluster)
			cfg.Multicast, cfg.MulticastTTL, cfg.SecretFile = group, 0, secretFile(t, k.letters)
			cfgs = append(cfgs, cfg)
		}
	}
	nodes := startAll(t, cfgs...)
	for i := range kinds {
		a, b := nodes[2*i], nodes[2*i+1]
		whole(t, a, b)
		put(t, a, "\x01k", "f", fmt.Sprint(i))
		wantValue(t, b, "\x01k", "f", fmt.Sprint(i))
	}
	for i, n := range nodes { // all have heard of all by now
		if n.Members() != 2 {
			t.Errorf("node %d, %+v, sees %d members", i, kinds[i/2], n.Members())
		}
	}
}

// What a client and a node with a secret say to each other cannot be read on the
// wire, and without one it can: the recorder works.
func TestNothingReadableTravels(t *testing.T) {
	for _, letters := range []string{"", "a"} {
		cfg := testConfig(t, testCluster())
		cfg.SecretFile = secretFile(t, letters)
		n := start(t, cfg)
		wire := record(t, n.Ref().Addr)
		c, err := rpc.Dial(t.Context(), wire.addr, cfg.Cluster, cfg.opened(t))
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{cfg.Cluster, "a telling key", "a telling field", "a telling value"}
		reply, err := c.Call(t.Context(), chord.Put{Key: chord.Key("\x01" + secrets[1]), Updates: []chord.Update{{Name: secrets[2], Value: []byte(secrets[3])}}})
		if r, ok := reply.(chord.PutReply); err != nil || !ok || r.Code != chord.CodeOK {
			t.Fatalf("put: %+v, %v", reply, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if open := strings.Contains(wire.heard.String(), s); open != (letters == "") {
				t.Errorf("with the secret %q, %q travels readably: %v", letters, s, open)
			}
		}
	}
}

// What nodes say to each other on their way into one ring, gossip and messages,
// cannot be read either.
func TestNothingReadableTravelsBetweenNodes(t *testing.T) {
	for _, letters := range []string{"", "a"} {
		cluster := testCluster()
		cfgs := []Config{testConfig(t, cluster), testConfig(t, cluster)}
		for i := range cfgs {
			cfgs[i].SecretFile = secretFile(t, letters)
		}
		a := start(t, cfgs[0])
		wire := record(t, a.Ref().Addr)
		cfgs[1].Join = wire.addr
		b := start(t, cfgs[1])
		whole(t, a, b)
		for _, s := range []string{cluster, string(presence{ID: b.Ref().ID, Addr: b.Ref().Addr}.encode()[1:21]), b.Ref().Addr} {
			if open := strings.Contains(wire.heard.String(), s); open != (letters == "") {
				t.Errorf("with the secret %q, %q travels readably: %v", letters, s, open)
			}
		}
	}
}

// opened is the configuration's secret as a client would open it.
func (c Config) opened(t *testing.T) *secret.Keeper {
	t.Helper()
	if c.SecretFile == "" {
		return nil
	}
	return mustOpen(t, c.SecretFile)
}

// recorder passes TCP connections on, and keeps what it hears.
type recorder struct {
	addr  string
	heard lockedBuffer
}

func record(t *testing.T, to string) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: ln.Addr().String()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var passing sync.WaitGroup
		defer passing.Wait()
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { r.pass(in, to) })
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
	})
	return r
}

// pass passes one connection on to its end.
func (r *recorder) pass(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() {
		_, _ = io.Copy(io.MultiWriter(out, &r.heard), in)
		_ = out.Close() // ends the other direction
	})
	_, _ = io.Copy(io.MultiWriter(in, &r.heard), out)
	_ = in.Close()
}
