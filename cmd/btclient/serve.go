package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/web"
	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/version"
)

// The page's address unless somebody says otherwise: the first free port of ten.
const (
	webHost  = "127.0.0.1"
	webPort  = 8780
	webPorts = 10
)

// serving is what serve was asked for.
type serving struct {
	web     string
	hosts   []string
	token   string // the file that has the page's token
	watch   []string
	follow  []string
	embed   embedding
	profile transfer.Profile
	most    int
}

func (a *app) serveCommand() *cobra.Command {
	var o serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run in the background: serve all of Storage, a queue of downloads, the web page",
		Long: `Serves everything that Storage holds, runs downloads and publications, and shows
a web page. It remembers all of it: after a restart, a kill or a power cut it goes
on. While it runs, publish, download and the other commands of the same Storage
hand their work to it; downloads, pause, resume, cancel, retry, remove and limit
steer it.

As soon as the page can be opened, one line on standard output:

  ready web=http://127.0.0.1:8780/ storage="/where" pid=<n>

The page is for its user at this machine alone, unless --web names another address,
or --web-host the name that a proxy makes it known by. Others are asked for a token,
which is then printed on standard error, and kept in daemon.json in Storage; or it
is that of --web-token-file.
docs/api.md describes the interface for programs.

--watch DIR publishes what is in a folder, each top-level entry under its name, as
files come, change and go. --follow NAME fetches a name, and every newer version of
it. Under systemd it takes a socket that is handed over, and says when it is ready.`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.most < 1 {
				return usageError(fmt.Errorf("--max-downloads %d: one at least has to run at a time", o.most), "btclient serve")
			}
			return a.serve(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.web, "web", "", "`HOST:PORT` of the page (default "+webHost+", the first free port from "+strconv.Itoa(webPort)+")")
	f.StringArrayVar(&o.hosts, "web-host", nil, "a further `NAME` that the page is opened by, besides addresses and this machine's own")
	f.StringVar(&o.token, "web-token-file", "", "the `FILE` of the token that others need for the page, 20 characters at least (default: one is made, and kept in Storage)")
	f.StringArrayVar(&o.watch, "watch", nil, "publish what is in the folder `DIR`, and follow its changes; may be repeated")
	f.StringArrayVar(&o.follow, "follow", nil, "fetch `NAME` and all of its newer versions; may be repeated")
	f.IntVar(&o.most, "max-downloads", 3, "how many downloads run at a time, until the page or limit says otherwise")
	o.embed.addFlags(f)
	profileFlag(f, &o.profile)
	return cmd
}

func (a *app) serve(ctx context.Context, o serving) (err error) {
	storage, err := a.openStorage()
	if err != nil {
		return err
	}
	release, err := api.Claim(storage.Dir())
	if err != nil {
		if errors.Is(err, api.ErrRunning) {
			return &client.Hint{Err: err, Next: "end it first, or use another --storage"}
		}
		return err
	}
	defer release()
	ln, err := listenWeb(ctx, o.web)
	if err != nil {
		return err
	}
	defer ln.Close()
	token, err := pageToken(storage, o.token)
	if err != nil {
		return err
	}
	ring, closeRing, err := a.openRingFor(ctx, storage, o.embed)
	if err != nil {
		return err
	}
	defer closeRing()
	c := client.New(client.Config{Storage: storage, Ring: ring, Profile: o.profile, Log: a.log})
	defer c.Close()
	d, err := daemon.Start(daemon.Config{Storage: storage, Ring: ring, Client: c, MaxDownloads: o.most, Log: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := a.standing(ctx, d, o); err != nil {
		return err
	}
	return a.open(ctx, ln, storage, d, o.token, web.Config{Daemon: d, Client: c, Ring: ring, Token: token, Version: version.String(),
		Cluster: a.flags.cluster, NeedToken: !onLoopback(ln), Hosts: o.hosts, Log: a.log})
}

// standing begins what the flags ask to be done for good.
func (a *app) standing(ctx context.Context, d *daemon.Daemon, o serving) error {
	for _, name := range o.follow {
		if _, err := d.AddDownload(ctx, api.AddDownload{Source: name, Follow: true}); err != nil {
			return fmt.Errorf("--follow %s: %w", name, err)
		}
	}
	for _, dir := range o.watch {
		if err := d.Watch(dir); err != nil {
			return fmt.Errorf("--watch %s: %w", dir, err)
		}
	}
	return nil
}

// open shows the page until ctx ends. tokenFile is what --web-token-file says.
func (a *app) open(ctx context.Context, ln net.Listener, storage *client.Storage, d *daemon.Daemon, tokenFile string, cfg web.Config) error {
	handler, err := web.New(cfg)
	if err != nil {
		return err
	}
	srv := handler.Serving()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	url := "http://" + reachable(ln) + "/"
	if err := api.Announce(storage.Dir(), api.Address{URL: strings.TrimSuffix(url, "/"), Token: cfg.Token, PID: os.Getpid()}); err != nil {
		srv.Close()
		return err
	}
	switch {
	case tokenFile != "": // whoever may know it has it, and a log is no place for it
		fmt.Fprintf(a.console, "who opens it from elsewhere logs in at /login with the token in %s\n", tokenFile)
	case cfg.NeedToken:
		fmt.Fprintf(a.console, "open http://%s/login?token=%s\n", fromOutside(ln, cfg.Ring.LocalAddr()), cfg.Token)
	case len(cfg.Hosts) > 0:
		fmt.Fprintf(a.console, "who opens it as %s logs in at /login with the token %s\n", strings.Join(cfg.Hosts, " or "), cfg.Token)
	}
	e := readyEvent{Event: "ready", Web: url, Storage: storage.Dir(), PID: os.Getpid()}
	a.out.line(fmt.Sprintf("ready web=%s storage=%q pid=%d", e.Web, e.Storage, e.PID), e)
	_, _ = sd.SdNotify(false, sd.SdNotifyReady) // does nothing without systemd
	select {
	case <-ctx.Done():
		err = nil // asked to end, and does so in order
	case err = <-ended:
		err = fmt.Errorf("the page at %s: %w", url, err)
	}
	_, _ = sd.SdNotify(false, sd.SdNotifyStopping)
	// Events have no end of their own, so nobody is waited for.
	return errors.Join(err, srv.Close())
}

type readyEvent struct {
	Event   string `json:"event"` // "ready"
	Web     string `json:"web"`
	Storage string `json:"storage"`
	PID     int    `json:"pid"`
}

// listenWeb opens the page's port, or takes the socket that systemd hands over.
func listenWeb(ctx context.Context, addr string) (net.Listener, error) {
	handed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking over the socket of systemd: %w", err)
	}
	for _, ln := range handed {
		switch {
		case ln == nil:
		case ln.Addr().Network() == "tcp":
			return ln, nil
		default:
			return nil, &client.Hint{Err: fmt.Errorf("the socket of systemd is a %s one", ln.Addr().Network()), Next: "hand over a TCP socket: ListenStream=127.0.0.1:8780"}
		}
	}
	var cfg net.ListenConfig
	if addr != "" {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, usageError(fmt.Errorf("--web %q is no HOST:PORT: %w", addr, err), "btclient serve")
		}
		ln, err := cfg.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("the page cannot be at --web %s: %w", addr, err)
		}
		return ln, nil
	}
	var ln net.Listener
	for port := webPort; port < webPort+webPorts; port++ {
		if ln, err = cfg.Listen(ctx, "tcp", net.JoinHostPort(webHost, strconv.Itoa(port))); err == nil {
			return ln, nil
		}
	}
	return nil, &client.Hint{Err: fmt.Errorf("no port for the page: %w", err), Next: "name one with --web HOST:PORT"}
}

