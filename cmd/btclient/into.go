package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"chordtorrent/client"
)

// kindOfTarget is client.KindOfTarget; what is standard output by another name is "-".
func kindOfTarget(target string) (string, client.TargetKind) {
	kind := client.KindOfTarget(target)
	if kind == client.ToStream && target != "-" {
		at, err := os.Stat(target)
		out, outErr := os.Stdout.Stat()
		if err == nil && outErr == nil && os.SameFile(at, out) {
			target = "-"
		}
	}
	return target, kind
}

// downloadInto downloads to a device, or a stream. A daemon does not do that: it may not
// write to the one, and cannot to the other.
func (a *app) downloadInto(ctx context.Context, c *client.Client, req client.DownloadRequest, kind client.TargetKind, hook string, stay staying) error {
	if req.Target != "-" {
		abs, err := filepath.Abs(req.Target)
		if err != nil {
			return err
		}
		req.Target = abs
	}
	var out *os.File
	if kind == client.ToStream {
		var closeOut func()
		var err error
		if out, closeOut, err = openOut(ctx, req.Target); err != nil {
			return err
		}
		defer closeOut()
	}
	req.OnProgress = a.stages(req.Source)
	d, err := c.DownloadInto(ctx, req)
	a.meterStop()
	if err != nil {
		return err
	}
	defer a.leave(d)
	if out == nil {
		if err = a.await(ctx, d, req.From != nil); errors.Is(err, errNewer) {
			err = &client.Hint{Err: fmt.Errorf("of %q there is another version by now", d.Name), Next: "run the same command again: it writes that"}
		}
	} else if err = a.pour(ctx, d, out); err == nil {
		err = closeAll(out, req.Target) // whoever reads it need not wait for what follows
	} else {
		err = beginsAnew(err)
	}
	if err != nil {
		return err
	}
	return a.completed(ctx, d, hook, stay)
}

// openOut opens where a stream goes.
func openOut(ctx context.Context, target string) (_ *os.File, closeOut func(), err error) {
	if target == "-" {
		f, closeOut := reopened(ctx, os.Stdout, os.O_WRONLY)
		return f, closeOut, nil
	}
	f, err := openWaiting(ctx, target, os.O_WRONLY)
	if err != nil {
		return nil, nil, err
	}
	return f, endWith(ctx, f), nil
}

// closeAll closes what a stream went to.
func closeAll(f *os.File, target string) error {
	err := f.Close()
	if target == "-" && f != os.Stdout {
		err = errors.Join(err, os.Stdout.Close())
	}
	if err != nil {
		return fmt.Errorf("writing to %s: %w", outName(target), err)
	}
	return nil
}

func outName(target string) string {
	if target == "-" {
		return "standard output"
	}
	return target
}

// counting counts what is written.
type counting struct {
	w io.Writer
	n atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// pour writes a download to out while it shows how far it is, until all is written.
func (a *app) pour(ctx context.Context, d *client.Download, out *os.File) error {
	pouring, end := context.WithCancelCause(ctx)
	defer end(nil)
	poured := make(chan error, 1)
	written := &counting{w: out}
	go func() {
		err := d.WriteTo(pouring, written)
		if err != nil {
			end(err) // and with it the waiting for the rest
		}
		poured <- err
	}()
	waitErr := a.await(pouring, d, false)
	if waitErr != nil {
		end(waitErr)
	} else { // what is left is for the reader to take
		a.startMeter(d.Name, func() sample {
			return sample{state: "writing", done: written.n.Load(), total: d.Bytes, rate: -1}
		})
		defer a.meterStop()
	}
	switch err := <-poured; {
	case ctx.Err() != nil && waitErr != nil:
		return waitErr
	case errors.Is(err, syscall.EPIPE):
		return &client.Hint{Err: fmt.Errorf("writing to %s: whoever reads it has closed it, %w", outName(d.Path), err),
			Next: "see why the reader ended; then run the same command again: it begins anew"}
	case err != nil && !errors.Is(err, client.ErrInterrupted):
		return fmt.Errorf("writing to %s: %w", outName(d.Path), err)
	case err != nil && ctx.Err() != nil:
		return err
	}
	return waitErr
}
