package communicator

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Caller carries an operation to some ring member and brings its answer back:
// chord.Get gives a chord.GetReply, chord.Put a chord.PutReply, and so on, by
// value. It blocks until then or until ctx ends and may be called
// concurrently. Its error means that no member could be asked; what a member
// answered is in the reply's Code. node.Node and the network pool are Callers.
type Caller interface {
	Call(ctx context.Context, op any) (any, error)
}

// Inside is a member inside this process which may be away for a while, as it goes along
// when the machine gets another address. A node.Mobile is one.
type Inside interface {
	Caller
	Connected() bool       // as of Communicator
	LocalAddr() netip.Addr // as of Communicator
}

// Config says which ring to look for and how. Only what is needed has to be
// set.
type Config struct {
	// Ring lists members to try, "host:port,host:port,dns+srv:name"; "" means
	// to find some by multicast and the cache alone.
	Ring string
	// Cluster is the ring's name; members of another one refuse us.
	Cluster string
	// SecretFile names the file of the ring's secret; "" means that it has none.
	SecretFile string
	// Multicast is the discovery group, "group:port", or "off"; "" means the
	// default group.
	Multicast string
	// MulticastTTL is how many routers a question may pass; 0 keeps it on
	// this machine.
	MulticastTTL int
	// Wait is how long Open looks for a member; 0 means 3 s. With less it returns at
	// once and the search goes on: operations wait for it.
	Wait time.Duration
	// CacheFile remembers members from one run to the next; "" means not to.
	CacheFile string
	// Log gets what the pool does; nil means nowhere.
	Log *slog.Logger
}

// Communicator answers a program's questions to the ring. See the package
// comment.
type Communicator struct {
	caller Caller
	local  func() netip.Addr
	close  func() error
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	closed  bool
	rounds  rounds                 // what the adaptive announce interval remembers
	clients map[uint64]clientVisit // when client/<id> was written last
	wg      sync.WaitGroup         // registrations that outlive their Announce
	ending  context.Context        // ends with Close
	end     context.CancelFunc
}

// New makes a Communicator on top of a member inside this process. local is
// what LocalAddr gives. Close leaves c alone.
func New(c Caller, local netip.Addr) *Communicator {
	return newCommunicator(c, func() netip.Addr { return local }, func() error { return nil }, nil)
}

// NewInside is New for a member that may move. Close leaves m alone.
func NewInside(m Inside) *Communicator {
	return newCommunicator(m, m.LocalAddr, func() error { return nil }, nil)
}

func newCommunicator(c Caller, local func() netip.Addr, closer func() error, log *slog.Logger) *Communicator {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ending, end := context.WithCancel(context.Background())
	return &Communicator{
		caller: c, local: local, close: closer, log: log, now: time.Now,
		rounds:  rounds{of: make(map[swarmSeat]round)},
		clients: make(map[uint64]clientVisit),
		ending:  ending, end: end,
	}
}

// Close ends the connections to the ring. Operations under way fail with
// ErrClosed or their context's error.
func (c *Communicator) Close() error {
	c.mu.Lock()
	done := c.closed
	c.closed = true
	c.mu.Unlock()
	if done {
		return nil
	}
	c.end()
	err := c.close()
	c.wg.Wait()
	return err
}

// LocalAddr is this machine's address towards the ring, which is what peers
// are told: the local end of the connection to a ring member. It does not
// block; the zero Addr means that there has been no connection yet.
func (c *Communicator) LocalAddr() netip.Addr { return c.local() }

// Connected says whether there is a ring member at hand now. It does not block.
func (c *Communicator) Connected() bool {
	p, ok := c.caller.(interface{ Connected() bool }) // the pool, or an Inside
	return !ok || p.Connected()                       // a member in this process is
}
