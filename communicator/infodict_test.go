package communicator

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// metainfoFor makes a .torrent of its own for each seed, of about so many
// bytes, by the field's own code.
func metainfoFor(t testing.TB, seed byte, size int) (b []byte, ih [20]byte) {
	t.Helper()
	info := metainfo.Info{Name: "content", PieceLength: 1 << 14, Length: 1 << 14, Pieces: bytes.Repeat([]byte{seed}, max(size/20, 1)*20)}
	raw, err := bencode.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	mi := metainfo.MetaInfo{InfoBytes: raw, Announce: "http://tracker/announce", CreationDate: 1700000000}
	var out bytes.Buffer
	if err := mi.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), mi.HashInfoBytes()
}

func TestInfoHashIsTheOneOthersCompute(t *testing.T) {
	b, want := metainfoFor(t, 1, 1000)
	if got, err := infoHashOf(b); err != nil || got != want {
		t.Fatalf("info hash %x, %v; want %x", got, err, want)
	}
}

func TestInfoHashOfWhatIsNoTorrent(t *testing.T) {
	deep := "d4:info" + strings.Repeat("l", 1<<20)
	for _, bad := range []string{
		"", "x", "de", "d4:infoi1ee", "d4:infode", "d4:infodee ", "d4:infodxee", "d4:info", "d9:info", "d4:infodei1ee",
		"d4:infode4:infodee", "d4:infod1:ai--------------------------------1eee", "d4:infod1:a99999999999999999999999:ee",
		"d4:infod-1:ee", "i5e", "le", deep,
	} {
		if _, err := infoHashOf([]byte(bad)); !errors.Is(err, ErrMismatch) {
			t.Errorf("%.40q: error %v", bad, err)
		}
	}
	if _, err := infoHashOf([]byte("d4:infodee")); err != nil {
		t.Errorf("an empty info dictionary: %v", err)
	}
}

func FuzzInfoHash(f *testing.F) {
	whole, _ := metainfoFor(f, 1, 40)
	f.Add(whole)
	f.Add([]byte("d4:infodee"))
	f.Add([]byte("d1:ali1ei-2ee4:infod1:b0:1:cdeee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := infoHashOf(b)
		if err != nil {
			return
		}
		mi, err := metainfo.Load(bytes.NewReader(b))
		if err != nil {
			return // ours only looks for the dictionary; the client parses it
		}
		if want := mi.HashInfoBytes(); got != want {
			t.Fatalf("info hash %x, others compute %x", got, want)
		}
	})
}
