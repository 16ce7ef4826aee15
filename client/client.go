package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"chordtorrent/client/trackers"
	"chordtorrent/communicator"
	"chordtorrent/transfer"
)

// Errors that operations end with; compared with errors.Is.
var (
	// ErrInterrupted means that somebody asked to stop before it was done. What
	// has been done is kept: the same request continues it.
	ErrInterrupted = errors.New("interrupted")
	// ErrMismatch means that data is not what its hashes say.
	ErrMismatch = errors.New("data does not match its hashes")
	// ErrTargetExists means that something else is where a download should go.
	ErrTargetExists = errors.New("target exists already")
)

// The ports that peers reach a client at, unless Config says otherwise. Not 7000: Wireshark
// takes what goes there for Gryphon, whose port that is, and malformed.
const (
	DefaultPortMin = 7001
	DefaultPortMax = 7999
)

// Config is what a Client needs.
type Config struct {
	Storage *Storage
	Ring    *communicator.Communicator
	// PortMin and PortMax bound the port to listen on; the first free one from
	// a random start is taken. Both 0 mean 7001 to 7999.
	PortMin, PortMax uint16
	// Profile is what the network is like: transfer.LAN, unless it says otherwise.
	Profile transfer.Profile
	// Log is where changes of state go; nil means nowhere.
	Log *slog.Logger
}

// Client publishes and downloads for one Storage.
type Client struct {
	storage *Storage
	ring    *communicator.Communicator
	cfg     Config
	log     *slog.Logger
	peerID  [20]byte

	id atomic.Uint64 // as the ring knows this Storage; 0 before enroll

	trackers *trackers.Client
	told     told
	ctx      context.Context // ends with Close: announces stop
	cancel   context.CancelFunc

	starting sync.Mutex // one start at a time; it may wait for the ring

	mu      sync.Mutex
	engine  *transfer.Engine // started by the first publication or download
	closing bool             // nothing is started any more
	down    int64            // see SetLimits
	up      int64

	over     chan struct{}  // closed by Close, after engine
	runs     sync.WaitGroup // the downloads' goroutines
	close    sync.Once
	closeErr error
}

var errClosed = errors.New("client is closed")

// New makes a Client. It opens no port yet: listings need none.
func New(cfg Config) *Client {
	if cfg.PortMin == 0 && cfg.PortMax == 0 {
		cfg.PortMin, cfg.PortMax = DefaultPortMin, DefaultPortMax
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{storage: cfg.Storage, ring: cfg.Ring, cfg: cfg, log: cfg.Log, peerID: transfer.NewPeerID(), over: make(chan struct{}), trackers: trackers.NewClient(cfg.Log)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Storage is the folder this client works in.
func (c *Client) Storage() *Storage { return c.storage }

// PeerID is this process's name in the swarms.
func (c *Client) PeerID() [20]byte { return c.peerID }

// start gives the engine, on first use opening its port and telling the ring
// where this client is. It waits for a ring, unless alone says that it does without.
func (c *Client) start(ctx context.Context, alone bool) (*transfer.Engine, error) {
	c.starting.Lock()
	defer c.starting.Unlock()
	engine, err := c.running()
	if err != nil || engine != nil && (alone || c.id.Load() != 0) {
		return engine, err
	}
	if !alone {
		if err := c.meetRing(ctx); err != nil {
			return nil, fmt.Errorf("finding a ring: %w", err)
		}
	}
	if engine == nil {
		if engine, err = c.listen(); err != nil {
			return nil, err
		}
	}
	if alone {
		return engine, nil // the ring hears of it when it is there
	}
	addr := netip.AddrPortFrom(c.ring.LocalAddr(), engine.Port())
	err = c.enroll(ctx, addr)
	if err != nil && c.id.Load() == 0 {
		return nil, fmt.Errorf("asking the ring for this client's id: %w", err)
	}
	if err != nil {
		// The id is known and the next announce tells the address again.
		c.log.Warn("the ring did not take this client's address", "addr", addr, "err", err)
	}
	return engine, nil
}

// meetRing waits until the ring has been in reach once, so that this client's address
// towards it is known.
func (c *Client) meetRing(ctx context.Context) error {
	if c.ring.LocalAddr().IsValid() {
		return nil
	}
	_, err := c.ring.Ring(ctx)
	return err
}

// listen opens the port and begins to move pieces.
func (c *Client) listen() (*transfer.Engine, error) {
	engine, err := transfer.Start(transfer.Config{
		Listen:  listenAddr(c.ring.LocalAddr()),
		PortMin: c.cfg.PortMin, PortMax: c.cfg.PortMax,
		PeerID:  c.peerID,
		Profile: c.cfg.Profile,
		Log:     c.log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening a port of %d-%d for peers: %w", c.cfg.PortMin, c.cfg.PortMax, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		engine.Close()
		return nil, errClosed
	}
	engine.SetLimits(c.down, c.up)
	c.engine = engine
	return engine, nil
}

// enroll tells the ring where this client is, which on the first run gives it its id.
func (c *Client) enroll(ctx context.Context, addr netip.AddrPort) error {
	id, err := c.storage.refreshClientID(ctx, func(ctx context.Context, have uint64) (uint64, error) {
		return c.ring.ClientID(ctx, have, addr)
	})
	c.id.Store(id)
	return err
}

// running is the engine, nil before start, or errClosed.
func (c *Client) running() (*transfer.Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, errClosed
	}
	return c.engine, nil
}

// SetLimits bounds what this client receives and sends in all, in bytes per second;
// 0: no bound. It may be called at any time and takes effect at once.
func (c *Client) SetLimits(down, up int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down, c.up = down, up
	if c.engine != nil {
		c.engine.SetLimits(down, up)
	}
}

// listenAddr is where to listen when peers are told addr. A ring on loopback
// is for this machine only; otherwise every interface, as a client may come
// back on another one, and by IPv6 as well as by IPv4.
func listenAddr(addr netip.Addr) netip.Addr {
	if addr.IsLoopback() {
		return addr
	}
	return netip.Addr{}
}

// Port is where peers reach this client; 0 before it first published or
// downloaded.
func (c *Client) Port() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil {
		return 0
	}
	return c.engine.Port()
}

// goRun runs f on a goroutine that Close waits for.
func (c *Client) goRun(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return errClosed
	}
	c.runs.Go(f)
	return nil
}

// Close ends what still runs and blocks until it has. Publications and
// downloads that were not stopped before are cut off: the ring is told nothing.
// Stop may still be called on them, to let go of their names and targets.
func (c *Client) Close() error {
	c.close.Do(func() {
		c.mu.Lock()
		c.closing = true
		engine := c.engine
		c.mu.Unlock()
		c.cancel()
		// The engine waits for its announcers, which call this client.
		if engine != nil {
			c.closeErr = engine.Close()
		}
		close(c.over)
		c.runs.Wait()
	})
	return c.closeErr
}
