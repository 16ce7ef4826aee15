package client

import (
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// TargetKind tells what a download is to be put into.
type TargetKind int

// The kinds. Only what goes into files is remembered in Storage when it is done: a device is
// mounted then and changes, and a stream is gone.
const (
	ToFiles  TargetKind = iota
	ToDevice            // a block device, written in place
	ToStream            // "-", a named pipe or a character device: see Download.WriteTo
)

// KindOfTarget says what a person's target is; nothing there means files.
func KindOfTarget(want string) TargetKind {
	if want == "-" {
		return ToStream
	}
	info, err := os.Stat(want)
	switch {
	case err != nil:
		return ToFiles
	case isDevice(info):
		return ToDevice
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return ToStream
	}
	return ToFiles
}

// sink is what a download has that goes into no files.
type sink struct {
	kind   TargetKind
	device *os.File // that is written to, and meanwhile nobody else's
	temp   *os.File // in Storage, where a stream gathers
}

// DownloadInto is Download for targets that are no files, see KindOfTarget. It writes straight
// into a device, and continues what an earlier run has begun there; of a stream the caller
// has WriteTo bring the bytes to where they are wanted. Storage remembers nothing of it
// but, of a device, the journal until it is done; so the same name may be served meanwhile.
// ErrInUse when the device has another user, ErrNoSpace when it is too small. On a later
// version of the name it does not go on.
func (c *Client) DownloadInto(ctx context.Context, req DownloadRequest) (_ *Download, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	found, err := c.findFor(ctx, req)
	if err != nil {
		return nil, err
	}
	tor, metainfo, err := c.torrentOf(ctx, req, found)
	if err != nil {
		return nil, err
	}
	if !tor.layout.Single {
		return nil, severalFiles(tor, req.Target)
	}
	d := &Download{
		Name: tor.name, Path: req.Target, InfoHash: tor.infoHash, Bytes: tor.layout.Total, Pieces: tor.layout.NumPieces(), Foreign: tor.foreign,
		c: c, began: time.Now(), layout: tor.layout, rec: Record{InfoHash: hexOf(tor.infoHash)}, // of which other copies are looked for
		sink: &sink{kind: KindOfTarget(req.Target)}, from: req.From,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	var have *wire.Bits
	if d.sink.kind == ToDevice {
		have, err = d.openDevice(ctx, req)
	} else {
		have, err = d.openTemp(ctx, req)
	}
	if err != nil {
		return nil, err
	}
	if !d.Foreign {
		d.earlier = c.earlierVersion(d.Name, d.InfoHash)
	}
	if err := d.reuse(ctx, have); err != nil {
		return nil, err
	}
	d.earlier = nil
	if err := d.sufficient(have); err != nil {
		return nil, err
	}
	engine, err := c.start(ctx, d.Foreign || d.from != nil)
	if err != nil {
		return nil, err
	}
	if err := d.begin(engine, tor, req, have, infoIn(metainfo), found.magnet.peers); err != nil {
		return nil, err
	}
	return d, nil
}

// severalFiles says why a directory cannot go into one sink.
func severalFiles(tor torrent, target string) error {
	var names []string
	for _, f := range tor.layout.Files {
		if len(names) == 3 {
			names = append(names, "…")
			break
		}
		if !f.Pad {
			names = append(names, f.Path)
		}
	}
	return hint(fmt.Errorf("%w: %q has several files (%s), and %s takes one", ErrUsage, tor.name, strings.Join(names, ", "), target),
		"name a directory with -o PATH")
}

// infoIn gives the means to read the info dictionary of a .torrent that is in memory.
func infoIn(metainfo []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		mi, _, err := storage.ParseTorrent(metainfo)
		if err != nil {
			return nil, err
		}
		return mi.InfoBytes, nil
	}
}

// openDevice opens the device and finds out which pieces are there: those in the journal of
// an earlier run, if nobody has written to it since, else those of them that are right.
func (d *Download) openDevice(ctx context.Context, req DownloadRequest) (*wire.Bits, error) {
	path, err := filepath.Abs(req.Target)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", req.Target, err)
	}
	d.Path = path
	if d.lock, err = d.c.storage.lockSubject("device "+path, path, "download", false); err != nil {
		return nil, err
	}
	s := d.sink
	if s.device, err = claimDevice(path, os.O_RDWR, req.Force); err != nil {
		return nil, err
	}
	size, err := s.device.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("finding out how large %s is: %w", path, bare(err))
	}
	if size < d.Bytes {
		return nil, hint(fmt.Errorf("%w: %s has %d bytes, and %q needs %d; nothing was written", ErrNoSpace, path, size, d.Name, d.Bytes),
			"choose a device of at least that size")
	}
	if d.content, err = storage.OpenDevice(d.layout, s.device, path); err != nil {
		return nil, err
	}
	d.rec.ID = RecordID(Downloaded, d.Name, path)
	if err := d.openJournal(); err != nil {
		return nil, err
	}
	have := d.journal.Bits()
	if have.Count() > 0 && !d.journal.Trusted(d.content) {
		d.c.log.Info("the device may have changed: what was there is hashed", "name", d.Name, "path", path)
		if have, err = storage.VerifyAmong(ctx, d.content, have, runtime.GOMAXPROCS(0), req.OnProgress.stage(Verifying)); err != nil {
			return nil, fmt.Errorf("checking what is on the device: %w", err)
		}
	}
	// From here on what the journal says has to be hashed after a crash.
	if err := d.journal.Reset(have); err != nil {
		return nil, fmt.Errorf("writing the journal of the download: %w", err)
	}
	return have, d.zero(ctx, have, req.OnProgress)
}

