package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"chordtorrent/client"
)

// reopened gives another opening of what a process was given as standard input or output,
// of which reads and writes end with ctx. To set the one that it was given to non-blocking
// would change it for all who share it. A file, which does not block, and what cannot be
// opened again, such as a socket, is taken as it is. close lets go of it.
func reopened(ctx context.Context, f *os.File, flags int) (_ *os.File, close func()) {
	info, err := f.Stat()
	if err != nil || info.Mode().IsRegular() || info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0 {
		return f, func() {}
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		return f, func() {}
	}
	return again, endWith(ctx, again)
}

// endWith has what waits for a file end with ctx, where the system can do that.
func endWith(ctx context.Context, f *os.File) (close func()) {
	stop := context.AfterFunc(ctx, func() {
		_ = f.SetDeadline(time.Unix(1, 0)) // what cannot have one does not block
	})
	return func() {
		stop()
		f.Close()
	}
}

// isStream says whether publish is to read something as a stream: standard input for "-", a
// block device, or a named pipe.
func isStream(path string) bool {
	info, err := os.Stat(path)
	return path == "-" || client.IsDevice(path) || err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// streamOf opens what isStream tells of; size is how much is expected of a pipe.
func streamOf(ctx context.Context, path string, size int64, force bool) (_ *client.Stream, close func(), err error) {
	if path == "-" {
		f, close := reopened(ctx, os.Stdin, os.O_RDONLY)
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && size < 0 {
			size = info.Size()
		}
		return &client.Stream{Reader: f, From: "standard input", Size: size}, close, nil
	}
	if client.IsDevice(path) {
		s, closer, err := client.OpenDevice(path, force)
		if err != nil {
			return nil, nil, err
		}
		return s, func() { closer.Close() }, nil
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, nil, err
	case info.IsDir():
		return nil, nil, usageError(fmt.Errorf("%s is a directory: what another machine's daemon is brought is one file, a device or a pipe", path), "btclient publish")
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		return &client.Stream{Reader: f, From: path, Size: info.Size()}, func() { f.Close() }, err
	}
	f, err := openWaiting(ctx, path, os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	return &client.Stream{Reader: f, From: path, Size: size}, endWith(ctx, f), nil
}

// openWaiting opens a named pipe, for which its other end is waited for. That cannot be
// ended: when ctx ends first it goes on until the process does.
func openWaiting(ctx context.Context, path string, flags int) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, flags, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, client.ErrInterrupted
	}
}

// beginsAnew says so of what was interrupted and cannot be gone on with.
func beginsAnew(err error) error {
	if !errors.Is(err, client.ErrInterrupted) {
		return err
	}
	return &client.Hint{Err: err, Next: "nothing of it is kept: the same command begins anew"}
}
