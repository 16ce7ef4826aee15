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

func TestAMachineIsBusyWhileSomebodyComputes(t *testing.T) {
	before, err := MachineUse()
	if err != nil {
		t.Fatal(err)
	}
	for began := CPUTime(); CPUTime()-began < 100_000_000; {
	}
	after, err := MachineUse()
	if got := after.Since(before); err != nil || got <= 0 || got > 1 {
		t.Errorf("busy for %v of the time, %v", got, err)
	}
	if got := before.Since(before); got != 0 {
		t.Errorf("in no time it was busy for %v", got)
	}
	idle := Use{busy: before.busy, all: before.all + 100}
	if got := idle.Since(before); got != 0 {
		t.Errorf("while it did nothing it was busy for %v", got)
	}
}
