package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"chordtorrent/chord"
)

// The parts of bbolt's file format (version 2) that the check needs. Numbers
// are in the machine's byte order.
//
//	page    id u64, flags u16, count u16, overflow u32, then its elements
//	meta    magic u32, version u32, page size u32, flags u32, root page u64,
//	        sequence u64, free list page u64, high water u64, txid u64,
//	        FNV-1a 64 of all of the above
//	branch  position u32 (from the element's start), key size u32, page u64
//	leaf    flags u32, position u32, key size u32, value size u32
//	bucket  value of a leaf element with flag 1: root page u64, sequence u64;
//	        with root page 0 a page follows inline
//
// The keys and values of a page follow its elements without a gap, so the
// first one's place proves how many elements there are.
const (
	pageHeader   = 16
	elementBytes = 16
	metaBytes    = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	branchPage   = 1
	leafPage     = 2
	bucketLeaf   = 1
	bucketHeader = 16
)

var native = binary.NativeEndian

// checkFile reads a whole bbolt file without mapping it and checks what bbolt
// takes on trust: both metas, every page that the newest transaction reaches
// (number, kind, bounds, order, reached once), and that each row matches its
// checksum. It returns the number of rows that do not. The error wraps
// ErrDamaged when the structure cannot be trusted; no file, and an empty one,
// are in order. Of two metas one may be damaged, as the other leads to the
// transaction before: but what was written since is lost, so that it counts as
// a row. (A crash does not do that to a disk that writes whole sectors.)
//
// bbolt has a check of its own, Tx.Check, which does not serve here: it reads
// the mapped file, as does the opening before it, and in a goroutine of its
// own. It recovers from panics there, but a page number beyond the map is a
// fault, which is a panic only in a goroutine that has asked for that (see
// guard), and otherwise the end of the process. Nor does it know our rows.
func checkFile(path string) (badRows int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("check database: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("check database: %w", err)
	}
	if info.Size() == 0 {
		return 0, nil
	}
	c := checker{file: f, path: path, rows: map[string]int{}}
	meta, valid := c.newestMeta(info.Size())
	switch valid {
	case 0:
		return 0, c.damage("neither of its meta pages is valid")
	case 1:
		c.badRows++
	}
	if uint64(info.Size()) < meta.pages*uint64(meta.pageSize) {
		return 0, c.damage("it is cut short: %d bytes of %d", info.Size(), meta.pages*uint64(meta.pageSize))
	}
	c.pageSize, c.pages, c.seen = meta.pageSize, meta.pages, make([]bool, meta.pages)
	if err := c.tree(meta.root, nil, nil, c.rootElement); err != nil {
		return 0, err
	}
	if c.buckets == 0 && meta.txid > 1 { // the two first make an empty file
		return 0, c.damage("it has no buckets")
	}
	if (c.rows[string(keysBucket)] == 0) != (c.rows[string(fieldsBucket)] == 0) {
		return 0, c.damage("of keys and fields it holds only the one kind")
	}
	return c.badRows, nil
}

type metaPage struct {
	pageSize          int
	root, pages, txid uint64
}

// parseMeta reads a meta page's body.
func parseMeta(b []byte) (m metaPage, ok bool) {
	h := fnv.New64a()
	_, _ = h.Write(b[:56]) // never fails
	if native.Uint32(b) != metaMagic || native.Uint32(b[4:]) != metaVersion || native.Uint64(b[56:]) != h.Sum64() {
		return m, false
	}
	m.pageSize = int(native.Uint32(b[8:]))
	m.root, m.pages, m.txid = native.Uint64(b[16:]), native.Uint64(b[40:]), native.Uint64(b[48:])
	return m, m.pageSize >= 1024 && m.pageSize <= 16<<20 && m.pageSize&(m.pageSize-1) == 0
}

type checker struct {
	file     *os.File
	path     string
	pageSize int
	pages    uint64
	seen     []bool
	buckets  int
	rows     map[string]int // by bucket
	badRows  int
}

func (c *checker) damage(format string, args ...any) error {
	return &faultError{path: c.path, cause: fmt.Sprintf(format, args...)}
}

// newestMeta finds the valid meta with the highest transaction id, and tells
// how many are valid. The second one lies a page behind the first, whose size
// may be unreadable.
func (c *checker) newestMeta(size int64) (best metaPage, valid int) {
	at := []int64{0}
	for pageSize := int64(1024); pageSize <= 16<<20; pageSize *= 2 {
		at = append(at, pageSize)
	}
	buf := make([]byte, metaBytes)
	for _, off := range at {
		if off+pageHeader+metaBytes > size {
			break
		}
		if _, err := c.file.ReadAt(buf, off+pageHeader); err != nil {
			continue
		}
		m, ok := parseMeta(buf)
		if !ok || (off != 0 && off != int64(m.pageSize)) {
			continue
		}
		if valid++; valid == 1 || m.txid > best.txid {
			best = m
		}
	}
	return best, valid
}

// element is one key of a leaf page.
type element struct {
	bucket     bool
	key, value []byte
}

