package client

import (
	"context"
	"fmt"
	"time"

	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
)

// Metadata is the stage in which the info dictionary of a magnet link is looked for.
const Metadata Stage = "metadata"

// slowMetadata is after how long it is said that none has come.
const slowMetadata = 10 * time.Second

// lanPeers asks the ring for peers of an info hash without telling it of this one: what
// is behind a magnet link may turn out to be private.
type lanPeers struct {
	c        *Client
	infoHash [20]byte
}

// Announce implements transfer.Announcer.
func (l lanPeers) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	if p.Event == transfer.Stopped {
		return transfer.Answer{}, nil
	}
	swarm, err := l.c.ring.Peers(ctx, "", l.infoHash, wantPeers)
	if err != nil {
		return transfer.Answer{}, err
	}
	var answer transfer.Answer
	for _, peer := range swarm.Peers {
		if peer.PeerID != l.c.peerID {
			answer.Peers = append(answer.Peers, peer.Addr)
		}
	}
	return answer, nil
}

// fetchMetadata has peers give the info dictionary of a magnet link (BEP 9) and makes a
// .torrent of it. It blocks until then or until ctx ends.
func (c *Client) fetchMetadata(ctx context.Context, m magnet, on OnProgress) ([]byte, error) {
	engine, err := c.start(ctx, true)
	if err != nil {
		return nil, err
	}
	if on != nil {
		on(Metadata, 0, 0)
	}
	slow := time.AfterFunc(slowMetadata, func() {
		c.log.Warn("no peer has said yet what the magnet link means", "info_hash", hexOf(m.infoHash), "trackers", len(m.tiers), "peers", len(m.peers))
	})
	defer slow.Stop()
	from := c.sourcesOf(lanPeers{c, m.infoHash}, counted{c.trackers.List(m.infoHash, m.tiers), &c.told.trackers})
	info, err := engine.Metadata(ctx, transfer.MetadataSpec{InfoHash: m.infoHash, Announcer: from, Peers: m.peers, MaxBytes: storage.MaxTorrent})
	from.end()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: no peer has said what the magnet link means: %w", ErrInterrupted, err)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for what the magnet link means: %w", err)
	}
	return makeTorrent(info, m.tiers, m.webSeeds)
}

// torrentOf reads the .torrent of what was found; that of a magnet link is fetched first.
func (c *Client) torrentOf(ctx context.Context, req DownloadRequest, found Found) (torrent, []byte, error) {
	b, name := found.Metainfo, found.Name
	if b == nil {
		var err error
		if b, err = c.fetchMetadata(ctx, found.magnet, req.OnProgress); err != nil {
			return torrent{}, nil, err
		}
	}
	tor, err := parseTorrent(b)
	if err != nil {
		return torrent{}, nil, fmt.Errorf("the torrent of %q: %w", name, err)
	}
	if found.Metainfo == nil && found.magnet.name == "" && req.Name == "" {
		name = foreignName(tor.name, tor.infoHash) // known by now
	}
	tor.name, tor.foreign = name, found.Foreign
	tor.webSeeds = append(tor.webSeeds, found.webSeeds...)
	return tor, b, nil
}
