package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"

	"chordtorrent/chord/rpc"
	"chordtorrent/chord/secret"
	"chordtorrent/communicator"
)

func registerNode(set *pflag.FlagSet, member *string) {
	set.StringVar(member, "node", "", "`host:port` of the member to ask; default: one that multicast or --join finds")
}

// carryOut has the named member, or one that can be found, carry out an operation
// whose answer is an R.
func carryOut[R any](ctx context.Context, member string, ring ringFlags, op any) (r R, err error) {
	var reply any
	if member != "" {
		reply, err = askMember(ctx, member, ring, op)
	} else {
		reply, err = askRing(ctx, ring, op)
	}
	if err != nil {
		return r, err
	}
	r, ok := reply.(R)
	if !ok {
		return r, fmt.Errorf("the ring member answered with %T", reply)
	}
	return r, nil
}

func askMember(ctx context.Context, member string, ring ringFlags, op any) (any, error) {
	if _, port, err := net.SplitHostPort(member); err != nil || port == "" {
		return nil, usageError{fmt.Errorf("--node: %q is not host:port, like 10.0.0.5:8000", member)}
	}
	var keeper *secret.Keeper
	if ring.secretFile != "" {
		var err error
		if keeper, err = secret.Open(ring.secretFile); err != nil {
			return nil, usageError{err}
		}
	}
	c, err := rpc.Dial(ctx, member, ring.cluster, keeper)
	if errors.Is(err, rpc.ErrRefused) {
		return nil, err // which says why
	}
	if err != nil {
		return nil, fmt.Errorf("%w: is a chordnode of cluster %q running there?", err, ring.cluster)
	}
	defer c.Close()
	return c.Call(ctx, op)
}

func askRing(ctx context.Context, ring ringFlags, op any) (any, error) {
	c, err := communicator.Open(ctx, communicator.Config{
		Ring: ring.join, Cluster: ring.cluster, SecretFile: ring.secretFile, Multicast: ring.multicast, MulticastTTL: ring.multicastTTL,
	})
	switch {
	case errors.Is(err, communicator.ErrBadArgument):
		return nil, usageError{err}
	case errors.Is(err, communicator.ErrNoRing):
		// What to do about it is another thing here than for a client.
		words := strings.Replace(err.Error(), communicator.ErrNoRing.Error(), "no ring in reach", 1)
		if !errors.Is(err, communicator.ErrRefused) {
			words += ": start a member with chordnode, or name one with --node host:port"
		}
		return nil, errors.New(words)
	case err != nil:
		return nil, err
	}
	defer c.Close()
	return c.Call(ctx, op)
}
