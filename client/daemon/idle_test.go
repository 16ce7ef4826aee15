package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"chordtorrent/client/daemontest"
)

// What is served while nobody wants it needs no goroutine and no descriptor, before and
// after a restart.
func TestServedFilesAreIdle(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	h.Publish(a, h.File("first", 1000)) // with which the engine begins
	descriptors := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	goroutines, open := runtime.NumGoroutine(), descriptors()
	const n = 100
	for i := range n {
		h.Publish(a, h.File(filepath.Join("many", fmt.Sprint(i)), 1000+i))
	}
	idle := func() {
		t.Helper()
		late := time.Now().Add(time.Minute)
		for runtime.NumGoroutine() > goroutines+n/10 || descriptors() > open+n/10 {
			if time.Now().After(late) {
				t.Fatalf("%d goroutines and %d descriptors became %d and %d", goroutines, open, runtime.NumGoroutine(), descriptors())
			}
			runtime.Gosched()
		}
	}
	idle()
	h.Close(a)
	a = h.Daemon("a")
	for serving := 0; serving < n+1; {
		st, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		serving = st.Serving
	}
	idle()
}
