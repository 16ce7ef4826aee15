package storage

import (
	"fmt"
	"os"
)

// maxSpans is how many files one range may keep open; what lies in more is
// gathered into one.
const maxSpans = 4

// Span is a run of bytes in one open file.
type Span struct {
	File     *os.File // not to be closed, nor its offset relied on
	Off, Len int64
}

// Spans returns the runs of open files that hold n bytes from offset off of the
// torrent, in order, for sendfile. They stay open until release is called,
// which has to happen once, from any goroutine. A range that lies in more than
// four files comes as one span of an unnamed temporary file. A file that has
// changed gives ErrChanged with its path.
func (c *Content) Spans(off, n int64) (spans []Span, release func(), err error) {
	var held []*handle
	release = func() {
		for _, h := range held {
			c.handles.release(h)
		}
	}
	gather := false
	err = c.l.each(off, n, func(i int, at, n int64) error {
		if gather = gather || c.l.Files[i].Pad || len(spans) == maxSpans; gather {
			return nil
		}
		h, err := c.acquire(i)
		if err != nil {
			return err
		}
		held = append(held, h)
		spans = append(spans, Span{h.File, at, n})
		return nil
	})
	if err != nil || gather {
		release()
	}
	if err != nil {
		return nil, nil, err
	}
	if gather {
		return c.gather(off, n)
	}
	return spans, release, nil
}

// gather copies a range into a temporary file.
func (c *Content) gather(off, n int64) ([]Span, func(), error) {
	buf := make([]byte, n)
	if _, err := c.ReadAt(buf, off); err != nil {
		return nil, nil, err
	}
	f, err := tempFile()
	if err == nil {
		if _, err = f.Write(buf); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("gather %d bytes of %s: %w", n, c.Path(), err)
	}
	return []Span{{f, 0, n}}, func() { f.Close() }, nil
}
