package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"chordtorrent/chord"
)

// ErrClosed is what operations on a closed DB end with.
var ErrClosed = errors.New("database is closed")

// asideSuffix follows the name of a database that is damaged and set aside.
const asideSuffix = ".damaged-"

// formatVersion is the layout this program writes; a file of a newer one is
// refused rather than misread.
const formatVersion = 1

var (
	keysBucket   = []byte("keys")
	fieldsBucket = []byte("fields")
	metaBucket   = []byte("meta")
	formatRow    = []byte("format")
	stateRow     = []byte("state")
)

// DB is what one ring member holds. All methods may be called from any
// goroutine.
type DB struct {
	path string // of the database file
	log  *slog.Logger
	opts options
	dir  *Dir // held by Open, nil when Dir.Open was used
	bolt *bbolt.DB

	keys, bytes atomic.Int64 // of hard maps
	damaged     atomic.Int64 // entries found damaged since opening
	suspect     bool         // the file was damaged when it was opened
	lastReport  atomic.Int64 // unix seconds of the last log line about damage

	soft    *softMaps
	digests digests

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []request // hard, waiting for the next commit
	confirm []request // soft, applied, to be confirmed
	closing bool
	state   chord.State
	broken  error // set once when a write faulted: bbolt's own locks are in doubt then

	stop    chan struct{}
	workers sync.WaitGroup
	commits commitStats
}

// request is what one Apply asks for.
type request struct {
	ops  []chord.StoreOp
	done func(token uint64, err error)
}

// options are mostly for tests; zero values mean the defaults.
type options struct {
	log           *slog.Logger
	snapshotEvery time.Duration    // default 30 s
	maxFileBytes  int              // a full disk, as far as bbolt is concerned
	now           func() time.Time // decides which soft entries have expired at loading
	afterCommit   func()           // called by the committing goroutine between fsync and confirmation

	expected bool // a database should be there; not only for tests
}

// Open takes the directory (see LockDir), checks and opens its database and
// loads the soft keys. A damaged database is set aside with an error in the
// log, and an empty one begun: State then says that others must fill it.
func Open(path string, log *slog.Logger) (*DB, error) {
	dir, err := LockDir(path)
	if err != nil {
		return nil, err
	}
	db, err := dir.Open(log)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	db.dir = dir
	return db, nil
}

func (d *Dir) open(opts options) (*DB, error) {
	if opts.log == nil {
		opts.log = slog.New(slog.DiscardHandler)
	}
	if opts.snapshotEvery == 0 {
		opts.snapshotEvery = 30 * time.Second
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	db := &DB{
		path: filepath.Join(d.Path, "ring.db"),
		log:  opts.log,
		opts: opts,
		soft: newSoftMaps(),
		stop: make(chan struct{}),
	}
	db.wake = sync.NewCond(&db.mu)
	if err := db.openChecked(); err != nil {
		return nil, err
	}
	n, err := db.soft.load(db.snapshotPath(), opts.now().UnixMilli())
	if err != nil {
		// Soft keys are given again by whoever they are about.
		db.log.Warn("snapshot of soft keys is damaged, rest ignored", "path", db.snapshotPath(), "entries", n, "err", err)
	}
	db.workers.Add(3)
	go db.commitLoop()
	go db.confirmLoop()
	go db.snapshotLoop()
	return db, nil
}

// openChecked opens the bbolt file, or sets it aside and begins an empty one.
func (d *DB) openChecked() error {
	bad, err := checkFile(d.path)
	if err == nil {
		err = d.openBolt()
	}
	switch {
	case err == nil && bad > 0:
		d.suspect = true
		d.damaged.Add(int64(bad))
		d.log.Error("database holds damaged entries: they count as absent until other members have repaired them, and without others no write is acknowledged", "path", d.path, "entries", bad)
		return nil
	case !errors.Is(err, ErrDamaged):
		return err
	}
	aside := fmt.Sprintf("%s%s%s", d.path, asideSuffix, d.opts.now().UTC().Format("20060102T150405.000"))
	if renameErr := os.Rename(d.path, aside); renameErr != nil {
		return fmt.Errorf("%w; it could not be set aside: %w", err, renameErr)
	}
	d.suspect = true
	d.log.Error("database is damaged: it is set aside, and an empty one waits for the ring to fill it; if there is no other member, remove the data directory to begin anew",
		"path", d.path, "aside", aside, "err", err)
	return d.openBolt()
}

// isSuccessor reports whether a new database takes the place of one that is
// gone. It asks for what lies in the directory, so that no crash between two
// steps can make a member believe that nothing was ever stored in it.
func (d *DB) isSuccessor() bool {
	if d.opts.expected {
		return true
	}
	files, err := os.ReadDir(filepath.Dir(d.path))
	if err != nil {
		return false // and nothing can be opened here
	}
	return slices.ContainsFunc(files, func(f os.DirEntry) bool {
		return strings.HasPrefix(f.Name(), filepath.Base(d.path)+asideSuffix)
	})
}

func (d *DB) openBolt() error {
	var opened *bbolt.DB
	err := guard(d.path, func() (err error) {
		opened, err = bbolt.Open(d.path, 0o600, &bbolt.Options{
			Timeout:        time.Second, // the directory's lock is ours: nobody else should hold it
			NoFreelistSync: true,        // one page less per commit; the free list is found again at opening
			FreelistType:   bbolt.FreelistMapType,
			MaxSize:        d.opts.maxFileBytes,
		})
		if err != nil {
			return fmt.Errorf("open database %s: %w", d.path, err)
		}
		if err := opened.Update(d.prepare); err != nil {
			return err
		}
		return opened.View(d.survey)
	})
	if err != nil {
		if opened != nil {
			_ = guard(d.path, opened.Close) // the error to tell is the first
		}
		return err
	}
	d.bolt = opened
	return syncDir(filepath.Dir(d.path))
}

// prepare makes the buckets of a new file and refuses a newer layout.
func (d *DB) prepare(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return fmt.Errorf("prepare database %s: %w", d.path, err)
	}
	for _, name := range [][]byte{keysBucket, fieldsBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("prepare database %s: %w", d.path, err)
		}
	}
	row := meta.Get(formatRow)
	if row == nil {
		if d.isSuccessor() {
			d.log.Warn("a new database takes the place of one that is gone: it vouches for nothing until other members have filled it", "path", d.path)
			state, err := encodeState(chord.State{Ring: lostRing})
			if err != nil {
				return err
			}
			if err := meta.Put(stateRow, state); err != nil {
				return err
			}
		}
		return meta.Put(formatRow, encodeMeta(formatRow, binary.BigEndian.AppendUint32(nil, formatVersion)))
	}
	format, ok := decodeMeta(formatRow, row)
	if !ok || len(format) != 4 {
		return &faultError{path: d.path, cause: "its format number does not match its checksum"}
	}
	if v := binary.BigEndian.Uint32(format); v != formatVersion {
		return fmt.Errorf("database %s has format %d, this program knows format %d: run the program that wrote it, or choose another --data-dir or --data-pool", d.path, v, formatVersion)
	}
	return nil
}

