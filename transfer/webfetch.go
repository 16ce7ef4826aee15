package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/storage"
)

const (
	// webBatch is how many blocks come to the loop at a time at most: there are two such
	// buffers to a request.
	webBatch = 16
	// webSkip is how much of a file is read past when its server knows no ranges.
	webSkip = 16 << 20
)

// webRefusal is an answer of a web seed that brings nothing.
type webRefusal struct {
	words string
	wait  time.Duration // how long the server wants to be left alone; 0: it does not say
	ever  bool          // asking again is of no use
	lacks *storage.File // it has not this file; nil: that is not the reason
}

func (r *webRefusal) Error() string { return r.words }

// fetcher is the side of a request that is on a goroutine of its own.
type fetcher struct {
	cancelled context.CancelFunc
	free      chan []byte // buffers that the loop has done with
	held      atomic.Bool // it waits for a limit
}

// start begins the request.
func (f *webFetch) start() {
	t := f.w.s.t
	ctx, cancel := context.WithCancel(t.e.ctx)
	f.cancelled = cancel
	f.free = make(chan []byte, 2)
	f.free <- nil
	f.free <- nil
	r := &webReader{
		ctx: ctx, t: t, base: f.w.base, held: &f.held, blocks: append([]picker.Block(nil), f.left...),
		pieceLen: int64(f.w.s.geo.PieceLen),
	}
	t.e.side.Go(func() {
		defer cancel()
		defer r.close()
		f.w.s.l.post(webEnd{f, f.run(r)})
	})
}

// stop ends it; what it still posts is of no interest.
func (f *webFetch) stop() { f.cancelled() }

// run hands the blocks to the loop as they come in.
func (f *webFetch) run(r *webReader) error {
	batch := 1
	for len(r.blocks) > 0 {
		var buf []byte
		select {
		case buf = <-f.free:
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		if buf == nil {
			buf = make([]byte, 0, webBatch*blockLen)
		}
		n, began := 0, time.Now()
		var err error
		for n < min(batch, len(r.blocks)) {
			size := len(buf)
			buf = buf[:size+int(r.blocks[n].Length)]
			if err = r.block(r.blocks[n], buf[size:]); err != nil {
				buf = buf[:size]
				break
			}
			n++
		}
		if n > 0 && !f.w.s.l.post(webBlocks{f, n, buf}) {
			return ErrClosed
		}
		if err != nil {
			return err
		}
		r.blocks = r.blocks[n:]
		// Many at a time where they come fast; a slow one still shows that it is alive.
		if took := time.Since(began); took < tickEvery/4 {
			batch = min(2*batch, webBatch)
		} else if took > tickEvery {
			batch = max(batch/2, 1)
		}
	}
	return nil
}

// webReader reads blocks of a torrent from the files of a web seed: for each run of
// bytes in one file there is one request.
type webReader struct {
	ctx      context.Context
	t        *Torrent
	base     *url.URL
	held     *atomic.Bool
	blocks   []picker.Block // that are not read yet
	pieceLen int64

	parts []storage.Part // what is to be read of the run that has begun
	body  io.ReadCloser  // of parts[0]
}

func (r *webReader) close() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

func (r *webReader) offset(b picker.Block) int64 { return int64(b.Piece)*r.pieceLen + int64(b.Begin) }

// block reads a block, the first of r.blocks that has not been read.
func (r *webReader) block(b picker.Block, p []byte) error {
	if len(r.parts) == 0 {
		parts, err := r.t.spec.Layout.Parts(r.offset(b), r.contiguous(b))
		if err != nil {
			return err
		}
		r.parts = parts
	}
	for len(p) > 0 {
		n, err := r.read(p)
		p = p[n:]
		if err != nil {
			return err
		}
	}
	return nil
}

// contiguous is how many bytes follow from the beginning of b on without a gap.
func (r *webReader) contiguous(b picker.Block) int64 {
	off := r.offset(b)
	end := off
	for _, next := range r.blocks {
		switch at := r.offset(next); {
		case at < off:
		case at > end:
			return end - off
		default:
			end = at + int64(next.Length)
		}
	}
	return end - off
}

// read reads some bytes of the part that it is at.
func (r *webReader) read(p []byte) (int, error) {
	part := &r.parts[0]
	p = p[:min(int64(len(p)), part.Len)]
	file := &r.t.spec.Layout.Files[part.File]
	switch {
	case file.Pad:
		clear(p)
	case r.body == nil:
		body, err := r.open(file, part)
		if err != nil {
			return 0, err
		}
		r.body = body
		fallthrough
	default:
		n, err := r.limited(p)
		p = p[:n]
		if n == 0 && err == nil {
			return 0, nil
		}
		if n == 0 {
			if errors.Is(err, io.EOF) {
				err = errors.New("its answer ends in the middle")
			}
			return 0, err
		}
	}
	part.Off += int64(len(p))
	if part.Len -= int64(len(p)); part.Len == 0 {
		r.close()
		r.parts = r.parts[1:]
	}
	return len(p), nil
}

// limited reads from the body what the limits let through.
func (r *webReader) limited(p []byte) (int, error) {
	torrent, all := &r.t.limits.down, &r.t.e.limits.down
	for {
		now := r.t.e.cfg.now()
		room := min(torrent.room(now), all.room(now))
		if room > 0 {
			p = p[:min(len(p), room)]
			break
		}
		r.held.Store(true)
		select {
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		case <-time.After(shareEvery):
		}
	}
	r.held.Store(false)
	n, err := r.body.Read(p)
	now := r.t.e.cfg.now()
	torrent.passed(now, n)
	all.passed(now, n)
	return n, err
}

// open asks for a part of a file.
func (r *webReader) open(file *storage.File, part *storage.Part) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, fileURL(r.base, r.t.spec.Layout, file).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.Off, part.Off+part.Len-1))
	req.Header.Set("User-Agent", clientName)
	resp, err := r.t.e.web.client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // it would repeat the URL, with its password
		}
		return nil, err
	}
	if err := r.accept(resp, file, part); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// accept finds out whether what an answer brings is that part of the file, and makes it
