package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// elsewhere says which daemon a command means, if not that of the Storage.
type elsewhere struct {
	url       string
	tokenFile string
}

// daemonFlags adds the flags of the commands that any daemon can be asked for.
func (a *app) daemonFlags(f *pflag.FlagSet) {
	f.StringVar(&a.elsewhere.url, "daemon", "", "ask the daemon at this `URL`, http://HOST:PORT, instead of that of the Storage")
	a.tokenFlag(f)
}

func (a *app) tokenFlag(f *pflag.FlagSet) {
	f.StringVar(&a.elsewhere.tokenFile, "token-file", "", "the `FILE` with the token of a daemon on another machine, a copy of daemon/token in its Storage")
}

// maxToken bounds what is read of a token's file.
const maxToken = 4 << 10

// daemonAt is the daemon at a URL, with the token that the flags name.
func (a *app) daemonAt(url string) (*api.Remote, error) {
	token := ""
	if path := a.elsewhere.tokenFile; path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("the daemon's token: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxToken))
		if err != nil {
			return nil, fmt.Errorf("the daemon's token: %w", err)
		}
		if token = strings.TrimSpace(string(b)); token == "" || strings.ContainsAny(token, " \t\r\n") {
			return nil, &client.Hint{Err: fmt.Errorf("%s holds no token, which is one word", path), Next: "copy daemon/token from the Storage of that daemon"}
		}
	}
	return api.At(url, token)
}

// errNoDaemon is for commands that only a daemon can carry out.
var errNoDaemon = &client.Hint{Err: errors.New("no daemon of this Storage is running"), Next: "start it with: btclient serve"}

// mustRemote is the daemon that the flags name, or that of the Storage, or errNoDaemon.
func (a *app) mustRemote() (*api.Remote, error) {
	if a.elsewhere.url != "" {
		return a.daemonAt(a.elsewhere.url)
	}
	storage, err := a.openStorage()
	if err != nil {
		return nil, err
	}
	r, err := api.Find(storage.Dir())
	if err == nil && r == nil {
		err = errNoDaemon
	}
	return r, err
}
