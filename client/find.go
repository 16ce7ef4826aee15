package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer/storage"
)

// Found is what a person named, as far as it is known without its peers.
type Found struct {
	Name     string // in the ring; of what the ring does not know, as its .torrent calls it
	InfoHash [20]byte
	Size     int64
	Pieces   int
	// Metainfo is the .torrent. nil: it is a magnet link's, whose info dictionary has to come
	// from peers; then Size and Pieces are 0, and Name may be the info hash.
	Metainfo []byte
	Foreign  bool // the ring does not know it, or is not there
	magnet   magnet
	webSeeds []string // that the link or .torrent names, beside those in Metainfo
}

// Find looks for what a person named: a name in the ring; or a .torrent, by its path or
// URL, or a magnet link, of the ring or with trackers or peers of its own.
// communicator.ErrNotFound when there is no such thing, with near names in the Hint.
func (c *Client) Find(ctx context.Context, source string) (Found, error) {
	switch {
	case isMagnet(source):
		return c.findMagnet(ctx, source)
	case isURL(source):
		b, err := c.fetchTorrent(ctx, source)
		if err != nil {
			return Found{}, fmt.Errorf("%s: %w", source, err)
		}
		return c.findTorrent(ctx, source, b)
	}
	path, isFile, err := torrentFile(source)
	if err != nil {
		return Found{}, err
	}
	if !isFile {
		if err := CheckName(source); err != nil {
			return Found{}, err
		}
		v, metainfo, err := c.ring.Torrent(ctx, source)
		return foundInRing(v, metainfo), c.notFound(ctx, source, err)
	}
	b, err := readTorrentFile(path)
	if err != nil {
		return Found{}, err
	}
	return c.findTorrent(ctx, path, b)
}

func foundInRing(v communicator.Version, metainfo []byte) Found {
	return Found{Name: v.Name, InfoHash: v.InfoHash, Size: v.Size, Pieces: v.Pieces, Metainfo: metainfo}
}

// IsName says whether a source is a name, for which a ring is needed.
func IsName(source string) bool {
	if isMagnet(source) || isURL(source) {
		return false
	}
	_, isFile, err := torrentFile(source)
	return err == nil && !isFile
}

// findTorrent looks for what a .torrent describes. where is for errors.
func (c *Client) findTorrent(ctx context.Context, where string, metainfo []byte) (Found, error) {
	tor, err := parseTorrent(metainfo)
	if err != nil {
		return Found{}, fmt.Errorf("%s: %w", where, err)
	}
	own := hasTrackers(tor.tiers) || len(tor.webSeeds) > 0
	if !own || !tor.layout.Private {
		v, known, err := c.inRing(ctx, tor.infoHash, own)
		if err != nil {
			return Found{}, fmt.Errorf("%s: %w", where, err)
		}
		if known != nil {
			// The ring is its tracker; but it may know of nobody, where the .torrent knows more.
			found := foundInRing(v, known)
			found.webSeeds = tor.webSeeds
			return found, nil
		}
	}
	if tor.nodes {
		c.log.Info("the nodes of the DHT that a .torrent names are not used", "name", tor.name, "info_hash", hexOf(tor.infoHash))
	}
	return Found{Name: foreignName(tor.name, tor.infoHash), InfoHash: tor.infoHash, Size: tor.layout.Total, Pieces: tor.layout.NumPieces(),
		Metainfo: metainfo, Foreign: true}, nil
}

func (c *Client) findMagnet(ctx context.Context, link string) (Found, error) {
	m, err := parseMagnet(link)
	if err != nil {
		return Found{}, err
	}
	kept, keptErr := os.ReadFile(c.storage.TorrentPathOf(torrent{infoHash: m.infoHash, foreign: true}.record())) // of an earlier run
	v, known, err := c.inRing(ctx, m.infoHash, keptErr == nil || hasTrackers(m.tiers) || len(m.peers) > 0)
	switch {
	case err != nil:
		return Found{}, fmt.Errorf("the magnet link: %w", err)
	case known != nil:
		found := foundInRing(v, known)
		found.magnet.peers, found.webSeeds = m.peers, m.webSeeds
		return found, nil
	}
	f := Found{Name: foreignName(m.name, m.infoHash), InfoHash: m.infoHash, Foreign: true, magnet: m}
	if tor, err := parseTorrent(kept); keptErr == nil && err == nil && tor.infoHash == m.infoHash {
		if m.name == "" {
			f.Name = foreignName(tor.name, m.infoHash)
		}
		f.Metainfo, f.Size, f.Pieces = kept, tor.layout.Total, tor.layout.NumPieces()
	}
	return f, nil
}

