package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/pflag"

	"chordtorrent/client"
	"chordtorrent/communicator"
	"chordtorrent/node"
	"chordtorrent/version"
)

// embedding says whether and how a ring member runs inside this process.
type embedding struct {
	on      bool
	bind    string
	dataDir string
}

func (e *embedding) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&e.on, "embedded", false, "start a ring member inside this process; it joins a ring that is there")
	f.StringVar(&e.bind, "node-bind", "", "`HOST:PORT` of the ring member inside (default the first free port of 8000-8999)")
	f.StringVar(&e.dataDir, "data-dir", "", "the `DIR` of the ring member inside (default node in Storage)")
}

// http is where the member's trackers, status and metrics are: beside a member whose
// address was chosen, so nobody else's default port is taken.
func (e *embedding) http() string {
	if host, _, err := net.SplitHostPort(e.bind); err == nil {
		return net.JoinHostPort(host, "0")
	}
	return ""
}

// openRingOrEmbed finds a ring, with --embedded by becoming a member of it.
// The returned function ends what was opened, leaving the ring in order.
func (a *app) openRingOrEmbed(ctx context.Context, storage *client.Storage, embed embedding) (*communicator.Communicator, func(), error) {
	if !embed.on {
		ring, err := a.openRing(ctx, storage)
		if err != nil {
			return nil, nil, err
		}
		return ring, func() { ring.Close() }, nil
	}
	dir := embed.dataDir
	if dir == "" {
		dir = storage.NodeDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	n, err := node.StartMobile(ctx, node.Config{
		DataDir: dir, Bind: embed.bind, Cluster: a.flags.cluster, SecretFile: a.flags.secretFile, Join: a.flags.ring,
		Multicast: a.flags.multicast, MulticastTTL: a.flags.multicastTTL, HTTP: embed.http(), UDP: embed.http(), Log: a.log, Version: version.String(),
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, client.ErrInterrupted
		}
		// Another btclient of this Storage may run the member already: then
		// there is a ring, which is all that is needed.
		ring, ringErr := a.openRing(ctx, storage)
		if ringErr != nil {
			return nil, nil, fmt.Errorf("starting a ring member inside: %w", errors.Join(err, ringErr))
		}
		a.log.Warn("no ring member inside: using the ring that is there", "err", err)
		return ring, func() { ring.Close() }, nil
	}
	ring := communicator.NewInside(n)
	return ring, func() {
		ring.Close()
		bye, cancel := farewellContext()
		defer cancel()
		if err := n.Close(bye); err != nil {
			a.log.Warn("the ring member inside did not leave in order", "err", err)
		}
	}, nil
}