func onLoopback(ln net.Listener) bool {
	tcp, ok := ln.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// reachable is an address by which this machine reaches a listener.
func reachable(ln net.Listener) string {
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil {
		return ln.Addr().String()
	}
	if addr.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.MustParseAddr(webHost), addr.Port()).String()
	}
	return addr.String()
}

// fromOutside is an address by which others reach a listener. Of one at all addresses it
// is that towards the ring, or else the first that is not for this machine alone.
func fromOutside(ln net.Listener, towardsRing netip.Addr) string {
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || !addr.Addr().IsUnspecified() {
		return reachable(ln)
	}
	if towardsRing.IsValid() && !towardsRing.IsLoopback() {
		return netip.AddrPortFrom(towardsRing, addr.Port()).String()
	}
	own, _ := net.InterfaceAddrs() // without it is as if there were none
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() && (p.Addr().Is4() || addr.Addr().Is6()) {
			return netip.AddrPortFrom(p.Addr(), addr.Port()).String()
		}
	}
	return reachable(ln)
}

const (
	// minToken is what a token has at least, in characters: a password could be guessed.
	minToken     = 20
	mostToken    = 128
	tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
)

// isToken tells whether it goes into a cookie, a header and an address as it is.
func isToken(s string) bool {
	return len(s) >= minToken && len(s) <= mostToken && strings.Trim(s, tokenLetters) == ""
}

// pageToken is the token of the file that was named, else the one of this Storage.
func pageToken(storage *client.Storage, file string) (string, error) {
	if file == "" {
		return keptToken(filepath.Join(storage.Dir(), "daemon", "token"))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--web-token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if !isToken(token) {
		return "", &client.Hint{Err: fmt.Errorf("--web-token-file %s: this is no token, which is a line of %d to %d letters and digits", file, minToken, mostToken),
			Next: "make one: openssl rand -hex 16 >" + file}
	}
	return token, nil
}

// keptToken reads the token of earlier runs, so that browsers need not log in again,
// or makes one.
func keptToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(b)); err == nil && len(token) >= minToken {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the page's token: %w", err)
	}
	token := rand.Text()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("keeping the page's token: %w", err)
	}
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the page's token: %w", err)
	}
	return token, nil
}

// openRingFor is openRingOrEmbed for somebody who does not need a ring at once: it is
// looked for until one is there.
func (a *app) openRingFor(ctx context.Context, storage *client.Storage, embed embedding) (*communicator.Communicator, func(), error) {
	if embed.on {
		return a.openRingOrEmbed(ctx, storage, embed)
	}
	ring, err := a.openRingWaiting(ctx, storage, -time.Second)
	if err != nil {
		return nil, nil, err
	}
	return ring, func() { ring.Close() }, nil
}