// tree checks the page id and all below it; all keys must lie in [lo, hi),
// nil meaning open.
func (c *checker) tree(id uint64, lo, hi []byte, leaf func(element) error) error {
	page, err := c.page(id)
	if err != nil {
		return err
	}
	kind, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	switch kind {
	case leafPage:
		if count == 0 && lo != nil {
			return c.damage("page %d is empty and not the only one of its bucket", id)
		}
		return c.leaves(id, page, lo, hi, leaf)
	case branchPage:
	default:
		return c.damage("page %d is of kind %d where a tree was expected", id, kind)
	}
	if count == 0 {
		return c.damage("page %d is a branch without children", id)
	}
	keys, children := make([][]byte, count), make([]uint64, count)
	for i := range count {
		at := pageHeader + i*elementBytes
		if at+elementBytes > len(page) {
			return c.damage("page %d has more elements than fit it", id)
		}
		keys[i], err = c.slice(id, page, at, native.Uint32(page[at:]), native.Uint32(page[at+4:]))
		if err != nil {
			return err
		}
		children[i] = native.Uint64(page[at+8:])
	}
	if err := c.count(id, page, count, native.Uint32(page[pageHeader:])); err != nil {
		return err
	}
	if err := c.order(id, keys, lo, hi); err != nil {
		return err
	}
	for i, child := range children {
		next := hi
		if i+1 < count {
			next = keys[i+1]
		}
		if err := c.tree(child, keys[i], next, leaf); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) leaves(id uint64, page, lo, hi []byte, leaf func(element) error) error {
	count := int(native.Uint16(page[10:]))
	keys, elements := make([][]byte, count), make([]element, count)
	for i := range count {
		at := pageHeader + i*elementBytes
		if at+elementBytes > len(page) {
			return c.damage("page %d has more elements than fit it", id)
		}
		flags, pos := native.Uint32(page[at:]), native.Uint32(page[at+4:])
		ksize, vsize := native.Uint32(page[at+8:]), native.Uint32(page[at+12:])
		key, err := c.slice(id, page, at, pos, ksize)
		if err != nil {
			return err
		}
		value, err := c.slice(id, page, at, pos+ksize, vsize)
		if err != nil {
			return err
		}
		if flags > bucketLeaf || pos+ksize < pos || ksize == 0 {
			return c.damage("page %d has an impossible element", id)
		}
		keys[i], elements[i] = key, element{flags == bucketLeaf, key, value}
	}
	if count > 0 {
		if err := c.count(id, page, count, native.Uint32(page[pageHeader+4:])); err != nil {
			return err
		}
	}
	if err := c.order(id, keys, lo, hi); err != nil {
		return err
	}
	for _, e := range elements {
		if err := leaf(e); err != nil {
			return err
		}
	}
	return nil
}

// page reads a page that no other refers to.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, c.damage("page %d is referred to, it has %d", id, c.pages)
	}
	head := make([]byte, pageHeader)
	if _, err := c.file.ReadAt(head, int64(id)*int64(c.pageSize)); err != nil {
		return nil, c.damage("page %d: %v", id, err)
	}
	overflow := uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || overflow >= c.pages-id {
		return nil, c.damage("page %d does not carry its number", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.seen[i] {
			return nil, c.damage("page %d is referred to twice", i)
		}
		c.seen[i] = true
	}
	page := make([]byte, (overflow+1)*uint64(c.pageSize))
	if _, err := c.file.ReadAt(page, int64(id)*int64(c.pageSize)); err != nil && !errors.Is(err, io.EOF) {
		return nil, c.damage("page %d: %v", id, err)
	}
	return page, nil
}

func (c *checker) slice(id uint64, page []byte, at int, pos, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(pos)
	if from+uint64(size) > uint64(len(page)) {
		return nil, c.damage("page %d has an element that reaches beyond it", id)
	}
	return page[from : from+uint64(size)], nil
}

// count checks a page's number of elements by where the first one's key lies.
func (c *checker) count(id uint64, page []byte, count int, first uint32) error {
	if uint64(first) != uint64(count)*elementBytes {
		return c.damage("page %d has lost or won elements", id)
	}
	return nil
}

func (c *checker) order(id uint64, keys [][]byte, lo, hi []byte) error {
	for i, k := range keys {
		switch {
		case i == 0 && lo != nil && bytes.Compare(k, lo) < 0,
			i > 0 && bytes.Compare(keys[i-1], k) >= 0,
			hi != nil && bytes.Compare(k, hi) >= 0:
			return c.damage("page %d has keys out of order", id)
		}
	}
	return nil
}

// rootElement checks one of the file's buckets.
func (c *checker) rootElement(e element) error {
	var row func(element) bool
	bucket := e.key
	c.buckets++
	switch {
	case !e.bucket || len(e.value) < bucketHeader:
		return c.damage("its root holds something that is no bucket")
	case bytes.Equal(e.key, fieldsBucket):
		row = func(e element) bool {
			_, ok := parseRow(e.key, e.value)
			return ok && len(e.key) >= chord.IDBytes
		}
	case bytes.Equal(e.key, keysBucket):
		row = func(e element) bool {
			hash := chord.HashKey(chord.Key(e.value))
			return bytes.Equal(hash[:], e.key)
		}
	case bytes.Equal(e.key, metaBucket):
		row = func(element) bool { return true } // proved when they are read
	default:
		return c.damage("its root holds an unknown bucket %q", e.key)
	}
	leaf := func(e element) error {
		if e.bucket {
			return c.damage("a row claims to be a bucket")
		}
		c.rows[string(bucket)]++
		if !row(e) {
			c.badRows++
		}
		return nil
	}
	if root := native.Uint64(e.value); root != 0 {
		return c.tree(root, nil, nil, leaf)
	}
	inline := e.value[bucketHeader:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage {
		return c.damage("an inline bucket is no leaf page")
	}
	return c.leaves(0, inline, nil, nil, leaf)
}
