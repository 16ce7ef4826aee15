package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"chordtorrent/communicator"
)

func TestAMagnetLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("by magnet.bin", w.content(500_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	p := w.upload(w.loner(newStorage(t)), path, file)
	link := fmt.Sprintf("magnet:?xt=urn:btih:%X&tr=%s", infoHash, url.QueryEscape(tracker.URL+"/announce"))
	s := newStorage(t)
	stages := make(chan Stage, 100)
	c := w.loner(s)
	d, err := c.Download(t.Context(), DownloadRequest{Source: link, OnProgress: func(s Stage, _, _ int64) {
		select {
		case stages <- s:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.complete(d)
	w.same(path, d.Path)
	if d.Name != "by magnet.bin" || <-stages != Metadata {
		t.Errorf("downloaded %s", show(d))
	}
	w.stop(d)
	// What it meant is remembered, and its trackers.
	kept, err := os.ReadFile(s.TorrentPathOf(Record{Foreign: true, InfoHash: hexOf(infoHash)}))
	if err != nil || !bytes.Contains(kept, []byte(tracker.URL)) {
		t.Errorf("kept %q, %v", kept, err)
	}
	w.same(path, w.download(w.loner(s), link, "").Path)

	// Without a tracker, but with a peer.
	link = fmt.Sprintf("magnet:?xt=urn:btih:%x&dn=called+otherwise&x.pe=127.0.0.1:%d", infoHash, p.c.Port())
	d = w.download(w.loner(newStorage(t)), link, "")
	if d.Name != "called otherwise" {
		t.Errorf("name %q", d.Name)
	}
	w.same(path, d.Path)
}

func TestAMagnetLinkThatNobodyAnswersEndsWithItsCommand(t *testing.T) {
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	link := fmt.Sprintf("magnet:?xt=urn:btih:%040x&tr=%s", 7, url.QueryEscape(tracker.URL))
	c := w.loner(newStorage(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Download(ctx, DownloadRequest{Source: link})
		ended <- err
	}()
	w.until("the tracker to hear of it", func() bool { return len(tracker.events(c.PeerID())) > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "no peer has said") {
		t.Errorf("%v", err)
	}
	if e := fmt.Sprint(tracker.events(c.PeerID())); !strings.HasSuffix(e, "stopped]") {
		t.Errorf("the tracker heard %s", e)
	}
	if records, err := c.Storage().Records(); err != nil || len(records) > 0 {
		t.Errorf("remembered: %+v, %v", records, err)
	}
}

func TestAMagnetLinkOfTheRingIsTakenFromIt(t *testing.T) {
	w := newWorld(t)
	path := w.file("ours", w.content(90_000))
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	d := w.download(w.client(newStorage(t)), fmt.Sprintf("magnet:?xt=urn:btih:%x&dn=theirs&tr=http%%3A%%2F%%2F127.0.0.1%%3A1%%2F", p.InfoHash), "")
	if d.Name != "ours" || d.Foreign {
		t.Errorf("downloaded %s", show(d))
	}
	w.same(path, d.Path)
	_, err := w.client(newStorage(t)).Download(t.Context(), DownloadRequest{Source: "magnet:?xt=urn:btih:" + strings.Repeat("0", 40)})
	if !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("a link that names neither trackers nor peers: %v", err)
	}
}

func TestMagnetLinks(t *testing.T) {
	hash := strings.Repeat("ab", 20)
	m, err := parseMagnet("MAGNET:?xt=urn:btih:" + hash + "&dn=a+name&tr=udp%3A%2F%2Fa%3A1&tr=http://b/&x.pe=10.0.0.1:7000&x.pe=[2001:db8::1]:7001&x.pe=host:1&ws=http://c/&xt=urn:btmh:1220aa")
	if err != nil || hexOf(m.infoHash) != hash || m.name != "a name" || fmt.Sprint(m.tiers) != "[[udp://a:1] [http://b/]]" ||
		fmt.Sprint(m.peers) != "[10.0.0.1:7000 [2001:db8::1]:7001]" || fmt.Sprint(m.webSeeds) != "[http://c/]" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = parseMagnet("magnet:?xt.1=urn:btih:vov2xk5lvov2xk5lvov2xk5lvov2xk5l"); err != nil || hexOf(m.infoHash) != hash {
		t.Errorf("base 32: %+v, %v", m, err)
	}
	if m, err = parseMagnet("magnet:?xt=urn:btih:" + hash + "&dn=../../etc/passwd"); err != nil || m.name != "" {
		t.Errorf("a name that is a path: %q, %v", m.name, err)
	}
	for link, want := range map[string]string{
		"magnet:":                                "question mark",
		"magnet:?":                               "names no torrent",
		"magnet:?dn=x":                           "names no torrent",
		"magnet:?xt=urn:sha1:" + hash:            "names no torrent",
		"magnet:?xt=urn:btmh:1220" + hash:        "v2 alone",
		"magnet:?xt=urn:btih:abc":                "40 hex digits",
		"magnet:?xt=urn:btih:" + hash[:39] + "g": "40 hex digits",
		"magnet:?xt=urn:btih:" + strings.Repeat("%0A", 8) + strings.Repeat("a", 24): "40 hex digits",
		"magnet:?xt=urn:btih:" + strings.Repeat("=", 32):                            "40 hex digits",
		"magnet:?xt=urn:btih:" + hash + "&xt=urn:btih:" + strings.Repeat("0", 40):   "two torrents",
		"magnet:?xt=urn:btih:" + hash + "&dn=%zz":                                   "cannot be read",
		"magnet:?xt=urn:btih:" + hash + "&dn=" + strings.Repeat("x", maxMagnet):     "at most",
	} {
		_, err := parseMagnet(link)
		if _, hinted := errors.AsType[*Hint](err); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) || !hinted {
			t.Errorf("%.80s: %v", link, err)
		}
	}
}

func FuzzMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:" + strings.Repeat("ab", 20) + "&dn=a&tr=udp://a:1&x.pe=10.0.0.1:1&ws=http://c/")
	f.Add("magnet:?xt=urn:btih:" + strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, link string) {
		if !isMagnet(link) {
			return
		}
		m, err := parseMagnet(link)
		if err != nil {
			return
		}
		if m.name != "" && communicator.CheckName(m.name) != nil {
			t.Errorf("the name %q", m.name)
		}
		if len(m.tiers) > maxMagnetParts || len(m.peers) > maxMagnetParts || len(m.webSeeds) > maxMagnetParts {
			t.Errorf("%d trackers, %d peers, %d web seeds", len(m.tiers), len(m.peers), len(m.webSeeds))
		}
	})
}
