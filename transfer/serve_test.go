package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// slowDisk is a content whose reads wait until the test lets them go.
type slowDisk struct {
	*storage.Content
	begun chan struct{}
	goOn  chan struct{}
}

func (d *slowDisk) Spans(off, n int64) ([]storage.Span, func(), error) {
	d.begun <- struct{}{}
	<-d.goOn
	return d.Content.Spans(off, n)
}

// A disk that takes its time holds up those who wait for its bytes, and not the
// loop: everybody else on it is served.
func TestSlowDiskDoesNotHoldTheLoop(t *testing.T) {
	f := makeTorrent(t, 70, 64<<10, 300<<10, 300<<10)
	e := start(t, func(c *Config) { c.Loops = 1 })
	spec := f.seedSpec(t)
	disk := &slowDisk{spec.Content, make(chan struct{}, 100), make(chan struct{})}
	spec.content = disk
	from := e.add(t, spec)
	other := makeTorrent(t, 71, 64<<10, 1<<20)
	e.add(t, other.seedSpec(t))

	slow := join(t, e, f, 1)
	slow.send(wire.Message{ID: wire.Interested})
	slow.expect(wire.Unchoke)
	for i := range 6 {
		slow.send(wire.Message{ID: wire.Request, Index: uint32(i), Length: blockLen})
	}
	for range prepareAhead {
		<-disk.begun
	}
	// The same loop, while the disk is busy: another torrent, another peer, and
	// a cancel of an answer that is being read.
	slow.send(wire.Message{ID: wire.Cancel, Index: 1, Length: blockLen})
	quick := join(t, e, other, 2)
	quick.send(wire.Message{ID: wire.Interested})
	quick.expect(wire.Unchoke)
	quick.send(wire.Message{ID: wire.Request, Index: 3, Begin: 5, Length: 1000})
	if m := quick.expect(wire.Piece); !bytes.Equal(m.Block, other.data[3*64<<10+5:3*64<<10+1005]) {
		t.Error("wrong block")
	}
	from.Status()
	close(disk.goOn)
	for _, i := range []int{0, 2, 3, 4, 5} {
		m := slow.expect(wire.Piece)
		if int(m.Index) != i || !bytes.Equal(m.Block, f.data[i*64<<10:i*64<<10+blockLen]) {
			t.Errorf("piece %d instead of %d, or wrong", m.Index, i)
		}
	}
}

// A connection that ends while its answers are being read leaves nothing open,
// and Stop waits for them.
func TestStopWhileReading(t *testing.T) {
	f := makeTorrent(t, 72, 64<<10, 300<<10, 300<<10)
	e := start(t)
	spec := f.seedSpec(t)
	disk := &slowDisk{spec.Content, make(chan struct{}, 100), make(chan struct{})}
	spec.content = disk
	from := e.add(t, spec)
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	p.send(wire.Message{ID: wire.Request, Index: 0, Length: blockLen}, wire.Message{ID: wire.Request, Index: 1, Length: blockLen})
	<-disk.begun
	<-disk.begun
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop(t, from) }()
	p.gone()
	select {
	case <-stopped:
		t.Error("stopped while the content was in use")
	default:
	}
	close(disk.goOn)
	<-stopped
}

// A file that is shorter than it should be is noticed when its end is served.
func TestTruncatedWhileServed(t *testing.T) {
	f := makeTorrent(t, 74, 64<<10, 256<<10)
	part := filepath.Join(t.TempDir(), "part")
	e := start(t)
	c, err := storage.OpenTarget(f.layout, part)
	must(t, err)
	defer c.Close()
	for i := range 4 {
		must(t, c.WritePiece(i, f.data[i*64<<10:(i+1)*64<<10]))
	}
	from := e.add(t, Spec{InfoHash: f.hash, Layout: f.layout, Content: c, Have: f.all()})
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	p.send(wire.Message{ID: wire.Request, Index: 0, Length: blockLen}) // opens the file
	p.expect(wire.Piece)
	must(t, os.Truncate(part, 100<<10))
	p.send(wire.Message{ID: wire.Request, Index: 3, Length: blockLen})
	p.gone()
	<-from.Failed()
	if from.Err() == nil {
		t.Error("no reason")
	}
}
