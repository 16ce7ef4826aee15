package tracker

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// udpClient is an ordinary client with a socket.
type udpClient struct {
	t    *testing.T
	conn *net.UDPConn
	id   []byte // of the connection
}

// serveUDP starts the tracker on loopback.
func (w *world) serveUDP() *net.UDPAddr {
	w.t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.tr.ServeUDP(context.Background(), conn) }()
	w.t.Cleanup(func() {
		conn.Close()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr)
}

func newUDPClient(t *testing.T, to *net.UDPAddr) *udpClient {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &udpClient{t: t, conn: conn}
	b := binary.BigEndian.AppendUint64(nil, udpMagic)
	b = append(b, 0, 0, 0, actionConnect, 'a', 'b', 'c', 'd')
	reply := c.ask(b)
	if len(reply) != 16 || string(reply[:8]) != "\x00\x00\x00\x00abcd" {
		t.Fatalf("connected by %q", reply)
	}
	c.id = reply[8:]
	return c
}

// ask sends a packet and reads the answer.
func (c *udpClient) ask(b []byte) []byte {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	reply := make([]byte, maxPacket)
	n, err := c.conn.Read(reply)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply[:n]
}

// announced is a packet of an announce.
func announced(id []byte, hash [20]byte, peer string, left uint64, event uint32, port uint16, options string) []byte {
	b := append([]byte(nil), id...)
	b = append(b, 0, 0, 0, actionAnnounce, 't', 'i', 'd', '1')
	b = append(b, hash[:]...)
	b = append(b, strings.Repeat(peer, 20)...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, left)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint32(b, event)
	b = append(b, 0, 0, 0, 0, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff)
	return append(binary.BigEndian.AppendUint16(b, port), options...)
}

func scrapeOf(id []byte, hashes ...[20]byte) []byte {
	b := append(append([]byte(nil), id...), 0, 0, 0, actionScrape, 't', 'i', 'd', '2')
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func TestPeersFindEachOtherByUDP(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	c := newUDPClient(t, w.serveUDP())
	reply := c.ask(announced(c.id, hash, "a", 0, 2, 7001, ""))
	if len(reply) != 20 || string(reply[:8]) != "\x00\x00\x00\x01tid1" || string(reply[12:]) != "\x00\x00\x00\x00\x00\x00\x00\x01" || binary.BigEndian.Uint32(reply[8:]) == 0 {
		t.Errorf("the first peer: %q", reply)
	}
	// The other peer is at the node's address, as it comes from the node's machine.
	reply = c.ask(announced(c.id, hash, "b", 5, 2, 7002, "\x02\x09/announce\x01\x00"))
	if len(reply) != 26 || string(reply[20:]) != "\x0a\x00\x00\x01\x1b\x59" {
		t.Errorf("the second peer: %q", reply)
	}
	reply = c.ask(scrapeOf(c.id, hash, [20]byte{9}))
	if want := "\x00\x00\x00\x02tid2" + "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x00", 12); string(reply) != want {
		t.Errorf("scraped %q", reply)
	}
	// By HTTP it is the same swarm.
	if d := w.ask("10.0.0.7:1", query(hash, "c")); d.Complete != 1 || d.Incomplete != 2 {
		t.Errorf("by HTTP: %+v", d)
	}
	c.ask(announced(c.id, hash, "b", 0, 1, 7002, ""))
	if reply = c.ask(scrapeOf(c.id, hash)); len(reply) != 20 || string(reply[12:16]) != "\x00\x00\x00\x01" {
		t.Errorf("scraped after one has completed: %q", reply)
	}
	reply = c.ask(announced(c.id, hash, "b", 5, 3, 7002, ""))
	if len(reply) < 20 || reply[3] != actionAnnounce {
		t.Errorf("leaving: %q", reply)
	}
}

func TestWhatIsWrongByUDP(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RegisteredOnly = true })
	hash := w.publish("x")
	c := newUDPClient(t, w.serveUDP())
	for what, p := range map[string]struct {
		packet []byte
		words  string
	}{
		"no connection":  {announced(make([]byte, 8), hash, "a", 0, 0, 7001, ""), "connect first"},
		"too short":      {announced(c.id, hash, "a", 0, 0, 7001, "")[:90], "90 bytes instead of 98"},
		"no port":        {announced(c.id, hash, "a", 0, 0, 0, ""), "the port is 0"},
		"not registered": {announced(c.id, [20]byte{7}, "a", 0, 0, 7001, ""), NotAuthorized},
		"no torrent":     {append(scrapeOf(c.id), 1, 2, 3), "not of 1 to 74"},
	} {
		if reply := c.ask(p.packet); len(reply) < 8 || reply[3] != actionError || string(reply[4:7]) != "tid" || !strings.Contains(string(reply[8:]), p.words) {
			t.Errorf("%s: %q", what, reply)
		}
	}
}

