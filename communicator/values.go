package communicator

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// formatV1 is the first byte of every value but chunks.
const formatV1 = 1

// header says what a version is and which bytes its metainfo must have.
type header struct {
	size, pieces uint64
	publisher    uint64
	publishedMs  uint64
	length       uint64   // of the metainfo, 1..maxMetainfo
	digest       [20]byte // SHA-1 of the metainfo
	tag          [tagBytes]byte
}

func (h header) encode() []byte {
	b := []byte{formatV1}
	for _, v := range []uint64{h.size, h.pieces, h.publisher, h.publishedMs, h.length} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, h.digest[:]...)
	return append(b, h.tag[:]...)
}

func decodeHeader(b []byte) (header, error) {
	var h header
	d := newDecoder("torrent header", b)
	h.size = d.uint(1 << 62)
	h.pieces = d.uint(1 << 31)
	h.publisher = d.uint(1<<64 - 1)
	h.publishedMs = d.uint(maxMillis)
	h.length = d.uint(maxMetainfo)
	d.fixed(h.digest[:])
	d.fixed(h.tag[:])
	if d.err == nil && h.length == 0 {
		d.fail("metainfo of no bytes")
	}
	return h, d.end()
}

// set is the set of chunks that belongs to the header.
func (h header) set(ih [20]byte) chunkSet { return chunkSet{ih, h.tag} }

func (h header) chunks() int { return chunkCount(int(h.length)) }

func chunkCount(length int) int { return (length + chunkBytes - 1) / chunkBytes }

func (h header) version(name string, ih [20]byte) Version {
	return Version{
		Name: name, InfoHash: ih, Size: int64(h.size), Pieces: int(h.pieces),
		Publisher: h.publisher, Published: millisTime(h.publishedMs),
	}
}

func encodeSet(chunks int) []byte { return binary.AppendUvarint([]byte{formatV1}, uint64(chunks)) }

func decodeSet(b []byte) (int, error) {
	d := newDecoder("chunk set", b)
	n := int(d.uint(uint64(chunkCount(maxMetainfo))))
	return n, d.end()
}

func encodeListing(f File) []byte {
	b := binary.AppendUvarint([]byte{formatV1}, uint64(f.Size))
	b = binary.AppendUvarint(b, timeMillis(f.Published))
	return append(b, f.InfoHash[:]...)
}

func decodeListing(name string, b []byte) (File, error) {
	d := newDecoder("listing", b)
	f := File{Name: name, Size: int64(d.uint(1 << 62))}
	f.Published = millisTime(d.uint(maxMillis))
	d.fixed(f.InfoHash[:])
	return f, d.end()
}

// encodeMark is the value of a field whose name says everything.
func encodeMark() []byte { return []byte{formatV1} }

func encodeAddress(a netip.AddrPort) []byte { return appendAddr([]byte{formatV1}, a) }

func decodeAddress(b []byte) (netip.AddrPort, error) {
	d := newDecoder("client address", b)
	a := d.addr()
	return a, d.end()
}

func encodePeer(a Announce) []byte {
	b := appendAddr([]byte{formatV1}, a.Addr)
	b = binary.AppendUvarint(b, a.ClientID)
	b = binary.AppendVarint(b, a.Left)
	b = binary.AppendVarint(b, a.Size)
	b = binary.AppendUvarint(b, uint64(max(a.Rate, 0)))
	b = binary.AppendUvarint(b, uint64(len(a.Have)))
	return append(b, a.Have...)
}

func decodePeer(b []byte) (Peer, error) {
	var p Peer
	d := newDecoder("peer", b)
	p.Addr = d.addr()
	p.ClientID = d.uint(1<<64 - 1)
	p.Left = d.int()
	p.Size = d.int()
	p.Rate = int64(d.uint(1<<63 - 1))
	if n := d.uint(maxBuckets); n > 0 && d.err == nil {
		p.Have = make([]byte, n)
		d.fixed(p.Have)
	}
	for len(d.b) > 0 && d.err == nil && len(p.Doubters) < enoughDoubters {
		var by [4]byte
		if d.fixed(by[:]); by == [4]byte{} {
			d.fail("a doubt of nobody")
		}
		p.Doubters = append(p.Doubters, by)
	}
	return p, d.end()
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr().Unmap().WithZone("").AsSlice()
	b = append(b, byte(len(ip)))
	b = append(b, ip...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// maxMillis keeps times within what time.Time can print and JSON can carry.
const maxMillis = 253402300799999 // the end of the year 9999

func millisTime(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

func timeMillis(t time.Time) uint64 {
	return uint64(min(max(t.UnixMilli(), 0), maxMillis))
}

// decoder reads a value front to back and remembers the first thing wrong.
type decoder struct {
	what string
	b    []byte
	err  error
}

func newDecoder(what string, b []byte) *decoder {
	d := &decoder{what: what, b: b}
	var format [1]byte
	d.fixed(format[:])
	if d.err == nil && format[0] != formatV1 {
		d.fail(fmt.Sprintf("format %d, this program knows %d", format[0], formatV1))
	}
	return d
}

func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s: %s", ErrMalformed, d.what, why)
	}
}

func (d *decoder) fixed(dst []byte) {
	if d.err != nil {
		return
	}
	if len(d.b) < len(dst) {
		d.fail("cut short")
		return
	}
	copy(dst, d.b)
	d.b = d.b[len(dst):]
}

func (d *decoder) uint(limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	switch {
	case n <= 0 || (n > 1 && d.b[n-1] == 0):
		d.fail("bad number")
		return 0
	case v > limit:
		d.fail(fmt.Sprintf("number %d over its limit %d", v, limit))
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	u := d.uint(1<<64 - 1)
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) addr() netip.AddrPort {
	var size [1]byte
	d.fixed(size[:])
	if d.err == nil && size[0] != 4 && size[0] != 16 {
		d.fail(fmt.Sprintf("address of %d bytes", size[0]))
	}
	if d.err != nil {
		return netip.AddrPort{}
	}
	ip := make([]byte, size[0])
	d.fixed(ip)
	var port [2]byte
	d.fixed(port[:])
	a, _ := netip.AddrFromSlice(ip)
	if d.err == nil && a.Is4In6() {
		d.fail("IPv4 address written as IPv6")
	}
	if d.err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port[:]))
}

// end gives the error, one for bytes left over included.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Sprintf("%d bytes too many", len(d.b)))
	}
	return d.err
}
