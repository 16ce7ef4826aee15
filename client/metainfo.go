package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer/storage"
)

// MetainfoRequest says which .torrent to make.
type MetainfoRequest struct {
	// Paths are a file or directory, or several that lie in one directory; those become
	// one torrent, as if nothing else were there.
	Paths []string
	Name  string // of the torrent; empty means the last element of the path, or of that directory
	// Tiers are the trackers, those of a tier equal, in the order in which they are to be
	// tried (BEP 12); WebSeeds HTTP servers that have the content (BEP 19).
	Tiers       [][]string
	WebSeeds    []string
	Private     bool  // peers are to come from these trackers alone (BEP 27)
	PieceLength int64 // bytes, a power of two; 0: what fits the size
	Comment     string
	OnProgress  OnProgress // may be nil
}

// Metainfo is a .torrent.
type Metainfo struct {
	Bytes     []byte
	InfoHash  [20]byte
	Layout    *storage.Layout
	Tiers     [][]string
	WebSeeds  []string
	Comment   string
	CreatedBy string
	Created   time.Time // zero: it does not say
	Odd       []string  // what is unusual about it, in words
}

// leastPieceLength is the smallest that is made: one block of a request.
const leastPieceLength = 16 << 10

// CreateMetainfo hashes on all cores. It blocks until that is done; ErrUsage when the
// request makes no sense, and then nothing was read.
func CreateMetainfo(ctx context.Context, req MetainfoRequest) (m *Metainfo, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	path, options, err := req.check()
	if err != nil {
		return nil, err
	}
	_, b, _, err := storage.Build(ctx, path, req.Name, runtime.GOMAXPROCS(0), req.OnProgress.stage(Hashing), options...)
	if err != nil {
		return nil, fmt.Errorf("hashing %s: %w", path, err)
	}
	return readMetainfo(b)
}

// check gives the path to hash, and how.
func (req *MetainfoRequest) check() (path string, options []storage.Option, err error) {
	for _, tier := range req.Tiers {
		for _, t := range tier {
			if err := checkURL(t, "tracker", storage.TrackerURL); err != nil {
				return "", nil, err
			}
		}
	}
	for _, u := range req.WebSeeds {
		if err := checkURL(u, "web seed", storage.WebSeedURL); err != nil {
			return "", nil, err
		}
	}
	if n := req.PieceLength; n != 0 && (n < leastPieceLength || n > storage.MaxPieceLength || bits.OnesCount64(uint64(n)) != 1) {
		return "", nil, hint(fmt.Errorf("%w: pieces of %d bytes", ErrUsage, n), "use a power of two from %d to %d", leastPieceLength, int64(storage.MaxPieceLength))
	}
	options = []storage.Option{storage.WithAnnounce(req.Tiers), storage.WithWebSeeds(req.WebSeeds), storage.WithComment(req.Comment), storage.WithPieceLength(req.PieceLength)}
	if req.Private {
		if len(req.Tiers) == 0 {
			return "", nil, hint(fmt.Errorf("%w: a private torrent without a tracker: nobody could find peers", ErrUsage), "name a tracker")
		}
		options = append(options, storage.Private())
	}
	var names []string
	for i, p := range req.Paths {
		abs, err := checkSource(p)
		if err != nil {
			return "", nil, err
		}
		if i > 0 && filepath.Dir(abs) != filepath.Dir(path) {
			return "", nil, hint(fmt.Errorf("%w: %s and %s lie in different directories", ErrUsage, req.Paths[0], p),
				"put them into one directory, or make a .torrent for each")
		}
		path = abs
		names = append(names, filepath.Base(abs))
	}
	if len(names) > 1 {
		path = filepath.Dir(path)
		options = append(options, storage.Only(names))
	}
	return path, options, nil
}

// checkURL refuses an address in what is to be made that nobody, or not everybody, will be
// able to use.
func checkURL(text, what string, read func(string) (*url.URL, error)) error {
	_, err := read(text)
	if err == nil && text != strings.TrimSpace(text) {
		err = errors.New("blanks are around it")
	}
	if err != nil {
		return hint(fmt.Errorf("%w: %q is not the URL of a %s: %w", ErrUsage, text, what, err), "it begins with a scheme and ://, then the host")
	}
	return nil
}

// ReadMetainfo reads a .torrent file. What it cannot be used for is an error with the
// reason in words, which wraps storage.ErrBadTorrent; ErrUsage when there is no such file.
func ReadMetainfo(path string) (*Metainfo, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("%w: there is no file %s", ErrUsage, path), "give the path of a .torrent")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, storage.MaxTorrent+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, bare(err))
	}
	m, err := readMetainfo(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func readMetainfo(b []byte) (*Metainfo, error) {
	mi, layout, err := storage.ParseTorrent(b)
	if err != nil {
		return nil, err
	}
	m := &Metainfo{
		Bytes: b, InfoHash: mi.HashInfoBytes(), Layout: layout, Tiers: mi.UpvertedAnnounceList(), WebSeeds: mi.UrlList,
		Comment: mi.Comment, CreatedBy: mi.CreatedBy, Odd: storage.Oddities(b, mi, layout),
	}
	if mi.CreationDate > 0 {
		m.Created = time.Unix(mi.CreationDate, 0)
	}
	return m, nil
}

// Compare reads the data at path on all cores and compares it with the hashes: path is
// the file or directory of the torrent, or the directory that it lies in. It blocks until
// all is read. It gives where that was and what is wrong with which files; ErrMismatch when anything is, communicator.ErrNotFound when nothing is at
// path.
func (m *Metainfo) Compare(ctx context.Context, path string, on OnProgress) (at string, wrong []storage.Difference, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	at, err = m.dataAt(path)
	if err != nil {
		return at, nil, err
	}
	content, err := storage.OpenAsIs(m.Layout, at)
	if err != nil {
		return at, nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	defer content.Close()
	have, err := storage.Verify(ctx, content, runtime.GOMAXPROCS(0), on.stage(Verifying))
	if err != nil {
		return at, nil, fmt.Errorf("reading %s: %w", at, err)
	}
	if wrong = content.Compare(have); len(wrong) > 0 {
		err = fmt.Errorf("%w: %d of %d pieces and %d files at %s", ErrMismatch, have.Len()-have.Count(), have.Len(), len(wrong), at)
	}
	return at, wrong, err
}

// dataAt is where the data of the torrent is when a person says path.
func (m *Metainfo) dataAt(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path, err
	}
	info, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return abs, hint(fmt.Errorf("%w: nothing is at %s", communicator.ErrNotFound, abs), "give the file or directory that the .torrent was made of")
	}
	if err != nil || !info.IsDir() {
		return abs, err
	}
	inside := filepath.Join(abs, m.Layout.Name)
	in, err := os.Stat(inside)
	if err != nil || in.IsDir() == m.Layout.Single {
		return abs, nil
	}
	// A directory may well hold one of its own name.
	if !m.Layout.Single && m.filesIn(abs) >= m.filesIn(inside) {
		return abs, nil
	}
	return inside, nil
}

// filesIn is how many of the first files of the torrent are in a directory.
func (m *Metainfo) filesIn(dir string) (n int) {
	for _, f := range m.Layout.Files[:min(len(m.Layout.Files), 1000)] {
		if _, err := os.Stat(filepath.Join(dir, f.Path)); err == nil {
			n++
		}
	}
	return n
}
