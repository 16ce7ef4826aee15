package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/pflag"

	"chordtorrent/chord/discovery"
	"chordtorrent/node"
	"chordtorrent/version"
)

// ringFlags say which ring is meant; run and status share them.
type ringFlags struct {
	cluster, secretFile, join, multicast string
	multicastTTL                         int
}

func (f *ringFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.cluster, "cluster", node.DefaultCluster, "`name` of the ring; members of others are refused")
	set.StringVar(&f.secretFile, "secret-file", "", "`file` of the ring's secret, as chordnode secret makes it; default: a ring without one")
	set.StringVar(&f.join, "join", "", "members to look for: `host:port,…` or dns+srv:name")
	set.StringVar(&f.multicast, "multicast", discovery.DefaultGroup, "`group:port` to find members on, or off")
	set.IntVar(&f.multicastTTL, "multicast-ttl", 1, "networks that an announcement may pass; 0 stays on this machine")
}

// runFlags say what node to run.
type runFlags struct {
	ringFlags
	dataDir, dataPool, bind, advertise, http, udp string
	registeredOnly, announceIP                    bool
	sourceRate, sourcePeers                       int
	logLevel, logFormat                           string
}

func (f *runFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.dataDir, "data-dir", defaultDataDir(), "`directory` of everything it must not forget; one per node")
	set.StringVar(&f.dataPool, "data-pool", "", "`directory` that several nodes share, instead of --data-dir: each takes the first of its 1, 2, 3… that is free")
	set.StringVar(&f.bind, "bind", "", "`host:port` of the ring, TCP and UDP; default: all interfaces, the port of last time or the first free one of 8000-8999")
	set.StringVar(&f.advertise, "advertise", "", "`host[:port]` that others reach it at; default: the bound address, or that of the primary interface")
	f.ringFlags.register(set)
	set.StringVar(&f.http, "http", "", "`host:port` of the tracker for BitTorrent clients, status, health and metrics, or off; default: port 6969 or the next free one")
	set.StringVar(&f.udp, "udp", "", "`host:port` of the UDP tracker for BitTorrent clients, or off; default: port 6969 or the next free one")
	set.BoolVar(&f.registeredOnly, "registered-only", false, "track only what was published in the ring, and refuse other torrents")
	set.IntVar(&f.sourceRate, "source-rate", 0, "announces and scrapes that the tracker takes from one address in a `second`; default: 1000, and more where nobody else is kept waiting")
	set.IntVar(&f.sourcePeers, "source-peers", 0, "`peers` that the tracker takes from one address, over all torrents; default: 50000")
	set.BoolVar(&f.announceIP, "announce-ip", false, "believe clients in private networks that say by the parameter ip at which private address they are")
	set.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	set.StringVar(&f.logFormat, "log-format", "text", "text or json")
}

// defaultDataDir is in the user's data directory, "" when there is none.
func defaultDataDir() string {
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) { // as the XDG specification wants it
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "chordtorrent", "chordnode")
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	switch level {
	case "debug":
		l = slog.LevelDebug
	case "info":
		l = slog.LevelInfo
	case "warn":
		l = slog.LevelWarn
	case "error":
		l = slog.LevelError
	default:
		return nil, usageError{fmt.Errorf("--log-level: %q is none of debug, info, warn, error", level)}
	}
	opts.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format: %q is none of text, json", format)}
}

// errSecondSignal means that somebody did not want to wait for the leave.
var errSecondSignal = errors.New("a second signal ended the leave: the ring restores the copies from others")

// runNode runs a node until a signal, again and again if this machine's address changes.
func runNode(flags runFlags, stdout io.Writer, log *slog.Logger) error {
	if flags.dataDir == "" && flags.dataPool == "" {
		return usageError{errors.New("--data-dir is needed: this user has no home directory")}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	n, err := startNode(func(ctx context.Context) (*node.Node, error) { return node.Start(ctx, flags.config(log)) }, signals, log)
	if n == nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, readyLine(n)); err != nil { // once: scripts are promised one line
		log.Warn("cannot print the ready line", "err", err)
	}
	for {
		tell(sd.SdNotifyReady)
		watched, unwatch := context.WithCancel(context.Background())
		go keepWatched(watched, n.Alive)
		log.Info("ready", "node", n.Ref().ID.String(), "addr", n.Ref().Addr, "members", n.Members(), "version", version.String())
		select {
		case s := <-signals:
			unwatch()
			log.Info("leaving", "signal", s.String())
			tell(sd.SdNotifyStopping)
			return leave(n, signals, log)
		case <-n.Moved():
			unwatch()
			if n, err = startAgain(n.Again, signals, log); n == nil {
				return err
			}
		}
	}
}

// startAgain is startNode for a node that was ready before: systemd, which watches since
// then, is told meanwhile that all is well.
func startAgain(start func(context.Context) (*node.Node, error), signals chan os.Signal, log *slog.Logger) (*node.Node, error) {
	starting, started := context.WithTimeout(context.Background(), startsWithin)
	defer started()
	go keepWatched(starting, func(context.Context) error { return nil })
	return startNode(start, signals, log)
}

// startNode starts a node by start; nil, and no error, if a signal came before it was ready.
func startNode(start func(context.Context) (*node.Node, error), signals chan os.Signal, log *slog.Logger) (*node.Node, error) {
	starting, cancel := context.WithCancel(context.Background())
	defer cancel()
	type started struct {
		n   *node.Node
		err error
	}
	result := make(chan started, 1)
	go func() {
		n, err := start(starting)
		result <- started{n, err}
	}()
	select {
	case r := <-result:
		return r.n, r.err
	case s := <-signals:
		log.Info("interrupted before it was part of a ring", "signal", s.String())
		cancel()
		r := <-result
		if r.err != nil {
			return nil, nil // nothing was begun that could be left
		}
		signals <- s // it was ready at the same moment: leave in order
		return r.n, nil
	}
}

// leave has a node hand over what it holds and end; a second signal ends the wait.
func leave(n *node.Node, signals <-chan os.Signal, log *slog.Logger) error {
	closed := make(chan error, 1)
	go func() { closed <- n.Close(context.Background()) }()
	select {
	case err := <-closed:
		if err != nil {
			log.Warn("left with a remark", "err", err)
		}
		return nil
	case <-signals:
		return errSecondSignal
	}
}

func (f runFlags) config(log *slog.Logger) node.Config {
	return node.Config{
		DataDir: f.dataDir, DataPool: f.dataPool, Bind: f.bind, Advertise: f.advertise,
		Cluster: f.cluster, SecretFile: f.secretFile, Join: f.join, Multicast: f.multicast, MulticastTTL: f.multicastTTL,
		HTTP: f.http, UDP: f.udp, RegisteredOnly: f.registeredOnly,
		SourceRate: f.sourceRate, SourcePeers: f.sourcePeers, AnnounceIP: f.announceIP,
		Log: log, Version: version.String(),
	}
}

// readyLine is the one line that scripts wait for.
func readyLine(n *node.Node) string {
	return fmt.Sprintf("ready id=%s members=%d ring=%s http=%s udp=%s", n.Ref().ID, n.Members(), n.Ref().Addr, cmp.Or(n.HTTPAddr(), "-"), cmp.Or(n.UDPAddr(), "-"))
}
