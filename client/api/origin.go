package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"chordtorrent/client"
	"chordtorrent/communicator"
)

// Origin is what the daemon has as the only place that a download comes from.
func (r *Remote) Origin() *client.Origin {
	return &client.Origin{
		Torrent: (&torrents{from: r}).get,
		WebSeed: func(infoHash [20]byte) string {
			u, err := url.Parse(r.URL)
			if err != nil {
				return r.URL // which says what is wrong when it is used
			}
			if r.Token != "" {
				u.User = url.UserPassword("", r.Token)
			}
			return u.JoinPath("seed", hex.EncodeToString(infoHash[:])).String() + "/"
		},
	}
}

// torrents fetches .torrents, and the same one twice only if it has changed: whoever
// downloads asks every few seconds whether there is a later version.
type torrents struct {
	from *Remote

	mu       sync.Mutex
	name     string // of what was fetched last
	tag      string // the server's, of its content
	metainfo []byte
}

// get gives the .torrent of the version of a name that the daemon has.
func (t *torrents) get(ctx context.Context, name string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, header := t.from, http.Header{}
	if t.name == name && t.tag != "" {
		header.Set("If-None-Match", t.tag)
	}
	resp, err := r.ask(ctx, r.http, http.MethodGet, "/files/"+url.PathEscape(name)+"/torrent?here", header, nil)
	if f, ok := errors.AsType[*Failure](err); ok && f.Code == CodeNotFound {
		return nil, &client.Hint{Err: fmt.Errorf("%v has no file %q: %w", r, name, communicator.ErrNotFound), Next: "btclient ls --from " + r.URL + " shows what it has"}
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return t.metainfo, nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, client.MaxTorrent+1))
	if err != nil {
		return nil, fmt.Errorf("the .torrent of %q: %w", name, err)
	}
	t.name, t.tag, t.metainfo = name, resp.Header.Get("ETag"), b
	return b, nil // one that is too long is refused when it is read
}

// Held lists what the daemon has all of, by name.
func (r *Remote) Held(ctx context.Context) ([]File, error) {
	var files []File
	return files, r.Do(ctx, http.MethodGet, "/held", nil, &files)
}

// FileOf is what a Storage has of a name.
func FileOf(h client.Held) File {
	return File{Name: h.Name, Size: h.Bytes, InfoHash: hex.EncodeToString(h.InfoHash[:])}
}