// openTemp makes the file in Storage where the pieces of a stream gather, in whatever order
// they come.
func (d *Download) openTemp(ctx context.Context, req DownloadRequest) (have *wire.Bits, err error) {
	have = storage.Holes(d.layout)
	_, need := bytesOnDisk(d.layout, have)
	files := d.c.storage.FilesDir()
	if free, _, known := spaceAt(files); known && !req.AnySpace && need > free {
		return nil, hint(fmt.Errorf("%w: %q gathers in %s, where it needs %d bytes and %d are free", ErrNoSpace, d.Name, files, need, free),
			"make room, or choose another --storage; with --no-space-check it is begun anyway and waits when the disk is full")
	}
	if d.sink.temp, err = d.c.storage.incoming(); err != nil {
		return nil, err
	}
	if d.content, err = storage.OpenTarget(d.layout, d.sink.temp.Name()); err != nil {
		return nil, err
	}
	return have, d.content.MakeHoles(ctx, have, nil) // that is what it is made of already
}

// finishSink is complete for what goes into no files.
func (d *Download) finishSink() error {
	if d.sink.kind != ToDevice {
		return nil
	}
	if err := d.content.Sync(); err != nil {
		return err
	}
	d.endJournal()
	return nil
}

// release is Download.release of what only a sink has; the content is closed.
func (s *sink) release() {
	if s.device != nil {
		s.device.Close()
	}
	if s.temp != nil {
		_ = discardIncoming(s.temp) // the next one sweeps it away
	}
}

// WriteTo writes a single-file download to w, in order, while it is coming in: what w waits
// for is fetched first. Each piece is hashed once more on its way, so that what w gets is
// right whatever the disk does. It blocks until all of it is written, ctx ends, the download
// fails, or w does: that error comes with how far it was.
func (d *Download) WriteTo(ctx context.Context, w io.Writer) error {
	r := d.Open(ctx, 0)
	defer r.Close()
	buf := make([]byte, min(d.layout.PieceLength, d.Bytes))
	for i := range d.Pieces {
		piece := buf[:d.layout.PieceSize(i)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return asInterrupted(ctx, err)
		}
		if sum := sha1.Sum(piece); string(sum[:]) != string(d.layout.PieceHash(i)) {
			return fmt.Errorf("%w: piece %d of %q in %s is not as it was written there", ErrMismatch, i, d.Name, d.content.Path())
		}
		if n, err := w.Write(piece); err != nil {
			at := int64(i)*d.layout.PieceLength + int64(n)
			return asInterrupted(ctx, fmt.Errorf("after %d of %d bytes of %q: %w", at, d.Bytes, d.Name, bare(err)))
		}
	}
	return nil
}
