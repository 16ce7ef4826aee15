package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"chordtorrent/transfer/poller"
)

// Errors of the engine; those of the system come wrapped.
var (
	ErrClosed  = errors.New("transfer: engine is closed")
	ErrKnown   = errors.New("transfer: torrent was added already")
	ErrStopped = errors.New("transfer: torrent was stopped")
	// ErrWrongData: what the only source of a torrent sent is not what the hashes say.
	ErrWrongData = errors.New("wrong data")
)

// Config is what an Engine needs to know. The zero value works: it listens on
// all addresses at a port of the system's choice.
type Config struct {
	// Listen is the local address to listen on; zero means all, of IPv6 and IPv4, or
	// of IPv4 where there is no IPv6. So does ::, and 0.0.0.0 means those of IPv4.
	Listen netip.Addr
	// PortMin and PortMax are the range searched for a free port, from the
	// lowest; both 0 lets the system choose.
	PortMin, PortMax uint16
	// PeerID is what other peers know this engine by; zero makes one by NewPeerID.
	PeerID [20]byte
	// Loops is the number of event loops; zero: one per core. A torrent lives
	// on one of them, so more loops than torrents bring nothing.
	Loops int
	// Workers is the number of goroutines that hash and write; zero: one per core.
	Workers int
	// BufferBytes bounds the pieces in memory of all downloads; zero: 32 MiB,
	// above which nothing got faster with pieces of 1 MiB. A download may always
	// hold leastPieces pieces, however large.
	BufferBytes int64
	// Neighbours is how many connections a download opens to others, as far as it
	// knows of them, and half of how many it should have in all, of which it has up
	// to 20 while others get ahead of it; zero: as the profile says, 5 or 10.
	Neighbours int
	// MaxPeers bounds the connections per torrent, in and out; zero: 1000.
	MaxPeers int
	// Profile is LAN or WAN; it decides on Neighbours and UploadSlots.
	Profile Profile
	// UploadSlots is how many peers per torrent are served at a time; zero: as many as
	// the profile has, 64 or 8.
	UploadSlots int
	// Log gets Info for changes of state and Debug for single connections; nil: none.
	Log *slog.Logger

	now       func() time.Time              // tests bring their own
	newPoller func() (poller.Poller, error) // tests run on both
}

// NewPeerID makes up a name in the swarms: client and version in the form that others
// read (BEP 20; CT and CD are other clients'), and 12 random bytes.
func NewPeerID() (id [20]byte) {
	_, _ = rand.Read(id[copy(id[:], "-CH0001-"):]) // never fails
	return id
}

func (c *Config) validate() error {
	c.Listen = c.Listen.Unmap()
	if c.PortMax == 0 {
		c.PortMax = c.PortMin
	}
	if int(c.Profile) >= len(profileNames) {
		return fmt.Errorf("transfer: there is no profile %d", c.Profile)
	}
	if c.PortMin > c.PortMax {
		return fmt.Errorf("transfer: ports %d-%d: the first is the larger one", c.PortMin, c.PortMax)
	}
	if c.Loops < 0 || c.Workers < 0 || c.BufferBytes < 0 || c.Neighbours < 0 || c.MaxPeers < 0 || c.UploadSlots < 0 {
		return errors.New("transfer: a number in the configuration is negative")
	}
	if c.PeerID == ([20]byte{}) {
		c.PeerID = NewPeerID()
	}
	orElse(&c.Loops, runtime.GOMAXPROCS(0))
	orElse(&c.Workers, runtime.GOMAXPROCS(0))
	orElse(&c.BufferBytes, 32<<20)
	orElse(&c.Neighbours, c.Profile.neighbours())
	orElse(&c.MaxPeers, 1000)
	orElse(&c.UploadSlots, c.Profile.slots())
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.Level(127)}))
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.newPoller == nil {
		c.newPoller = poller.New
	}
	return nil
}

func orElse[T int | int64](field *T, standard T) {
	if *field == 0 {
		*field = standard
	}
}

// Engine moves pieces for any number of torrents over one port.
type Engine struct {
	cfg       Config
	port      uint16
	loops     []*loop
	workers   *workers // hash and write
	readers   *workers // read for uploads what is not in memory
	keyMakers *workers // make the keys of covered handshakes
	buffers   *buffers
	drops     drops
	limits    limits
	web       *web            // for web seeds
	askAtMost int             // bytes per request, whatever the peer allows
	ctx       context.Context // ends with the engine: announces stop
	cancel    context.CancelFunc
	side      sync.WaitGroup // announces and requests of web seeds under way

	closing sync.Once
	closed  chan struct{} // when Close has done everything
}

// Start opens the listener and starts loops and workers. ErrNoPort when the
// range has no free port. It does not block.
func Start(cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	fd, port, err := listenOn(listenAt, cfg.Listen, cfg.PortMin, cfg.PortMax)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, port: port, buffers: newBuffers(cfg.BufferBytes), askAtMost: largestRequest, closed: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.web = newWeb()
	for i := range cfg.Loops {
		l, err := newLoop(e, i)
		if err == nil {
			e.loops = append(e.loops, l)
			if i == 0 {
				err = l.openListener(fd)
			}
		}
		if err != nil {
			for _, l := range e.loops {
				_ = l.poll.Close()
			}
			closeFD(fd)
			e.cancel()
			return nil, err
		}
	}
	e.loops[0].openUTP(fd)
	e.workers, e.readers, e.keyMakers = startWorkers(cfg.Workers), startWorkers(readers), startWorkers(keyMakers)
	for _, l := range e.loops {
		go l.run()
	}
	return e, nil
}

// Port is where this engine listens.
func (e *Engine) Port() uint16 { return e.port }

// PeerID is what other peers know this engine by.
func (e *Engine) PeerID() [20]byte { return e.cfg.PeerID }

// Drops tells how many connections have ended so far, by reason in words.
func (e *Engine) Drops() map[string]uint64 { return e.drops.byName() }

// Add starts to download (as far as Spec.Have leaves something to get) and to
// serve a torrent. ErrKnown when its info hash is here already, ErrClosed after
// Close. It returns as soon as the torrent is on its loop.
func (e *Engine) Add(s Spec) (*Torrent, error) {
	t, err := newTorrent(e, s)
	if err != nil {
		return nil, err
	}
	if err := e.enter(t); err != nil {
		return nil, err
	}
	return t, nil
}

// enter puts a torrent on a loop and begins to announce it.
func (e *Engine) enter(t *Torrent) error {
	ask := addTorrent{t: t, reply: make(chan error, 1)}
	if !e.loops[0].post(ask) {
		return ErrClosed
	}
	return <-ask.reply
}

// Close drops every connection and ends all loops, workers and announcers. It
// announces nothing: Stop the torrents first for that. It blocks until no
// goroutine and no descriptor of the engine is left and no Content is in use.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.cancel()
		// The listening loop first: nothing is handed to the others after it.
		for _, l := range e.loops {
			l.post(shutdown{})
			<-l.done
		}
		e.workers.close()
		e.readers.close()
		e.keyMakers.close()
		e.side.Wait()
		e.web.close()
		close(e.closed)
	})
	<-e.closed
	return nil
}
