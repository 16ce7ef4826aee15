package client

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
)

// lateAnnouncer passes an announce on only when the engine is closing.
type lateAnnouncer struct {
	transfer.Announcer
	once    sync.Once
	entered chan struct{}
}

func (l *lateAnnouncer) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	l.once.Do(func() { close(l.entered) })
	<-ctx.Done()
	return l.Announcer.Announce(ctx, p)
}

// closed waits for the end of a Close.
func (w *world) closed(c *Client) {
	w.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- c.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			w.t.Error(err)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatal("Close does not end")
	}
}

func TestCloseWhileTheRingIsTold(t *testing.T) {
	w := newWorld(t)
	path := w.file("x", w.content(50_000))
	layout, _, infoHash, err := storage.Build(t.Context(), path, "x", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := storage.OpenSource(layout, path)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	c := New(Config{Storage: newStorage(t), Ring: w.communicator()})
	engine, err := c.start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	late := &lateAnnouncer{Announcer: c.newAnnouncer("x", infoHash, layout.Total), entered: make(chan struct{})}
	if _, err := engine.Add(transfer.Spec{InfoHash: infoHash, Layout: layout, Content: content, Announcer: late}); err != nil {
		t.Fatal(err)
	}
	<-late.entered
	w.closed(c)
	w.closed(c)
	if _, err := c.Publish(t.Context(), PublishRequest{Path: path}); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCloseEndsADownloadThatNobodyStopped(t *testing.T) {
	w := newWorld(t)
	path := w.file("cut.bin", w.content(600_000))
	half, stopHalf := w.halfSeed(path, "cut.bin")
	s := newStorage(t)
	c := w.client(s)
	d, err := c.Download(t.Context(), DownloadRequest{Source: "cut.bin"})
	if err != nil {
		t.Fatal(err)
	}
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.closed(c)
	select {
	case <-d.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the download does not end")
	}
	if !errors.Is(d.Err(), ErrInterrupted) {
		t.Errorf("ended with %v", d.Err())
	}
	d.Linger(t.Context(), time.Hour)
	w.stop(d)
	stopHalf()

	// It is as any other that was interrupted.
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	again := w.download(w.client(s), "cut.bin", "")
	w.same(path, again.Path)
	if got := again.Status().Downloaded; got > 600_000-half {
		t.Errorf("fetched %d bytes, only %d were missing", got, 600_000-half)
	}
	if _, err := os.Lstat(partPath(d.Path)); err == nil {
		t.Error("partial data is left")
	}
}
