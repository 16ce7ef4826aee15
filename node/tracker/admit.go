package tracker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

const (
	// mostConnsOfOne bounds the connections of one address (of IPv6 a network of 64 bits),
	// mostConns those of all; descriptorShare is the part of the process's descriptors that
	// they may have at most: the ring and the disk need some, too.
	mostConnsOfOne  = 256
	mostConns       = 4096
	descriptorShare = 4
)

var (
	errTooManyConns = errors.New("too many connections")
	errTooManyOfOne = errors.New("too many connections of one address")
)

// doorkeeper counts the connections that are open.
type doorkeeper struct {
	most, mostOfOne int

	mu   sync.Mutex
	open int
	of   map[[16]byte]int // by account
}

func newDoorkeeper() *doorkeeper {
	return &doorkeeper{most: min(mostConns, descriptors()/descriptorShare), mostOfOne: mostConnsOfOne, of: make(map[[16]byte]int)}
}

// admit counts a connection until it is closed. The errors are errTooManyConns and
// errTooManyOfOne.
func (d *doorkeeper) admit(conn net.Conn) (net.Conn, error) {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, fmt.Errorf("a connection from nowhere: %w", err)
	}
	account := accountOf(at.Addr().As16())
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.of[account] >= d.mostOfOne:
		return nil, errTooManyOfOne
	case d.open >= d.most:
		return nil, errTooManyConns
	}
	d.open++
	d.of[account]++
	return &admitted{Conn: conn, leave: sync.OnceFunc(func() { d.leave(account) })}, nil
}

func (d *doorkeeper) leave(account [16]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.of[account]--; d.of[account] == 0 {
		delete(d.of, account)
	}
}

// admitted is a connection that is counted.
type admitted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (a *admitted) Close() error {
	defer a.leave()
	return a.Conn.Close()
}
