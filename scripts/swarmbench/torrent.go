package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// makeTorrent writes a .torrent for clients that know no ring, with pieces as ours has.
func (g *game) makeTorrent() error {
	info := metainfo.Info{PieceLength: 16 << 10}
	for info.PieceLength < 1<<20 && g.o.size/info.PieceLength > 1024 {
		info.PieceLength *= 2
	}
	if err := info.BuildFromFilePath(g.file); err != nil {
		return err
	}
	bytes, err := bencode.Marshal(info)
	if err != nil {
		return err
	}
	g.torrent = filepath.Join(g.dir, "payload.torrent")
	f, err := os.Create(g.torrent)
	if err != nil {
		return err
	}
	defer f.Close()
	return (&metainfo.MetaInfo{InfoBytes: bytes}).Write(f)
}

// completeOne reports whether a scrape's answer speaks of one seed or more.
func completeOne(scrape []byte) bool {
	_, rest, found := bytes.Cut(scrape, []byte("8:completei"))
	return found && len(rest) > 0 && rest[0] >= '1' && rest[0] <= '9'
}
