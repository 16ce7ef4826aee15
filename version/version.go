// Package version answers one question: which program is this?
//
// String is made from a variable that a release build sets, else from what
// the Go toolchain notes in the binary. Only the programs (cmd/…) import it;
// they hand the string to whoever shows it.
package version

import (
	"runtime/debug"
	"strings"
)

// release is set by the linker in a release build:
// -ldflags "-X chordtorrent/version.release=v1.2.3".
var release string

// String gives one line for people: the release or module version, the
// revision it was built from ("dirty" when the tree had changes), and the Go
// version. It does not block.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = nil
	}
	return describe(release, info)
}

func describe(release string, info *debug.BuildInfo) string {
	name := release
	if info == nil {
		if name == "" {
			return "unknown"
		}
		return name
	}
	if name == "" {
		name = info.Main.Version
	}
	if name == "" || name == "(devel)" {
		name = "devel"
	}
	words := []string{name}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if rev := settings["vcs.revision"]; rev != "" {
		if len(rev) > 12 {
			rev = rev[:12]
		}
		// A pseudo-version carries the revision already.
		if !strings.Contains(name, rev) {
			words = append(words, rev)
		}
		if settings["vcs.modified"] == "true" && !strings.Contains(name, "dirty") {
			words = append(words, "dirty")
		}
	}
	return strings.Join(append(words, info.GoVersion), " ")
}
