package client

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asDevices has files whose names end in .dev stand for block devices.
func asDevices(t *testing.T) {
	real := isDevice
	isDevice = func(info fs.FileInfo) bool { return strings.HasSuffix(info.Name(), ".dev") }
	t.Cleanup(func() { isDevice = real })
}

// device makes one of so many bytes that are all 0xee.
func (w *world) device(name string, size int) string {
	return w.file(name+".dev", strings.Repeat("\xee", size))
}

func (w *world) into(c *Client, source, target string) *Download {
	w.t.Helper()
	d, err := c.DownloadInto(w.t.Context(), DownloadRequest{Source: source, Target: target})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(d) })
	return d
}

// holds checks that a device begins with content, and has its old bytes behind that.
func (w *world) holds(device, content string, size int) {
	w.t.Helper()
	b, err := os.ReadFile(device)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(b) != size || string(b[:len(content)]) != content {
		w.t.Errorf("%s has not what was downloaded (%d bytes of %d)", device, len(b), size)
	}
	if rest := b[len(content):]; !bytes.Equal(rest, bytes.Repeat([]byte{0xee}, len(rest))) {
		w.t.Errorf("what was behind the download on %s has changed", device)
	}
}

func TestADeviceIsWrittenInPlace(t *testing.T) {
	asDevices(t)
	w := newWorld(t)
	content := w.content(300_000) + strings.Repeat("\x00", 200_000) + w.content(100_001)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("image", content)})
	s := newStorage(t)
	device := w.device("disk", 700_000)
	d := w.into(w.client(s), p.Name, device)
	w.complete(d)
	w.holds(device, content, 700_000)
	if d.Path != device {
		t.Errorf("the path is %q", d.Path)
	}
	// It is served as long as it runs, and not remembered.
	target := filepath.Join(w.dir, "other")
	w.stop(p)
	other := w.start(w.client(newStorage(t)), p.Name, target)
	w.complete(other)
	w.same(target, filepath.Join(w.dir, "src", "image"))
	w.stop(d)
	if all, err := s.Records(); err != nil || len(all) > 0 {
		t.Errorf("remembered: %v, %v", all, err)
	}
	if journals, err := os.ReadDir(filepath.Join(s.Dir(), "journals")); err != nil || len(journals) > 0 {
		t.Errorf("journals are left: %v, %v", journals, err)
	}
}

func TestADeviceIsContinued(t *testing.T) {
	for name, c := range map[string]struct {
		between func(t *testing.T, device string, d *Download, w *world)
		refetch bool
	}{
		"after an orderly end": {func(t *testing.T, device string, d *Download, w *world) { w.stop(d) }, false},
		"after a crash": {func(t *testing.T, device string, d *Download, w *world) {
			j := d.takeJournal() // as it is when a process is killed
			w.stop(d)
			j.Close()
		}, false},
		"that was written to meanwhile": {func(t *testing.T, device string, d *Download, w *world) {
			w.stop(d)
			f, err := os.OpenFile(device, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("a new file system"), 10)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			asDevices(t)
			w := newWorld(t)
			content := w.content(600_000)
			path := w.file("image", content)
			half, end := w.halfSeed(path, "image")
			s, device := newStorage(t), w.device("disk", 600_000)
			first := w.client(s)
			d := w.into(first, "image", device)
			w.until("half of it", func() bool { return d.Status().BytesDone == half })
			c.between(t, device, d, w)
			first.Close()
			end()
			w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
			again := w.into(w.client(s), "image", device)
			w.complete(again)
			w.holds(device, content, 600_000)
			missing := int64(len(content)) - half
			if c.refetch {
				missing += 16 << 10 // the piece that was written over
			}
			if got := again.Status().Downloaded; got != missing {
				t.Errorf("%d bytes were fetched, %d were missing", got, missing)
			}
		})
	}
}

