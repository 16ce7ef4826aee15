package lab

import (
	"os"
	"testing"
)

func TestWhatAProcessUses(t *testing.T) {
	before := CPUTime()
	for CPUTime()-before < 50_000_000 { // 50 ms, five of its ticks
	}
	used, err := CPUTimeOf(os.Getpid())
	if err != nil || used < 40_000_000 || used > CPUTime()+1_000_000_000 {
		t.Errorf("used %v, %v; by another count %v", used, err, CPUTime())
	}
	resident, anonymous, err := MemoryOf(os.Getpid())
	if err != nil || anonymous == 0 || resident < anonymous {
		t.Errorf("%d KiB, %d of its own, %v", resident, anonymous, err)
	}
	if _, err := CPUTimeOf(-1); err == nil {
		t.Error("nobody has used something")
	}
	if _, _, err := MemoryOf(-1); err == nil {
		t.Error("nobody has memory")
	}
}
