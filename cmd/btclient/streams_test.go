package main

import (
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// feed FIFO FILE: a named pipe that brings FILE and then nothing, as of a writer that
// stands still until the script ends.
func cmdFeed(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR|syscall.O_NONBLOCK, 0)
	ts.Check(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = f.Write(content) // as far as it is read
	}()
	ts.Defer(func() {
		f.Close()
		<-ended
	})
}

// stuck FIFO: a named pipe with a reader that reads nothing, until the script ends.
func cmdStuck(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	ts.Check(err)
	ts.Defer(func() { f.Close() })
}
