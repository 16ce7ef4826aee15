package trackers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chordtorrent/transfer"
)

const (
	// maxAnswer bounds the answer to an announce, in bytes, also when it is compressed.
	maxAnswer = 1 << 20
	// httpPatience is how long an announce by HTTP may take, redirects included.
	httpPatience = 30 * time.Second
	maxRedirects = 5
)

func newHTTP() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Announces are minutes apart.
	transport.DisableKeepAlives = true
	transport.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: transport, CheckRedirect: redirect}
}

func redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("it sends to another place %d times", len(via))
	}
	for _, before := range via {
		if *before.URL == *req.URL {
			return errors.New("it sends in a circle")
		}
	}
	return nil
}

// Get fetches what is at an address, of most bytes at most, and gives it with the status of
// the answer. Redirects are followed, if they are few. It blocks until then or until ctx ends.
func (c *Client) Get(ctx context.Context, address string, most int64) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, errors.New("not an address")
	}
	req.Header.Set("User-Agent", "chordtorrent")
	resp, err := c.http.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the address, which may hold a passkey
		}
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, resp.StatusCode, fmt.Errorf("the answer broke off: %w", err)
	}
	if int64(len(body)) > most {
		return nil, resp.StatusCode, fmt.Errorf("the answer is longer than %d bytes", most)
	}
	return body, resp.StatusCode, nil
}

// askHTTP announces by HTTP (BEP 3).
func (c *Client) askHTTP(ctx context.Context, u *url.URL, q question) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, httpPatience)
	defer cancel()
	to := *u
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += q.encode()
	body, status, err := c.Get(ctx, to.String(), maxAnswer)
	if err != nil {
		return reply{}, err
	}
	r, err := parseAnswer(body)
	if _, refused := errors.AsType[*Refusal](err); status != http.StatusOK && !refused {
		return reply{}, fmt.Errorf("it answers with status %d %s", status, http.StatusText(status))
	}
	return r, err
}

// encode is the question as the query of a URL. Bytes that are not letters stand as %XX,
// also the space, which url.Values makes a plus that not all trackers understand.
func (q *question) encode() string {
	var b strings.Builder
	add := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(key + "=")
		for i := range len(value) {
			switch c := value[i]; {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
				b.WriteByte(c)
			default:
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	number := func(key string, n int64) { add(key, strconv.FormatInt(n, 10)) }
	add("info_hash", string(q.infoHash[:]))
	add("peer_id", string(q.peerID[:]))
	number("port", int64(q.port))
	number("uploaded", q.uploaded)
	number("downloaded", q.downloaded)
	number("left", q.left)
	number("compact", 1)
	number("no_peer_id", 1)
	number("numwant", int64(q.want))
	add("key", fmt.Sprintf("%08x", q.key))
	if name := eventNames[q.event]; name != "" {
		add("event", name)
	}
	if q.trackerID != "" {
		add("trackerid", q.trackerID)
	}
	return b.String()
}

var eventNames = map[transfer.Event]string{transfer.Started: "started", transfer.Completed: "completed", transfer.Stopped: "stopped"}
