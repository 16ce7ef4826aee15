package communicator

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"chordtorrent/chord"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{
		"a", "a file.iso", "ünïcödé ☃", "all_files/3"[:9], "x.torrent", "...", "-rf", strings.Repeat("n", 255), `back\slash`,
	} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for bad, why := range map[string]string{
		"":                       "empty",
		".":                      "directory",
		"..":                     "directory",
		"a/b":                    "slash",
		"a\x00b":                 "control",
		"a\nb":                   "control",
		"a\u0085b":               "control",
		"\xff":                   "UTF-8",
		strings.Repeat("n", 256): "256 bytes",
	} {
		err := CheckName(bad)
		if !errors.Is(err, ErrName) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: error %v, want one about %s", bad, err, why)
		}
	}
}

func TestKindsNeverMeetAndKnowTheirClass(t *testing.T) {
	name := "3f"
	ih := [20]byte{0x3f}
	keys := map[chord.Key]chord.Class{
		torrentKey(name):    chord.Hard,
		filesKey(0x3f):      chord.Hard,
		infoHashKey(ih):     chord.Hard,
		clientKey(3):        chord.Hard,
		peersKey(name, ih):  chord.Soft,
		peersKey("", ih):    chord.Soft,
		torrentKey("x"):     chord.Hard,
		peersKey("x", ih):   chord.Soft,
		torrentKey("peers"): chord.Hard,
	}
	if len(keys) != 9 {
		t.Fatalf("only %d different keys", len(keys))
	}
	for k, class := range keys {
		if k.Class() != class {
			t.Errorf("%q has class %d", k, k.Class())
		}
	}
}

func TestTheLongestNamesFitTheRingsLimits(t *testing.T) {
	name := strings.Repeat("n", maxNameBytes)
	if n := len(torrentKey(name)); n > chord.MaxKeyBytes {
		t.Errorf("torrent key of %d bytes", n)
	}
	if len(name) > chord.MaxFieldBytes {
		t.Errorf("listing field of %d bytes", len(name))
	}
	head := 256 // a header, generously, with its name
	if n := chunksPerPut*(chunkBytes+chunkNameSize) + head; n > chord.MaxPutBytes {
		t.Errorf("a full update has %d bytes", n)
	}
	if chunkBytes > chord.MaxValueBytes {
		t.Error("a chunk is larger than a value")
	}
}

func TestChunkNamesSortByNumber(t *testing.T) {
	set := chunkSet{infoHash: [20]byte{1}, tag: [8]byte{2}}
	var names []string
	for i := range chunkCount(maxMetainfo) {
		names = append(names, set.chunk(i))
	}
	if !slices.IsSorted(names) || len(names[0]) != chunkNameSize {
		t.Fatal("chunks would be read out of order")
	}
}

func TestSetFieldsReadBack(t *testing.T) {
	for _, tag := range []string{"tagtagta", "tagtagtr"} {
		set := chunkSet{infoHash: [20]byte{1}, tag: [8]byte([]byte(tag))}
		if back, retired, ok := parseSetField(set.field()); !ok || retired || back != set {
			t.Errorf("%q reads back as %v, %v, %v", set.field(), back, retired, ok)
		}
		if back, retired, ok := parseSetField(set.retired()); !ok || !retired || back != set {
			t.Errorf("%q reads back as %v, %v, %v", set.retired(), back, retired, ok)
		}
	}
	for _, bad := range []string{"", "s", "h" + strings.Repeat("x", 28), "s" + strings.Repeat("x", 30), "s" + strings.Repeat("x", 29)} {
		if _, _, ok := parseSetField(bad); ok {
			t.Errorf("%q passes for a set", bad)
		}
	}
}