// so if it brings the file from its beginning.
func (r *webReader) accept(resp *http.Response, file *storage.File, part *storage.Part) error {
	never := func(format string, args ...any) error {
		return &webRefusal{words: fmt.Sprintf(format, args...), ever: true}
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		first, last, size, ok := contentRange(resp.Header.Get("Content-Range"))
		switch {
		case !ok || first != part.Off || last < part.Off+part.Len-1:
			return never("it answers %q when asked for bytes %d-%d of %q", resp.Header.Get("Content-Range"), part.Off, part.Off+part.Len-1, file.Path)
		case size >= 0 && size != file.Length:
			return never("its %q has %d bytes, not %d", file.Path, size, file.Length)
		}
		return nil
	case http.StatusOK:
		switch {
		case resp.ContentLength >= 0 && resp.ContentLength != file.Length:
			return never("its %q has %d bytes, not %d", file.Path, resp.ContentLength, file.Length)
		case part.Off > webSkip:
			return never("it sends whole files only (it ignores Range)")
		}
		return r.skip(resp.Body, part.Off)
	case http.StatusNotFound, http.StatusGone:
		return &webRefusal{words: fmt.Sprintf("%s: %q", resp.Status, file.Path), lacks: file}
	case http.StatusRequestedRangeNotSatisfiable:
		return never("its %q has not %d bytes (%s)", file.Path, file.Length, resp.Status)
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return &webRefusal{words: resp.Status, wait: retryAfter(resp)}
	}
	if resp.StatusCode >= 500 {
		return &webRefusal{words: resp.Status, wait: retryAfter(resp)}
	}
	return &webRefusal{words: resp.Status, wait: max(retryAfter(resp), lastWebBackOff)}
}

// skip reads past the first n bytes of a body.
func (r *webReader) skip(body io.ReadCloser, n int64) error {
	r.body = body
	defer func() { r.body = nil }()
	sink := make([]byte, min(n, 64<<10))
	for n > 0 {
		got, err := r.limited(sink[:min(n, int64(len(sink)))])
		n -= int64(got)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

// contentRange reads a Content-Range of bytes; size is -1 when it is not told.
func contentRange(text string) (first, last, size int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	span, of, found := strings.Cut(text, "/")
	from, to, dash := strings.Cut(span, "-")
	if !ok || !found || !dash {
		return 0, 0, 0, false
	}
	first, err1 := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	last, err2 := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	size, err3 := int64(-1), error(nil)
	if of = strings.TrimSpace(of); of != "*" {
		size, err3 = strconv.ParseInt(of, 10, 64)
	}
	return first, last, size, err1 == nil && err2 == nil && err3 == nil && first >= 0 && last >= first && (of == "*" || size > last)
}

// retryAfter is how long the server wants to be left alone; 0 when it does not say.
func retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if sec, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(sec, 0)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// fileURL is where a web seed has a file: the URL itself is the only one, unless it ends
// in '/'; several are below it, in a directory of the torrent's name (BEP 19).
func fileURL(base *url.URL, l *storage.Layout, file *storage.File) *url.URL {
	u := *base
	path, escaped := u.Path, u.EscapedPath()
	add := func(component string) {
		path, escaped = path+component, escaped+url.PathEscape(component)
	}
	if !strings.HasSuffix(path, "/") {
		if l.Single {
			return &u
		}
		path, escaped = path+"/", escaped+"/"
	}
	add(l.Name)
	if !l.Single {
		for component := range strings.SplitSeq(file.Path, "/") {
			path, escaped = path+"/", escaped+"/"
			add(component)
		}
	}
	u.Path, u.RawPath = path, escaped
	return &u
}
