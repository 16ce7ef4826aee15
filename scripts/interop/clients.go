package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// job is what a client is to do: to have, in the folder save, what a .torrent describes,
// and to serve it. What is there already is checked and served.
type job struct {
	home      string // a directory of its own, for settings
	save      string
	torrent   string // a file, or a magnet link
	done      string // a file that it makes when all is there
	udp       bool   // its trackers are
	encrypted bool   // it takes encrypted connections alone
	byTCP     bool   // it does not try µTP
}

// client is a program of others. All run as they come, but for what looks for peers
// elsewhere than at trackers (DHT, local discovery), which is off, and questions to people.
type client struct {
	name    string
	version func(o *options) ([]byte, error)
	// line gives its command line, after it has written its settings.
	line func(o *options, j job) ([]string, error)
	// finished is what it says at the end, where it can run nothing then.
	finished string
	// cannot is what it does not know, by the tracker or the shape.
	cannot map[string]confession
	// slow is why it takes minutes to fetch a shape, from whomever.
	slow map[string]string
}

// confession is what a client says when it cannot do a thing, and what that means.
type confession struct {
	words *regexp.Regexp
	means string
}

var clients = []*client{
	{name: "aria2", version: says("aria2c", "--version"), line: aria2},
	{name: "transmission", version: says("transmission-daemon", "--version"), line: transmission},
	{name: "qbittorrent", version: says("qbittorrent-nox", "--version"), line: qbittorrent},
	{name: "rtorrent", version: says("rtorrent", "-h"), line: rtorrent},
	{name: "ctorrent", version: says("ctorrent", "-h"), line: ctorrent, cannot: map[string]confession{
		"udp": {regexp.MustCompile(`E:[1-9]\d*,\d+`), "it knows no trackers by UDP, and asks those addresses by HTTP: it works where a node's two ports have the same number"}}},
	{name: "libtorrent", version: says("/usr/bin/python3", "-c", "import libtorrent; print('libtorrent', libtorrent.version)"), line: libtorrent},
	{name: "anacrolix", version: func(o *options) ([]byte, error) { return exec.Command("go", "version", "-m", o.anacrolix).Output() },
		line: anacrolix, finished: "downloaded ALL the torrents", cannot: map[string]confession{
			"directory": {regexp.MustCompile(`panic: error writing chunk[^\n]*: invalid argument`), "it maps files into memory and cannot do so with an empty one, which this directory has; with TORRENT_STORAGE_DEFAULT_FILE_IO=classic it can"}},
		slow: map[string]string{"16384 pieces": "with each piece that it has it walks through all that it has of the file (storage/file-piece.go, allFilePiecesComplete), and takes as long from a libtorrent that seeds"}},
}

// patience is how long a client may take to fetch a shape.
func (c *client) patience(s shape) time.Duration {
	if c.slow[s.name] != "" {
		return 8 * patience
	}
	return patience
}

func named(name string) *client {
	return clients[slices.IndexFunc(clients, func(c *client) bool { return c.name == name })]
}

func says(argv ...string) func(*options) ([]byte, error) {
	return func(*options) ([]byte, error) {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if len(out) > 0 {
			err = nil // some end with 1 after their help
		}
		return out, err
	}
}

var versionNumber = regexp.MustCompile(`(\d+\.\d+|dnh\d+)(\.\d+)*`)

// versionOf is what the client says of itself; an error means that it is not here.
func (c *client) versionOf(o *options) (string, error) {
	text, err := c.version(o)
	if err != nil {
		return "", fmt.Errorf("%s is not here: %w", c.name, err)
	}
	if _, mod, found := strings.Cut(string(text), "\tmod\t"); found {
		text = []byte(mod)
	}
	return versionNumber.FindString(string(text)), nil
}

// hook writes a program that makes the file done.
func (j job) hook() (string, error) {
	path := filepath.Join(j.home, "hook")
	return path, os.WriteFile(path, []byte("#!/bin/sh\ntouch '"+j.done+"'\n"), 0o755)
}

