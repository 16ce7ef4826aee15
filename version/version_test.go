package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	built := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: module}, Settings: settings}
	}
	rev := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, c := range []struct {
		name, release string
		info          *debug.BuildInfo
		want          string
	}{
		{"release", "v1.2.3", built("(devel)", rev), "v1.2.3 0123456789ab go1.26"},
		{"working tree", "", built("(devel)", rev, dirty), "devel 0123456789ab dirty go1.26"},
		{"pseudo-version", "", built("v0.0.0-20260101000000-0123456789ab+dirty", rev, dirty), "v0.0.0-20260101000000-0123456789ab+dirty go1.26"},
		{"no version control", "", built(""), "devel go1.26"},
		{"no build info", "", nil, "unknown"},
		{"no build info in a release", "v1", nil, "v1"},
	} {
		if got := describe(c.release, c.info); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !strings.Contains(String(), "go1") {
		t.Errorf("String() = %q", String())
	}
}
