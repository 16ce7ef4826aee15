package api

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"chordtorrent/client"
)

func TestWhatFailsOnAFullDiskSaysWhatToDo(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := fmt.Errorf("taking %q: %w", "x", &fs.PathError{Op: "write", Path: "/s/locks/x.lock", Err: full})
		p := ProblemOf(err)
		if p.Code != CodeFailed || !strings.Contains(p.Error, "/s/locks/x.lock") || !strings.Contains(p.Hint, "make room") {
			t.Errorf("%+v", p)
		}
		// Who knows more says that.
		if p := ProblemOf(&client.Hint{Err: err, Next: "elsewhere"}); p.Hint != "elsewhere" {
			t.Errorf("%+v", p)
		}
	}
	if p := ProblemOf(syscall.EIO); p.Hint != "" {
		t.Errorf("of another trouble: %+v", p)
	}
}
