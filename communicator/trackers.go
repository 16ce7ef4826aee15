package communicator

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/chord"
)

// Trackers gives the announce URLs of trackers of the ring for other BitTorrent clients: a
// tier (BEP 12) for each of up to five nodes, by HTTP and UDP, with the passkey where the
// ring has a secret. None: the node that was asked has no tracker and knows of none.
func (c *Communicator) Trackers(ctx context.Context) ([][]string, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	rep, err := c.call(ctx, chord.GetStatus{})
	if err != nil {
		return nil, fmt.Errorf("asking the ring for its trackers: %w", err)
	}
	return rep.(chord.Status).Trackers, nil
}

// WithTrackers puts trackers, tiers of announce URLs (BEP 12), into a .torrent, before those
// that it has. All else stays as it is, byte for byte, also what is not known here.
func WithTrackers(torrent []byte, tiers [][]string) ([]byte, error) {
	mi, err := metainfo.Load(bytes.NewReader(torrent))
	if err != nil {
		return nil, fmt.Errorf("reading its .torrent: %w", err)
	}
	own := mi.AnnounceList
	if len(own) == 0 && mi.Announce != "" {
		own = [][]string{{mi.Announce}}
	}
	if len(tiers) == 0 || len(tiers[0]) == 0 {
		return torrent, nil
	}
	var keys map[string]bencode.Bytes
	if err := bencode.Unmarshal(torrent, &keys); err != nil {
		return nil, fmt.Errorf("reading its .torrent: %w", err)
	}
	all := slices.Concat(tiers, own)
	keys["announce"] = bencode.MustMarshal(tiers[0][0])
	keys["announce-list"] = bencode.MustMarshal(all)
	if len(all) == 1 && len(all[0]) == 1 {
		delete(keys, "announce-list") // it says nothing more
	}
	out, err := bencode.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("writing its .torrent: %w", err)
	}
	return out, nil
}
