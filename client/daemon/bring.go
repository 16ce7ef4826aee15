package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// bytesWithin is how long a publication waits for a command to begin to bring its bytes.
const bytesWithin = 30 * time.Second

// errNoBytes means that a publication is of bytes that nobody brings any more.
var errNoBytes = errors.New("its bytes came from a command that has ended")

// brought are the bytes of a publication on their way from a command.
type brought struct {
	from io.Reader
	stop func()        // ends a read that blocks
	done chan struct{} // closed when nobody reads them any more
}

// Bring gives a publication that was added with a Stream its bytes, and blocks until it has
// no more use for them; stop has to end a read of them that blocks. What came of it is told
// by the job.
func (d *Daemon) Bring(ctx context.Context, id string, from io.Reader, stop func()) error {
	var to chan<- brought
	var busy func() bool
	_, err := d.with(ctx, id, nil, func(j *job) error {
		if j.Stream == "" || j.bytes == nil {
			return fmt.Errorf("%w: job %s wants no bytes", client.ErrUsage, j.ID[:8])
		}
		bytes := j.bytes
		to, busy = bytes, func() bool { return j.bytes == bytes && (j.State == api.Queued || j.run != nil) }
		return nil
	})
	if err != nil {
		return err
	}
	b := brought{from: from, stop: stop, done: make(chan struct{})}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case to <- b:
			<-b.done
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			wanted := false
			if err := d.do(ctx, func() { wanted = busy() }); err != nil {
				return err
			}
			if !wanted {
				return nil // it has ended before its turn came
			}
		}
	}
}

// publishStream publishes what a command brings, or what it has brought in an earlier try.
func (d *Daemon) publishStream(ctx context.Context, r *run, s saved, replacing func(string)) (*client.Publication, error) {
	req := client.PublishRequest{Name: s.Name, AnySpace: s.AnySpace, OnProgress: r.onProgress, Replacing: replacing}
	rec, known, err := d.cfg.Storage.Record(client.Published, s.Name, "")
	if err != nil {
		return nil, err
	}
	if known && isTaken(rec, s) {
		req.Path, req.Copy = rec.Path, true
		return d.c.Publish(ctx, req)
	}
	if r.bytes == nil { // that command was for an earlier daemon
		return nil, noBytes()
	}
	late := time.NewTimer(bytesWithin)
	defer late.Stop()
	select {
	case b := <-r.bytes:
		defer close(b.done)
		defer context.AfterFunc(ctx, b.stop)()
		req.Stream = &client.Stream{Reader: b.from, From: s.Stream, Size: s.Expected}
		if s.Expected == 0 {
			req.Stream.Size = -1
		}
		return d.c.Publish(ctx, req)
	case <-ctx.Done():
		return nil, client.ErrInterrupted
	case <-late.C:
		return nil, noBytes()
	}
}

// isTaken says whether a record is of the copy that was made of the stream of a job.
func isTaken(rec client.Record, s saved) bool {
	return rec.Copy && rec.State != client.Interrupted && !rec.Started.Before(s.Added)
}

func noBytes() error {
	return &client.Hint{Err: errNoBytes, Next: "run that command again"}
}
