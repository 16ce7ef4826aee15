package transfer

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chordtorrent/transfer/storage"
)

// webRefusal is an answer of a web seed that brings nothing.
type webRefusal struct {
	words string
	wait  time.Duration // how long the server wants to be left alone; 0: it does not say
	ever  bool          // asking again is of no use
	lacks *storage.File // it has not this file; nil: that is not the reason
}

func (r *webRefusal) Error() string { return r.words }

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
func (r *webReader) skip(body io.Reader, n int64) error {
	sink := make([]byte, min(n, 64<<10))
	for n > 0 {
		got, err := r.limited(body, sink[:min(n, int64(len(sink)))])
		if got == 0 && err != nil {
			return err
		}
		n -= int64(got)
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
