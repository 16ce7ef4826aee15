package communicator

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
	"chordtorrent/chord/secret"
)

// defaultWait is how long Open looks for a ring.
const defaultWait = 3 * time.Second

// Open finds a ring member and connects to it: by the list in cfg, by the
// cache of members known from the last run and by multicast, all at once; the
// first that answers is taken. It blocks until then. ErrNoRing if none
// answered within cfg.Wait, ctx's error if that ended first; a wrong list or
// group is ErrBadArgument. Afterwards the Communicator keeps a member within
// reach until Close.
func Open(ctx context.Context, cfg Config) (*Communicator, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var keeper *secret.Keeper
	if cfg.SecretFile != "" {
		var err error
		if keeper, err = secret.Open(cfg.SecretFile); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadArgument, err)
		}
		if keeper.OthersCanRead() {
			log.Warn("others on this machine may read the ring's secret: chmod 600 the file", "path", cfg.SecretFile)
		}
	}
	pc := poolConfig{
		log:   log,
		cache: newMemberCache(cfg.CacheFile, cfg.Cluster),
		dial: func(ctx context.Context, addr string) (conn, error) {
			if _, err := keeper.Reload(); err != nil {
				log.Warn("the ring's secret stays as it was", "err", err)
			}
			c, err := rpc.Dial(ctx, addr, cfg.Cluster, keeper)
			if err != nil {
				return nil, err // not a nil *Client in an interface
			}
			return c, nil
		},
	}
	if cfg.Ring != "" {
		list, err := discovery.ParseJoin(cfg.Ring)
		if err != nil {
			return nil, fmt.Errorf("list of ring members %q: %w: %w", cfg.Ring, ErrBadArgument, err)
		}
		pc.resolve = list.Resolve
	}
	tried, err := openCast(&pc, cfg, keeper, log)
	if err != nil {
		return nil, err
	}
	p := newPool(pc)
	wait := cfg.Wait
	if wait < 0 {
		return newCommunicator(p, p.LocalAddr, p.Close, log), nil
	}
	if wait == 0 {
		wait = defaultWait
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if _, err := p.current(waiting); err != nil {
		var why string
		if m, ok := pc.cast.(*discovery.Multicast); ok {
			if why = discovery.Strange(m.Counters()); why != "" {
				tried = append(tried, why)
			}
		}
		_ = p.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("looking for a ring: %w", ctx.Err())
		}
		if cfg.Ring != "" {
			tried = append(tried, "asked "+cfg.Ring)
		}
		err = fmt.Errorf("cluster %q: %s, waited %v: %w", cfg.Cluster, strings.Join(tried, ", "), wait, err)
		if why != "" {
			err = refused{err}
		}
		return nil, err
	}
	return newCommunicator(p, p.LocalAddr, p.Close, log), nil
}

// openCast starts to listen for members on the multicast group. A machine
// that cannot do that may still have a list or a cache, so it is no error.
func openCast(pc *poolConfig, cfg Config, keeper *secret.Keeper, log *slog.Logger) (tried []string, err error) {
	if cfg.Multicast == "off" {
		return []string{"multicast is off"}, nil
	}
	group := cfg.Multicast
	if group == "" {
		group = discovery.DefaultGroup
	}
	ap, err := netip.ParseAddrPort(group)
	if err != nil || !ap.Addr().Is4() || !ap.Addr().IsMulticast() {
		return nil, fmt.Errorf("multicast group %q: %w: want group:port, as in %s, or off", group, ErrBadArgument, discovery.DefaultGroup)
	}
	m, err := discovery.Open(discovery.Config{Group: ap, TTL: cfg.MulticastTTL, Cluster: cfg.Cluster, Secret: keeper, Log: log})
	if err != nil {
		log.Warn("no discovery by multicast", "addr", group, "err", err)
		return []string{fmt.Sprintf("multicast on %s cannot be used (%v)", group, err)}, nil
	}
	pc.cast = m
	return []string{"asked by multicast on " + group}, nil
}
