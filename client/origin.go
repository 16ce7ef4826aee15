package client

import (
	"context"
	"fmt"
	"net/netip"

	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// Origin is a place that alone is asked for a .torrent and its data: neither a ring nor a
// tracker nor a peer hears of that. What comes from it is verified as from anybody.
type Origin struct {
	// Torrent gives the .torrent of a name, of the version that the place has now;
	// communicator.ErrNotFound when it has none.
	Torrent func(ctx context.Context, name string) ([]byte, error)
	// WebSeed is the URL at which the data is (BEP 19). nil: what is in Storage has to do.
	WebSeed func(infoHash [20]byte) string
}

// MaxTorrent is the size of the largest .torrent that is read, in bytes.
const MaxTorrent = storage.MaxTorrent

// FromStorage is this Storage as an Origin.
func (s *Storage) FromStorage() *Origin {
	return &Origin{Torrent: func(_ context.Context, name string) ([]byte, error) {
		h, err := s.Held(name)
		return h.Metainfo, err
	}}
}

// NoRing gives a Communicator for a client that no ring is to hear of, and nobody outside of
// this machine to call: every question is answered with communicator.ErrNoRing.
func NoRing() *communicator.Communicator {
	return communicator.New(noRing{}, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

type noRing struct{}

func (noRing) Call(context.Context, any) (any, error) { return nil, communicator.ErrNoRing }

// find is Find, or asks the origin alone.
func (o *Origin) find(ctx context.Context, name string) (Found, error) {
	if err := CheckName(name); err != nil {
		return Found{}, err
	}
	metainfo, err := o.Torrent(ctx, name)
	if err != nil {
		return Found{}, err
	}
	tor, err := parseTorrent(metainfo)
	if err != nil {
		return Found{}, fmt.Errorf("the torrent of %q: %w", name, err)
	}
	return Found{Name: name, InfoHash: tor.infoHash, Size: tor.layout.Total, Pieces: tor.layout.NumPieces(), Metainfo: metainfo}, nil
}

// newer says whether the origin has another version of what is downloaded by now.
func (o *Origin) newer(ctx context.Context, d *Download) (bool, error) {
	found, err := o.find(ctx, d.Name)
	return found.InfoHash != d.InfoHash, err
}

// findFor looks for what a request names.
func (c *Client) findFor(ctx context.Context, req DownloadRequest) (Found, error) {
	if req.From != nil {
		return req.From.find(ctx, req.Source)
	}
	return c.Find(ctx, req.Source)
}

// sufficient makes sure that nothing is missing where nothing more will come.
func (d *Download) sufficient(have *wire.Bits) error {
	if d.from == nil || d.from.WebSeed != nil || have.All() {
		return nil
	}
	return hint(fmt.Errorf("%w: Storage has %d of the %d pieces of %q", ErrMismatch, have.Count(), d.Pieces, d.Name),
		"its file was changed or is damaged; without --from storage what is missing is fetched")
}

// sources completes what an engine needs to know of a download by where it is to come from.
func (d *Download) sources(tor torrent, s transfer.Spec) transfer.Spec {
	switch {
	case d.from == nil:
		s.Announcer, _ = d.c.announcerOf(tor)
		s.WebSeeds = tor.webSeeds
	case d.from.WebSeed != nil:
		s.WebSeeds, s.OnlyWebSeeds = []string{d.from.WebSeed(d.InfoHash)}, true
	}
	return s
}