// settings writes a file below home.
func (j job) settings(path, text string) error {
	path = filepath.Join(j.home, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// aria2 speaks to trackers by UDP only where it speaks DHT; it finds nobody by that, as
// nobody else does.
func aria2(_ *options, j job) ([]string, error) {
	hook, err := j.hook()
	dht := "false"
	if j.udp {
		dht = "true"
	}
	argv := []string{"aria2c", "--no-conf", "--dir=" + j.save, "--seed-ratio=0", "--check-integrity=true", "--enable-dht=" + dht, "--dht-file-path=" + filepath.Join(j.home, "dht"),
		"--summary-interval=0", "--on-bt-download-complete=" + hook}
	if j.encrypted {
		argv = append(argv, "--bt-require-crypto=true", "--bt-min-crypto-level=arc4")
	}
	return append(argv, j.torrent), err
}

func transmission(_ *options, j job) ([]string, error) {
	encryption := 1 // preferred, as it comes
	if j.encrypted {
		encryption = 2 // required
	}
	err := j.settings("settings.json", fmt.Sprintf(`{"download-dir": %q, "utp-enabled": %t, "dht-enabled": false, "lpd-enabled": false, "port-forwarding-enabled": false, "encryption": %d}`,
		j.save, !j.byTCP, encryption))
	const script = `transmission-daemon --foreground --config-dir "$1" &
until transmission-remote --add "$2"; do sleep 0.1; done
until transmission-remote --torrent all --info | grep -q 'Percent Done: 100%'; do sleep 0.2; done
touch "$3"
wait`
	return []string{"/bin/sh", "-c", script, "transmission", j.home, j.torrent, j.done}, err
}

func qbittorrent(_ *options, j job) ([]string, error) {
	hook, err := j.hook()
	if err != nil {
		return nil, err
	}
	err = j.settings("qBittorrent/config/qBittorrent.conf", `[LegalNotice]
Accepted=true
[AutoRun]
enabled=true
program=`+hook+`
[BitTorrent]
Session\DHTEnabled=false
Session\LSDEnabled=false
`)
	return []string{"qbittorrent-nox", "--profile=" + j.home, "--save-path=" + j.save, "--add-paused=false", j.torrent}, err
}

func rtorrent(_ *options, j job) ([]string, error) {
	hook, err := j.hook()
	if err != nil {
		return nil, err
	}
	err = j.settings("rc", `directory.default.set = "`+j.save+`"
session.path.set = "`+j.home+`"
network.port_range.set = 6881-6881
dht.mode.set = disable
system.daemon.set = true
method.set_key = event.download.finished, done, "execute = `+hook+`"
log.open_file = "log", "`+filepath.Join(j.home, "log")+`"
log.add_output = "info", "log"
log.add_output = "tracker_debug", "log"
schedule2 = load, 0, 0, "load.start = \"`+j.torrent+`\""
`)
	return []string{"rtorrent", "-n", "-o", "import=" + filepath.Join(j.home, "rc")}, err
}

// ctorrent takes a path for what others name by a folder.
func ctorrent(_ *options, j job) ([]string, error) {
	hook, err := j.hook()
	return []string{"env", "-C", j.home, "ctorrent", "-s", filepath.Join(j.save, j.name()), "-X", hook, j.torrent}, err
}

// name is the torrent's, which its file has too.
func (j job) name() string { return strings.TrimSuffix(filepath.Base(j.torrent), ".torrent") }

func libtorrent(o *options, j job) ([]string, error) {
	argv := []string{"/usr/bin/python3", o.scripts + "/libtorrent_client.py", j.torrent, j.save, j.done}
	if j.encrypted {
		argv = append(argv, "rc4")
	}
	return argv, nil
}

// anacrolix saves to the directory in which it runs.
func anacrolix(o *options, j job) ([]string, error) {
	return []string{"env", "-C", j.save, o.anacrolix, "download", "--seed", "--no-dht", "--no-webtorrent", "--no-progress", j.torrent}, nil
}
