package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"chordtorrent/communicator"
)

// maxTorrentFile is the size up to which a local file is taken for a .torrent.
const maxTorrentFile = 64 << 20

// torrentFile tells a local .torrent from a name in the ring: what contains a
// slash is a path, as no name does, and what ends in .torrent is one if it is
// there. Sources of other kinds are an ErrUsage.
func torrentFile(source string) (path string, isFile bool, err error) {
	lower := strings.ToLower(source)
	for _, scheme := range []string{"magnet:", "http://", "https://", "ftp://", "udp://"} {
		if strings.HasPrefix(lower, scheme) {
			return "", false, hint(fmt.Errorf("%w: %s is not a name", ErrUsage, source),
				"this build downloads by name, or by a .torrent file of this ring: btclient ls shows what there is")
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
	case info.Size() > maxTorrentFile:
		return "", false, fmt.Errorf("%s is no .torrent: it has %d bytes, at most %d are possible", source, info.Size(), maxTorrentFile)
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
