package tracker

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"

	"github.com/anacrolix/torrent/bencode"
)

// maxScrape is how many torrents one scrape asks for, as with BEP 15.
const maxScrape = 74

func (t *Tracker) scrape(w http.ResponseWriter, r *http.Request) {
	from, err := t.source(r.RemoteAddr)
	if err != nil {
		t.fail(w, err)
		return
	}
	q, _ := url.ParseQuery(r.URL.RawQuery)
	asked, source := q["info_hash"], from.As16()
	if !t.sources.mayAsk(&source, t.view.now().UnixMilli(), min(max(len(asked), 1), maxScrape)) {
		t.fail(w, errTooFast)
		return
	}
	if len(asked) == 0 || len(asked) > maxScrape {
		t.fail(w, fmt.Errorf("%w: a scrape is of 1 to %d torrents, not of %d", errRequest, maxScrape, len(asked)))
		return
	}
	files := make(map[string]scraped, len(asked))
	for _, h := range asked {
		if len(h) != 20 {
			t.fail(w, fmt.Errorf("%w: info_hash has %d bytes instead of 20", errRequest, len(h)))
			return
		}
		c, err := t.look(r.Context(), &source, [20]byte([]byte(h)))
		if err != nil {
			t.fail(w, err)
			return
		}
		if c.name == "" && t.cfg.RegisteredOnly {
			continue // as one that the tracker knows nothing of
		}
		files[h] = scraped{Complete: c.seeders, Downloaded: c.downloaded, Incomplete: c.leechers, Name: c.name}
	}
	b, err := bencode.Marshal(map[string]any{"files": files})
	if err != nil {
		t.fail(w, err)
		return
	}
	t.counts.scrapes.Add(1)
	t.write(w, b)
}

// scraped is what a scrape tells of one torrent (BEP 48).
type scraped struct {
	Complete   int    `bencode:"complete"`
	Downloaded int    `bencode:"downloaded"`
	Incomplete int    `bencode:"incomplete"`
	Name       string `bencode:"name,omitempty"`
}

// udpScrape answers a scrape by what look says; known is false if it does not know of one.
func (t *Tracker) udpScrape(b, out []byte, look func([20]byte) (census, bool, error)) (_ []byte, known bool, err error) {
	if t.cfg.Passkeys != nil {
		return out, false, errPasskey // BEP 15 has no room for one in a scrape
	}
	hashes := b[16:]
	if len(hashes) == 0 || len(hashes)%20 != 0 || len(hashes)/20 > maxScrape {
		return out, false, fmt.Errorf("%w: a scrape of %d bytes is not of 1 to %d torrents", errRequest, len(hashes), maxScrape)
	}
	whole := binary.BigEndian.AppendUint32(out, actionScrape)
	whole = append(whole, b[12:16]...)
	for ; len(hashes) > 0; hashes = hashes[20:] {
		c, known, err := look([20]byte(hashes[:20]))
		if err != nil || !known {
			return out, false, err
		}
		whole = binary.BigEndian.AppendUint32(whole, uint32(c.seeders))
		whole = binary.BigEndian.AppendUint32(whole, uint32(c.downloaded))
		whole = binary.BigEndian.AppendUint32(whole, uint32(c.leechers))
	}
	t.counts.scrapes.Add(1)
	return whole, true, nil
}

// look is a swarm for a scrape that comes from an address; nothing of what is not to be
// tracked.
func (t *Tracker) look(ctx context.Context, source *[16]byte, infoHash [20]byte) (census, error) {
	c, ok := t.view.count(infoHash)
	if ok {
		return c, nil
	}
	done, ok := t.sources.mayWait(source, t.view.now().UnixMilli())
	if !ok {
		return c, errBusy
	}
	defer done()
	var err error
	if c.name, err = t.names.of(ctx, infoHash); err != nil || (c.name == "" && t.cfg.RegisteredOnly) {
		return census{}, err
	}
	s, err := t.cfg.Ring.Peers(ctx, c.name, infoHash, 1)
	c.seeders, c.leechers = s.Seeders, s.Leechers
	return c, err
}
