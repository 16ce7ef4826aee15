package communicator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"chordtorrent/chord"
)

const (
	// visitInterval is how often client/<id> is written at most, while the
	// address stays the same.
	visitInterval = time.Minute
	maxVisits     = 1 << 16
	maxClientID   = 1<<63 - 1
)

// clientVisit is the last write of client/<id> by this process.
type clientVisit struct {
	addr netip.AddrPort
	at   time.Time
}

// ClientID gives a client its number and tells the ring where the client is.
// have is the number it got earlier, which is given back; 0 makes the ring
// assign one, a number of 63 bits that no other client has. The address is
// written at most once a minute unless it changed.
//
// If only writing the address fails, the number is given with the error.
func (c *Communicator) ClientID(ctx context.Context, have uint64, addr netip.AddrPort) (uint64, error) {
	if have > maxClientID {
		return 0, fmt.Errorf("client id %d: %w: it has more than 63 bits", have, ErrBadArgument)
	}
	if !addr.IsValid() {
		return have, fmt.Errorf("client id: %w: no address given", ErrBadArgument)
	}
	id := have
	if id == 0 {
		var err error
		if id, err = c.assignID(ctx); err != nil {
			return 0, fmt.Errorf("asking the ring for a client id: %w", err)
		}
	}
	if !c.dueVisit(id, addr) {
		return id, nil
	}
	if _, err := c.put(ctx, clientKey(id), chord.Update{Name: fieldAddr, Value: encodeAddress(addr)}); err != nil {
		c.mu.Lock()
		delete(c.clients, id)
		c.mu.Unlock()
		return id, fmt.Errorf("telling the ring the address of client %d: %w", id, err)
	}
	return id, nil
}

func (c *Communicator) assignID(ctx context.Context) (uint64, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	rep, err := c.retry(ctx, chord.AssignID{})
	if err != nil {
		return 0, err
	}
	r := rep.(chord.AssignIDReply)
	if err := r.Code.Err(); err != nil {
		return 0, err
	}
	if r.ClientID == 0 || r.ClientID > maxClientID {
		return 0, fmt.Errorf("ring member assigned %d, which is no client id", r.ClientID)
	}
	return r.ClientID, nil
}

// dueVisit tells whether client/<id> has to be written, and notes that it is.
func (c *Communicator) dueVisit(id uint64, addr netip.AddrPort) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.clients[id]
	if known && last.addr == addr && now.Sub(last.at) < visitInterval {
		return false
	}
	if !known && len(c.clients) >= maxVisits {
		clear(c.clients) // costs a few early writes
	}
	c.clients[id] = clientVisit{addr, now}
	return true
}

// ClientAddr gives the address a client was last known at, and when.
// ErrNotFound if the ring knows no such client.
func (c *Communicator) ClientAddr(ctx context.Context, id uint64) (netip.AddrPort, time.Time, error) {
	f, found, err := c.getField(ctx, clientKey(id), fieldAddr)
	if err != nil {
		return netip.AddrPort{}, time.Time{}, fmt.Errorf("asking the ring for the address of client %d: %w", id, err)
	}
	if !found {
		return netip.AddrPort{}, time.Time{}, fmt.Errorf("client %d: %w", id, ErrNotFound)
	}
	addr, err := decodeAddress(f.Value)
	if err != nil {
		return netip.AddrPort{}, time.Time{}, fmt.Errorf("address of client %d: %w", id, err)
	}
	return addr, time.UnixMilli(f.Stamp.Millis()).UTC(), nil
}

func isDegraded(err error) bool {
	var d *Degraded
	return errors.As(err, &d)
}
