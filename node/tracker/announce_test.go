package tracker

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"chordtorrent/communicator"
)

func TestWhatAClientSaysOfItself(t *testing.T) {
	hash := [20]byte{'%', '&', '=', '+', ' ', 0, 255}
	home := netip.MustParseAddr("192.168.1.7")
	for what, c := range map[string]struct {
		more string
		from netip.Addr
		own  bool
		want func(*announce) bool
	}{
		"nothing": {"", home, false, func(a *announce) bool {
			return a.left == -1 && a.want == mostWanted && a.compact && !a.noPeerID && a.event == communicator.None && a.ip == home.As16()
		}},
		"numwant":             {"&numwant=7", home, false, func(a *announce) bool { return a.want == 7 }},
		"none wanted":         {"&numwant=0", home, false, func(a *announce) bool { return a.want == 0 }},
		"too many wanted":     {"&numwant=70000", home, false, func(a *announce) bool { return a.want == mostWanted }},
		"as many as you like": {"&numwant=-1", home, false, func(a *announce) bool { return a.want == mostWanted }},
		"paused":              {"&event=paused", home, false, func(a *announce) bool { return a.paused && a.event == communicator.None }},
		"a list":              {"&compact=0&no_peer_id=1", home, false, func(a *announce) bool { return !a.compact && a.noPeerID }},
		"the first counts":    {"&left=5&left=6", home, false, func(a *announce) bool { return a.left == 5 }},
		"an address of its own, believed": {"&ip=10.1.2.3", home, true, func(a *announce) bool {
			return a.ip == netip.MustParseAddr("10.1.2.3").As16()
		}},
		"not believed":           {"&ip=10.1.2.3", home, false, func(a *announce) bool { return a.ip == home.As16() }},
		"of the world":           {"&ip=8.8.8.8", home, true, func(a *announce) bool { return a.ip == home.As16() }},
		"of somebody far":        {"&ip=10.1.2.3", netip.MustParseAddr("8.8.8.8"), true, func(a *announce) bool { return netip.AddrFrom16(a.ip).Unmap().String() == "8.8.8.8" }},
		"no address":             {"&ip=router", home, true, func(a *announce) bool { return a.ip == home.As16() }},
		"a bad escape elsewhere": {"&key=%zz&x", home, false, func(a *announce) bool { return a.port == 7001 }},
	} {
		var a announce
		q := "info_hash=" + url.QueryEscape(string(hash[:])) + "&peer_id=" + strings.Repeat("p", 20) + "&port=7001" + c.more
		if err := parseAnnounce(&a, q, c.from, c.own); err != nil || a.infoHash != hash || !c.want(&a) {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
}

func TestAPausedPeerIsToldOfThoseThatFetchOnly(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	w.ask("10.0.0.7:1", query(hash, "a", "left", "0"))
	w.ask("10.0.0.8:1", query(hash, "b", "left", "5"))
	d := w.ask("10.0.0.9:1", query(hash, "c", "left", "5", "event", "paused"))
	if string(d.Peers) != "6:\x0a\x00\x00\x08\x1b\x59" || d.Complete != 1 || d.Incomplete != 2 {
		t.Errorf("%+v", d)
	}
}

func TestAnAddressMayNotAskTooMuch(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SourceRate, c.SourcePeers = 1, 2 })
	hash := w.publish("x")
	var words []string
	for _, peer := range []string{"a", "b", "c", "a", "b", "a", "a", "a"} {
		words = append(words, w.ask("10.0.0.7:1", query(hash, peer, "port", fmt.Sprint(7000+int(peer[0])))).Failure)
	}
	if words[0] != "" || words[1] != "" || !strings.Contains(words[2], "too many peers") || words[3] != "" || !strings.Contains(words[len(words)-1], "too many announces or other requests") {
		t.Errorf("%q", words)
	}
	if d := w.ask("10.0.0.8:1", query(hash, "d")); d.Failure != "" || d.Incomplete != 3 {
		t.Errorf("another address: %+v", d)
	}
	if r := w.tr.Refused(); r["source_rate"] == 0 || r["source_peers"] != 1 {
		t.Errorf("counted %v", r)
	}
}
