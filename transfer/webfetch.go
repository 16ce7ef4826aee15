package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// fetcher is the side of a request that is on a goroutine of its own.
type fetcher struct {
	cancelled context.CancelFunc
	free      chan []byte  // buffers that the loop has done with
	held      atomic.Bool  // it waits for a limit
	waited    atomic.Bool  // it has, since the loop looked
	read      atomic.Int64 // bytes that have come
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
		ctx: ctx, t: t, base: f.w.base, fetcher: &f.fetcher, blocks: append([]picker.Block(nil), f.left...),
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
	fetcher  *fetcher
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
		n, err := r.limited(r.body, p)
		if n == 0 {
			return 0, err
		}
		p = p[:n]
	}
	part.Off += int64(len(p))
	if part.Len -= int64(len(p)); part.Len == 0 {
		r.close()
		r.parts = r.parts[1:]
	}
	return len(p), nil
}

// limited reads from a body what the limits let through. More is to come, so its end is
// an error.
func (r *webReader) limited(body io.Reader, p []byte) (int, error) {
	torrent, all := &r.t.limits.down, &r.t.e.limits.down
	for {
		now := r.t.e.cfg.now()
		room := min(torrent.room(now), all.room(now))
		if room > 0 {
			p = p[:min(len(p), room)]
			break
		}
		r.fetcher.held.Store(true)
		r.fetcher.waited.Store(true)
		select {
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		case <-time.After(shareEvery):
		}
	}
	r.fetcher.held.Store(false)
	n, err := body.Read(p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("its answer ends in the middle")
	}
	r.fetcher.read.Add(int64(n))
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
