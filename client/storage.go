package client

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// StorageEnv names the environment variable that says where Storage is when
// nobody names a folder.
const StorageEnv = "BTCLIENT_STORAGE"

// maxBase is the longest file name, in bytes, that the usual file systems take.
const maxBase = 255

// Storage is a client's folder: its identity, what it published and
// downloaded, and the .torrent of each. The package doc has the layout. Its
// methods may be called from any goroutine and by several processes at once.
type Storage struct {
	dir   string
	names names
}

// DefaultStorageDir is $BTCLIENT_STORAGE, else Storage in the user's data
// directory.
func DefaultStorageDir() (string, error) {
	if dir := os.Getenv(StorageEnv); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "chordtorrent", "Storage"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no Storage folder: neither --storage, $%s nor a home directory is set: %w", StorageEnv, err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "chordtorrent", "Storage"), nil
	}
	return filepath.Join(home, ".local", "share", "chordtorrent", "Storage"), nil
}

// OpenStorage makes dir a Storage folder, or opens the one that is there, and removes what
// processes that were killed have left half done in it. It waits for no lock.
func OpenStorage(dir string) (*Storage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("storage folder %s: %w", dir, err)
	}
	s := &Storage{dir: abs}
	for _, sub := range []string{"torrents/foreign", "files/.incoming", "records", "journals", "locks", "owners"} {
		if err := os.MkdirAll(filepath.Join(abs, filepath.FromSlash(sub)), 0o755); err != nil {
			return nil, fmt.Errorf("storage folder %s cannot be used: %w", abs, err)
		}
	}
	s.sweepIncoming()
	return s, nil
}

// Dir is the folder's absolute path.
func (s *Storage) Dir() string { return s.dir }

// FilesDir is where downloads go by default and where copies are kept.
func (s *Storage) FilesDir() string { return filepath.Join(s.dir, "files") }

// NodeDir is where a ring member inside this client (--embedded) keeps its data.
func (s *Storage) NodeDir() string { return filepath.Join(s.dir, "node") }

// RingCache is where the communicator remembers ring members of earlier runs.
func (s *Storage) RingCache() string { return filepath.Join(s.dir, "ring-members.json") }

// TorrentPath is where the .torrent of a name is kept.
func (s *Storage) TorrentPath(name string) string {
	return filepath.Join(s.dir, "torrents", fileNameFor(name, ".torrent"))
}

// TorrentPathOf is where the .torrent of a record is kept. That of what the ring does not
// know is kept by its info hash: names of strangers are not unique.
func (s *Storage) TorrentPathOf(r Record) string {
	if !r.Foreign {
		return s.TorrentPath(r.Name)
	}
	return filepath.Join(s.dir, "torrents", "foreign", r.InfoHash+".torrent")
}

func (s *Storage) journalPath(id string, infoHash [20]byte) string {
	return filepath.Join(s.dir, "journals", id+"-"+hexOf(infoHash)+".journal")
}

// saveTorrent keeps the .torrent of a record.
func (s *Storage) saveTorrent(r Record, metainfo []byte) error {
	return writeAtomically(s.TorrentPathOf(r), metainfo)
}

// LoadTorrent is the .torrent kept for a name; fs.ErrNotExist when there is none.
func (s *Storage) LoadTorrent(name string) ([]byte, error) {
	return os.ReadFile(s.TorrentPath(name))
}

// identity is the content of client.json.
type identity struct {
	ID uint64 `json:"id"`
}

// ClientID is the numeric id that a ring gave this Storage; 0 means none yet.
func (s *Storage) ClientID() (uint64, error) {
	path := filepath.Join(s.dir, "client.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading this client's id: %w", err)
	}
	var id identity
	if err := json.Unmarshal(b, &id); err != nil || id.ID == 0 {
		return 0, fmt.Errorf("%s is damaged: it holds no client id; remove it and the ring assigns a new one", path)
	}
	return id.ID, nil
}

// refreshClientID calls assign with the id that Storage has (0 on the first
// run) and keeps what it returns. Processes that start side by side for the
// first time end up with one id, as the first run is under a lock.
func (s *Storage) refreshClientID(ctx context.Context, assign func(ctx context.Context, have uint64) (uint64, error)) (uint64, error) {
	have, err := s.ClientID()
	if err != nil {
		return 0, err
	}
	if have == 0 {
		lock, err := WaitLock(ctx, filepath.Join(s.dir, "locks", "client-id.lock"))
		if err != nil {
			return 0, err
		}
		defer lock.Release()
		if have, err = s.ClientID(); err != nil {
			return 0, err
		}
	}
	// An id may come with an error: it is ours, only the address was not taken.
	id, err := assign(ctx, have)
	if id == 0 || id == have {
		return have, err
	}
	b, jsonErr := json.Marshal(identity{ID: id})
	if jsonErr != nil {
		return 0, jsonErr
	}
	return id, errors.Join(err, writeAtomically(filepath.Join(s.dir, "client.json"), append(b, '\n')))
}

// fileNameFor is the name itself with the extension, or, where that is too
// long for a file system, a truncated one with the name's SHA-1. A name that
// looks like such a replacement is replaced too, so that no two names share a
// file.
func fileNameFor(name, ext string) string {
	if len(name)+len(ext) <= maxBase && !replaced(name) {
		return name + ext
	}
	sum := sha1.Sum([]byte(name))
	return cutUTF8(name, maxBase-len(ext)-41) + "~" + hex.EncodeToString(sum[:]) + ext
}

func replaced(name string) bool {
	i := strings.LastIndexByte(name, '~')
	if i < 0 || len(name)-i-1 != 40 {
		return false
	}
	_, err := hex.DecodeString(name[i+1:])
	return err == nil
}

// cutUTF8 is the longest prefix of s of at most n bytes that does not end
// inside a character.
func cutUTF8(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