// survey counts what a just opened file holds and loads the member's state.
func (d *DB) survey(tx *bbolt.Tx) error {
	d.keys.Store(0)
	d.bytes.Store(0)
	keys := tx.Bucket(keysBucket).Cursor()
	for k, _ := keys.First(); k != nil; k, _ = keys.Next() {
		d.keys.Add(1)
	}
	fields := tx.Bucket(fieldsBucket).Cursor()
	for k, v := fields.First(); k != nil; k, v = fields.Next() {
		d.bytes.Add(valueBytes(v))
	}
	if row := tx.Bucket(metaBucket).Get(stateRow); row != nil {
		st, ok := decodeState(row)
		if !ok {
			d.damaged.Add(1)
			d.suspect = true
			d.log.Error("the member's saved state is damaged, it begins anew", "path", d.path)
		}
		d.state = st
	}
	d.digests.plant(tx)
	return nil
}

// lostRing is the least State.Ring of a member that has lost something. What
// its ring was is not known, only that it is not one in which nothing was ever
// stored: so it must hear of others before it vouches for anything.
const lostRing = 2

// State is the member's own state as last committed. After damage, or when a
// former database is gone, it has no Arcs and its Ring is at least 2: the
// member cannot vouch for any range, not even when it finds itself alone,
// until it has been repaired.
func (d *DB) State() chord.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := d.state
	if d.suspect {
		st.Ring, st.Arcs = max(st.Ring, lostRing), nil
	}
	return st
}

// Damaged tells how many damaged entries were met since opening.
func (d *DB) Damaged() int64 { return d.damaged.Load() }

// Close commits what was applied so far, writes the snapshot of the soft keys
// and closes the files. Applies that come later end with ErrClosed.
func (d *DB) Close() error { return d.close(true) }

// Abandon closes as a crash would: what no commit has begun on is dropped,
// and no snapshot is written.
func (d *DB) Abandon() error { return d.close(false) }

func (d *DB) close(orderly bool) error {
	d.mu.Lock()
	if d.closing {
		d.mu.Unlock()
		return nil
	}
	d.closing = true
	var dropped []request
	if !orderly {
		dropped, d.queue = d.queue, nil
	}
	d.wake.Broadcast()
	d.mu.Unlock()
	close(d.stop)
	d.workers.Wait()
	for _, r := range dropped {
		r.confirm(ErrClosed)
	}
	var errs []error
	if orderly {
		errs = append(errs, d.soft.save(d.snapshotPath()))
	}
	// A broken bbolt would wait for its own locks for ever.
	if d.brokenErr() == nil {
		errs = append(errs, guard(d.path, d.bolt.Close))
	}
	if d.dir != nil {
		errs = append(errs, d.dir.Close())
	}
	return errors.Join(errs...)
}

func (d *DB) brokenErr() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.broken
}

func (d *DB) snapshotPath() string { return filepath.Join(filepath.Dir(d.path), "soft.snap") }

// snapshotLoop writes the soft keys down every so often.
func (d *DB) snapshotLoop() {
	defer d.workers.Done()
	t := time.NewTicker(d.opts.snapshotEvery)
	defer t.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-t.C:
			if err := d.soft.save(d.snapshotPath()); err != nil {
				d.log.Warn("cannot snapshot soft keys", "err", err)
			}
		}
	}
}
