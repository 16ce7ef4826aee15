package client

import (
	"bytes"
	"fmt"
	"os"

	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/client/trackers"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
)

// torrent is what a .torrent says, and how it is called here.
type torrent struct {
	name     string // in Storage, and in the ring unless foreign
	infoHash [20]byte
	layout   *storage.Layout
	tiers    [][]string // of its trackers (BEP 12)
	webSeeds []string   // HTTP servers that have the content (BEP 19)
	foreign  bool       // the ring does not know it
	nodes    bool       // it names nodes of the DHT (BEP 5), which are not used
}

// parseTorrent reads a .torrent; what makes it dangerous is an error.
func parseTorrent(b []byte) (torrent, error) {
	mi, layout, err := storage.ParseTorrent(b)
	if err != nil {
		return torrent{}, err
	}
	return torrent{name: layout.Name, infoHash: mi.HashInfoBytes(), layout: layout, tiers: mi.UpvertedAnnounceList(), webSeeds: mi.UrlList, nodes: len(mi.Nodes) > 0}, nil
}

// record is as much of a Record as says where its .torrent is kept.
func (tor torrent) record() Record {
	return Record{Name: tor.name, InfoHash: hexOf(tor.infoHash), Foreign: tor.foreign}
}

// makeTorrent is the .torrent of an info dictionary that came from peers.
func makeTorrent(info []byte, tiers [][]string, webSeeds []string) ([]byte, error) {
	mi := metainfo.MetaInfo{InfoBytes: info, AnnounceList: tiers, UrlList: webSeeds}
	if len(tiers) > 0 {
		mi.Announce = tiers[0][0]
	}
	var out bytes.Buffer
	if err := mi.Write(&out); err != nil {
		return nil, fmt.Errorf("encoding the .torrent: %w", err)
	}
	return out.Bytes(), nil
}

// infoOf gives the means to read the info dictionary that Storage has of a torrent. By the
// time it is used that may be another version's, which the engine sees.
func (s *Storage) infoOf(tor torrent) func() ([]byte, error) {
	name, infoHash, foreign := tor.name, tor.infoHash, tor.foreign // and no more, as it is kept as long as that is served
	return func() ([]byte, error) {
		b, err := os.ReadFile(s.TorrentPathOf(torrent{name: name, infoHash: infoHash, foreign: foreign}.record()))
		if err != nil {
			return nil, err
		}
		mi, _, err := storage.ParseTorrent(b)
		if err != nil {
			return nil, fmt.Errorf("the .torrent of %q: %w", name, err)
		}
		return mi.InfoBytes, nil
	}
}

// announcerOf says where peers of a torrent come from: the ring, its own trackers, or
// both. A private one that has trackers is theirs alone (BEP 27). ring is nil where the
// ring is not told.
func (c *Client) announcerOf(tor torrent) (all transfer.Announcer, ring *announcer) {
	own := c.trackers.List(tor.infoHash, tor.tiers)
	if own.Len() > 0 && tor.layout.Private {
		return c.sourcesOf(counted{own, &c.told.trackers}), nil
	}
	name := tor.name
	if tor.foreign {
		name = ""
	}
	ring = c.newAnnouncer(name, tor.infoHash, tor.layout.Total)
	if own.Len() == 0 {
		return ring, ring
	}
	return c.sourcesOf(ring, counted{own, &c.told.trackers}), ring
}

// hasTrackers says whether there is a tracker among these that can be asked.
func hasTrackers(tiers [][]string) bool {
	for _, tier := range tiers {
		for _, url := range tier {
			if trackers.Check(url) == nil {
				return true
			}
		}
	}
	return false
}