// foreignName is how something is called here that the ring does not know.
func foreignName(name string, infoHash [20]byte) string {
	if communicator.CheckName(name) != nil {
		return hexOf(infoHash)
	}
	return name
}

const (
	// ringPatience is how long the ring is waited for where there are other ways, and
	// meetPatience where it has not been in reach yet: it answers within half a second.
	ringPatience = 3 * time.Second
	meetPatience = time.Second
)

// inRing asks the ring for an info hash. Neither a .torrent nor an error: it has to be
// fetched in another way. own says that there is one; without it, that the ring knows
// peers is enough.
func (c *Client) inRing(ctx context.Context, infoHash [20]byte, own bool) (communicator.Version, []byte, error) {
	patience := ringPatience
	if own && !c.ring.LocalAddr().IsValid() {
		patience = meetPatience
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, metainfo, err := c.ring.TorrentOf(asking, infoHash)
	switch {
	case err == nil:
		return v, metainfo, nil
	case ctx.Err() != nil:
		return v, nil, ctx.Err()
	case own:
		if !errors.Is(err, communicator.ErrNotFound) {
			c.log.Info("going on without the ring", "info_hash", hexOf(infoHash), "err", err)
		}
		return v, nil, nil
	case !errors.Is(err, communicator.ErrNotFound):
		return v, nil, fmt.Errorf("it names no tracker by http or udp and no web seed, and in the ring it cannot be looked for: %w", err)
	}
	if swarm, peersErr := c.ring.Peers(asking, "", infoHash, 1); peersErr == nil && len(swarm.Peers) > 0 {
		return v, nil, nil
	}
	return v, nil, hint(fmt.Errorf("the ring does not know its info hash %x, and it names no tracker by http or udp and no web seed: %w", infoHash, err),
		"btclient ls shows what the ring has; what others publish needs a tracker")
}

// fetchPatience is how long the fetching of a .torrent may take.
const fetchPatience = time.Minute

func isURL(source string) bool {
	lower := strings.ToLower(source)
	return strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
}

// fetchTorrent fetches a .torrent from a web server.
func (c *Client) fetchTorrent(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	b, status, err := c.trackers.Get(ctx, address, storage.MaxTorrent)
	if err == nil && status != http.StatusOK {
		err = hint(fmt.Errorf("the server answers with status %d %s", status, http.StatusText(status)), "open it in a browser to see what is there")
	}
	return trimmed(b), err
}

// torrentFile tells a local .torrent from a name in the ring: what contains a
// slash is a path, as no name does, and what ends in .torrent is one if it is
// there. Sources of other kinds are an ErrUsage.
func torrentFile(source string) (path string, isFile bool, err error) {
	lower := strings.ToLower(source)
	for _, scheme := range []string{"ftp://", "udp://"} {
		if strings.HasPrefix(lower, scheme) {
			return "", false, hint(fmt.Errorf("%w: %s is not a name", ErrUsage, source),
				"give a name as btclient ls shows it, a magnet link, or a .torrent by its path or by http or https")
		}
	}
	slash := strings.ContainsRune(source, os.PathSeparator)
	if !slash && !strings.HasSuffix(lower, ".torrent") {
		return "", false, nil
	}
	info, err := os.Stat(source)
	switch {
	case err != nil && !slash:
		return "", false, nil // a name that ends in .torrent
	case errors.Is(err, os.ErrNotExist):
		return "", false, hint(fmt.Errorf("%w: there is no file %s, and a name has no slash", ErrUsage, source),
			"give a name as btclient ls shows it, or the path of a .torrent")
	case err != nil:
		return "", false, err
	case !info.Mode().IsRegular():
		return "", false, hint(fmt.Errorf("%w: %s is a %s, not a .torrent", ErrUsage, source, describeMode(info.Mode())),
			"give a name as btclient ls shows it, or the path of a .torrent")
	}
	return source, true, nil
}

// nearNames is how many names are suggested for one that the ring lacks.
const nearNames = 3

// notFound adds to communicator.ErrNotFound the names that may have been meant.
func (c *Client) notFound(ctx context.Context, name string, err error) error {
	if !errors.Is(err, communicator.ErrNotFound) {
		return err
	}
	err = fmt.Errorf("the ring knows no file %q: %w", name, communicator.ErrNotFound)
	near, nearErr := c.ring.Near(ctx, name, nearNames)
	if nearErr != nil || len(near) == 0 {
		return hint(err, "btclient ls shows what there is")
	}
	quoted := make([]string, len(near))
	for i, n := range near {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return hint(err, "did you mean %s? btclient ls shows all", strings.Join(quoted, ", "))
}
