// Package chordtorrent_test holds the rules about the repository itself.
package chordtorrent_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mayImport says for each room which other rooms it may import; a room covers
// the folders below it that have no line of their own. Tests of a room may
// reach further, its product code may not.
var mayImport = map[string][]string{
	"version":              {},
	"chord":                {},
	"chord/storetest":      {"chord"},
	"chord/secret":         {},
	"chord/rpc":            {"chord", "chord/secret"},
	"chord/discovery":      {"chord", "chord/secret"},
	"chord/sim":            {"chord", "chord/rpc"},
	"communicator":         {"chord", "chord/secret", "chord/rpc", "chord/discovery"},
	"communicator/picture": {"communicator"},
	"node/tracker":         {"communicator"},
	"node/store":           {"chord"},
	"node":                 {"chord", "chord/secret", "chord/rpc", "chord/discovery", "communicator", "communicator/picture", "node/store", "node/tracker"},
	"transfer":             {},
	"client":               {"client/trackers", "communicator", "transfer"},
	"client/trackers":      {"transfer"},
	"client/api":           {"client", "communicator"},
	"client/daemon":        {"client", "client/api", "communicator", "transfer"},
	"client/daemontest":    {"client", "client/api", "client/daemon", "communicator"},
	"client/web":           {"client", "client/api", "client/daemon", "communicator", "communicator/picture"},
	"scripts/lab":          {},
	"scripts/killtest":     {"scripts/lab", "communicator", "chord", "chord/secret", "chord/rpc"},
	"scripts/interop":      {"scripts/lab", "communicator", "transfer"},
	"scripts/daemonbench":  {"scripts/lab", "client/api", "communicator"},
	"scripts/swarmbench":   {"scripts/lab", "communicator", "transfer"},
	"scripts/wireshark":    {"scripts/lab"},
	"cmd/environment":      {},
	"cmd/manual":           {"version"},
	"cmd/start":            {},
	"cmd/chordsim":         {"version", "cmd/start", "chord/sim"},
	"cmd/chordnode":        {"version", "cmd/environment", "cmd/manual", "cmd/start", "node", "communicator", "chord", "chord/secret", "chord/rpc", "chord/discovery"},
	"cmd/btclient":         {"version", "cmd/environment", "cmd/manual", "cmd/start", "client", "client/api", "client/daemon", "client/web", "communicator", "transfer", "node"},
}

// coreForbids are imports that would give a sans-I/O core a clock to read, a
// socket, a disk, a log or a randomness of its own.
var coreForbids = map[string]bool{"net": true, "os": true, "log": true, "log/slog": true, "sync": true, "crypto/rand": true, "math/rand": true, "syscall": true}

// cores are the rooms that only think.
var cores = []string{"chord", "transfer/picker", "transfer/mse"}

type sourceFile struct {
	path, room, dir string
	imports         []string
	text            string
}

func productFiles(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := sourceFile{path: path, dir: filepath.ToSlash(filepath.Dir(path)), text: string(text)}
		f.room = roomOf(f.dir)
		for _, imp := range parsed.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, name)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no source found")
	}
	return files
}

// roomOf gives the room with the longest name that covers dir.
func roomOf(dir string) string {
	best := ""
	for room := range mayImport {
		if (dir == room || strings.HasPrefix(dir, room+"/")) && len(room) > len(best) {
			best = room
		}
	}
	return best
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, f := range productFiles(t) {
		if f.room == "" {
			t.Errorf("%s lies in no room of the house: give its folder a line in mayImport", f.path)
			continue
		}
		allowed := map[string]bool{f.room: true}
		for _, room := range mayImport[f.room] {
			allowed[room] = true
		}
		for _, name := range f.imports {
			own, ok := strings.CutPrefix(name, "chordtorrent/")
			if !ok {
				continue
			}
			if room := roomOf(own); !allowed[room] {
				t.Errorf("%s (room %s) imports %s: only %v are open to it", f.path, f.room, name, mayImport[f.room])
			}
		}
	}
}

func TestCoresOnlyThink(t *testing.T) {
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Tick|Sleep)\b|^\s*go\s+(func\b|\w+(\.\w+)*\()`)
	globalRand := regexp.MustCompile(`\brand\.(Int|IntN|Int64|Int64N|Uint32|Uint64|Float64|Perm|Shuffle|N)\(`)
	for _, f := range productFiles(t) {
		core := false
		for _, room := range cores {
			core = core || f.dir == room
		}
		if !core {
			continue
		}
		for _, name := range f.imports {
			if coreForbids[name] {
				t.Errorf("%s imports %s: a core has no clock, socket, disk, log or randomness of its own", f.path, name)
			}
		}
		for i, line := range strings.Split(f.text, "\n") {
			code, _, _ := strings.Cut(line, "//")
			if clock.MatchString(code) || globalRand.MatchString(code) {
				t.Errorf("%s:%d: %s: time and randomness come in from outside", f.path, i+1, strings.TrimSpace(line))
			}
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, f := range productFiles(t) {
		if lines := strings.Count(f.text, "\n"); lines > 600 {
			t.Errorf("%s has %d lines: split it by what changes it", f.path, lines)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]int{}
	for _, f := range productFiles(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.text, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, seen := documented[f.dir]; !seen {
			documented[f.dir] = 0
		}
		if parsed.Doc != nil {
			documented[f.dir]++
		}
	}
	for dir, docs := range documented {
		if docs != 1 {
			t.Errorf("%s has %d package comments, want one", dir, docs)
		}
	}
}

func TestTestsNeitherSkipNorSleep(t *testing.T) {
	never := regexp.MustCompile(`\.(Skip|Skipf|SkipNow)\(|time\.Sleep\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || path == "house_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if never.MatchString(line) {
				t.Errorf("%s:%d: %s: a test that cannot run is a failure, and waits for an event", path, i+1, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDocumentsNameWhatExists(t *testing.T) {
	path := regexp.MustCompile("`((?:chord|node|client|communicator|transfer|cmd|scripts|docs|version|\\.ci)/[A-Za-z0-9_./-]+)`")
	for _, doc := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range path.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s, which is not in the tree", doc, m[1])
			}
		}
	}
}
