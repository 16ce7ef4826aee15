package client

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"chordtorrent/communicator"
)

const (
	// maxMagnet bounds a magnet link, in bytes, and maxMagnetParts what it may name of
	// each kind.
	maxMagnet      = 64 << 10
	maxMagnetParts = 100
)

// magnet is what a magnet link says (BEP 9, 53 without the selection of files).
type magnet struct {
	infoHash [20]byte
	name     string           // "" where it has none that could be one
	tiers    [][]string       // each tracker in a tier of its own
	peers    []netip.AddrPort // x.pe
	webSeeds []string
}

// isMagnet says whether a source is a magnet link, right or wrong.
func isMagnet(source string) bool {
	return len(source) >= 7 && strings.EqualFold(source[:7], "magnet:")
}

// parseMagnet reads a magnet link. An error is an ErrUsage.
func parseMagnet(link string) (magnet, error) {
	bad := func(next, format string, args ...any) (magnet, error) {
		return magnet{}, hint(fmt.Errorf("%w: the magnet link %w", ErrUsage, fmt.Errorf(format, args...)), "%s", next)
	}
	const again = "copy it again, as a whole; in a shell it has to stand in quotes"
	if len(link) > maxMagnet {
		return bad(again, "has %d bytes, at most %d are possible", len(link), maxMagnet)
	}
	query, ok := strings.CutPrefix(link[len("magnet:"):], "?")
	if !ok {
		return bad(again, "has no question mark")
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return bad(again, "cannot be read: %w", err)
	}
	var m magnet
	known, second := false, false
	for key, values := range q {
		if key != "xt" && !strings.HasPrefix(key, "xt.") {
			continue
		}
		for _, xt := range values {
			switch kind, hash, _ := strings.Cut(strings.ToLower(xt), "btih:"); {
			case kind == "urn:":
				got, err := parseInfoHash(hash)
				if err != nil {
					return bad(again, "has the info hash %q: %w", hash, err)
				}
				if known && got != m.infoHash {
					return bad("give them one by one", "names two torrents")
				}
				m.infoHash, known = got, true
			case strings.HasPrefix(kind, "urn:btmh:"):
				second = true
			}
		}
	}
	switch {
	case !known && second:
		return bad("look for a magnet link or .torrent of the same that is for BitTorrent v1 as well", "is for BitTorrent v2 alone, which this program does not speak")
	case !known:
		return bad(again, "names no torrent: xt=urn:btih: and an info hash are missing")
	}
	if name := strings.TrimSpace(q.Get("dn")); communicator.CheckName(name) == nil {
		m.name = name
	}
	for _, tr := range q["tr"] {
		if len(m.tiers) < maxMagnetParts {
			m.tiers = append(m.tiers, []string{tr})
		}
	}
	for _, pe := range q["x.pe"] {
		// A peer that is named by a host is left out: whom to look up is not for a link to say.
		if at, err := netip.ParseAddrPort(pe); err == nil && at.Port() != 0 && len(m.peers) < maxMagnetParts {
			m.peers = append(m.peers, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
		}
	}
	m.webSeeds = q["ws"][:min(len(q["ws"]), maxMagnetParts)]
	return m, nil
}

// parseInfoHash reads 40 hex digits or 32 of base 32, in any case.
func parseInfoHash(s string) (hash [20]byte, err error) {
	var b []byte
	switch len(s) {
	case 40:
		b, err = hex.DecodeString(s)
	case 32:
		b, err = base32.StdEncoding.DecodeString(strings.ToUpper(s))
	}
	if err != nil || len(b) != len(hash) {
		return hash, errors.New("it should have 40 hex digits, or 32 of base 32")
	}
	return [20]byte(b), nil
}

// hexOf is an info hash as people and records have it.
func hexOf(infoHash [20]byte) string { return hex.EncodeToString(infoHash[:]) }