func TestADeviceThatIsTooSmallIsNotTouched(t *testing.T) {
	asDevices(t)
	w := newWorld(t)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("image", w.content(100_000))})
	device := w.device("disk", 99_999)
	_, err := w.client(newStorage(t)).DownloadInto(t.Context(), DownloadRequest{Source: p.Name, Target: device, Force: true})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "has 99999 bytes, and \"image\" needs 100000") {
		t.Errorf("got %v", err)
	}
	w.holds(device, "", 99_999)
}

func TestADeviceIsOfOneDownload(t *testing.T) {
	asDevices(t)
	w := newWorld(t)
	path := w.file("image", w.content(600_000))
	w.halfSeed(path, "image")
	s, device := newStorage(t), w.device("disk", 600_000)
	c := w.client(s)
	w.into(c, "image", device)
	var busy *ErrBusy
	if _, err := c.DownloadInto(t.Context(), DownloadRequest{Source: "image", Target: device}); !errors.As(err, &busy) {
		t.Errorf("got %v", err)
	}
}

func TestADeviceIsFilledFromACopyThatIsHere(t *testing.T) {
	asDevices(t)
	w := newWorld(t)
	content := w.content(300_000)
	s := newStorage(t)
	p := w.publish(w.client(s), PublishRequest{Path: w.file("image", content)})
	device := w.device("disk", 300_000)
	d := w.into(w.client(s), p.Name, device)
	w.complete(d)
	w.holds(device, content, 300_000)
	if got := d.Status().Downloaded; got > 0 {
		t.Errorf("%d bytes were fetched", got)
	}
}

// slowly checks that what it is given comes in order.
type slowly struct {
	got  bytes.Buffer
	fail error
	at   int
}

func (s *slowly) Write(p []byte) (int, error) {
	if s.fail != nil && s.got.Len() >= s.at {
		return 0, s.fail
	}
	return s.got.Write(p)
}

func TestAStreamComesInOrder(t *testing.T) {
	w := newWorld(t)
	content := w.content(500_000) + strings.Repeat("\x00", 100_000)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("image", content)})
	s := newStorage(t)
	d := w.into(w.client(s), p.Name, "-")
	var out slowly
	if err := d.WriteTo(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if out.got.String() != content {
		t.Error("something else came out")
	}
	w.complete(d)
	broken := slowly{fail: errors.New("broken pipe"), at: 100_000}
	if err := d.WriteTo(t.Context(), &broken); err == nil || !strings.Contains(err.Error(), "after 114688 of 600000 bytes") {
		t.Errorf("got %v", err)
	}
	w.stop(d)
	if left, err := os.ReadDir(s.incomingDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAStreamIsRightWhateverTheDiskDoes(t *testing.T) {
	w := newWorld(t)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("image", w.content(100_000))})
	d := w.into(w.client(newStorage(t)), p.Name, "-")
	w.complete(d)
	if _, err := d.sink.temp.WriteAt([]byte("rot"), 50_000); err != nil {
		t.Fatal(err)
	}
	var out slowly
	if err := d.WriteTo(t.Context(), &out); !errors.Is(err, ErrMismatch) {
		t.Errorf("got %v", err)
	}
	if out.got.Len() != 49152 {
		t.Errorf("%d bytes came out, before the first wrong piece are 49152", out.got.Len())
	}
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.halfSeed(w.file("image", w.content(600_000)), "image")
	d := w.into(w.client(newStorage(t)), "image", "-")
	ctx, cancel := context.WithCancel(t.Context())
	var out slowly
	done := make(chan error)
	go func() { done <- d.WriteTo(ctx, &out) }()
	cancel()
	if err := <-done; !errors.Is(err, ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestADirectoryGoesIntoNoSink(t *testing.T) {
	w := newWorld(t)
	w.file("dir/a", "a")
	w.file("dir/b", "b")
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: filepath.Join(w.dir, "src", "dir")})
	_, err := w.client(newStorage(t)).DownloadInto(t.Context(), DownloadRequest{Source: p.Name, Target: "-"})
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "several files (a, b)") {
		t.Errorf("got %v", err)
	}
}