func TestAPasskeyByUDP(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Passkeys = oneKey{} })
	hash := w.publish("x")
	c := newUDPClient(t, w.serveUDP())
	if reply := c.ask(announced(c.id, hash, "a", 0, 0, 7001, "")); reply[3] != actionError || !strings.Contains(string(reply), "passkey") {
		t.Errorf("without: %q", reply)
	}
	if reply := c.ask(announced(c.id, hash, "a", 0, 0, 7001, "\x02\x05/0123\x02\x09/announce")); reply[3] != actionAnnounce {
		t.Errorf("with: %q", reply)
	}
}

func TestAScrapeIsChargedByTheTorrent(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SourceRate = 10 })
	now := time.Now()
	w.tr.view.now = func() time.Time { return now }
	c := newUDPClient(t, w.serveUDP())
	many := make([][20]byte, 10*sourceBurst)
	for i := range many {
		many[i][0] = byte(i)
	}
	for i, action := range []byte{actionScrape, actionError} {
		if reply := c.ask(scrapeOf(c.id, many...)); reply[3] != action {
			t.Errorf("scrape %d by UDP: %q", i, reply)
		}
	}
	path := "/scrape?x"
	for _, h := range many {
		path += "&info_hash=" + url.QueryEscape(string(h[:]))
	}
	if d := w.ask("10.0.0.7:1", path); d.Failure != "" || len(d.Files) != len(many) {
		t.Errorf("by HTTP: %+v", d)
	}
	if d := w.ask("10.0.0.7:1", path); !strings.Contains(d.Failure, "too many") {
		t.Errorf("by HTTP again: %+v", d)
	}
}

func TestConnectionIDsAreOfAnAddressAndATime(t *testing.T) {
	i, now := newIDs(), time.Now()
	a, b := netip.MustParseAddr("10.0.0.1").As16(), netip.MustParseAddr("10.0.0.2").As16()
	i.turn(now)
	id := i.make(&a)
	for what, c := range map[string]struct {
		from [16]byte
		at   time.Time
		ok   bool
	}{
		"at once": {a, now, true}, "two minutes later": {a, now.Add(idWindow), true}, "four": {a, now.Add(2 * idWindow), false},
		"before": {a, now.Add(-2 * idWindow), false}, "somebody else": {b, now, false},
	} {
		other := i.clone() // as another reader of the same socket has it
		if other.turn(c.at); other.check(id, &c.from) != c.ok {
			t.Errorf("%s: %v", what, !c.ok)
		}
	}
	foreign := newIDs()
	if foreign.turn(now); foreign.check(id, &a) {
		t.Error("an id of another tracker is accepted")
	}
}

func TestAPacketAllocatesNothing(t *testing.T) {
	w := newWorld(t, nil)
	hash, now := w.publish("x"), time.Now()
	w.ask("10.0.0.7:1", query(hash, "a"))
	ids, from := newIDs(), netip.MustParseAddr("10.0.0.8").As16()
	ids.turn(now)
	b := announced(binary.BigEndian.AppendUint64(nil, ids.make(&from)), hash, "b", 5, 0, 7001, "")
	var x exchange
	out := make([]byte, 0, maxReply)
	if n := testing.AllocsPerRun(500, func() {
		if reply, later := w.tr.packet(b, &from, ids, &x, now, out); len(reply) < 26 || later {
			t.Errorf("%q, %v", reply, later)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}

func FuzzUDP(f *testing.F) {
	from, now := netip.MustParseAddr("10.0.0.1").As16(), time.Now()
	ids := newIDs()
	ids.turn(now)
	id := binary.BigEndian.AppendUint64(nil, ids.make(&from))
	f.Add(announced(id, [20]byte{1}, "a", 0, 2, 7001, "\x02\x09/announce"), true)
	f.Add(scrapeOf(id, [20]byte{1}), true)
	f.Add(announced(id, [20]byte{1}, "a", 0, 2, 7001, "\x02\x09/announce"), false)
	f.Fuzz(func(t *testing.T, b []byte, connected bool) {
		tr := New(Config{})
		if len(b) >= 8 && binary.BigEndian.Uint64(b) == udpMagic {
			connected = false
		} else if copy(b, make([]byte, 8)); connected {
			copy(b, id)
		}
		var x exchange
		reply, later := tr.packet(b, &from, ids, &x, now, nil)
		// Without a connection nobody gets more than it sent, nor anything done.
		if !connected && (len(reply) > len(b) || later) {
			t.Fatalf("%d bytes for %d", len(reply), len(b))
		}
		if later && x.ask.port == 0 && b[11] == actionAnnounce {
			t.Fatalf("%+v", x.ask)
		}
		if path := urlData(b); len(path) > len(b) {
			t.Fatalf("%q", path)
		}
	})
}
