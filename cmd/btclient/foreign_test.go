package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	"github.com/anacrolix/torrent/bencode"
	"github.com/rogpeppe/go-internal/testscript"

	"chordtorrent/transfer/storage"
)

// foreign NODE FILE TORRENT http|udp|none [private]: makes the .torrent of a file as others
// do, with the tracker of a chordnode in it. $MAGNET is its magnet link.
func cmdForeign(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[1])
	_, plain, _, err := storage.Build(context.Background(), path, filepath.Base(path), 1, nil)
	ts.Check(err)
	mi, _, err := storage.ParseTorrent(plain)
	ts.Check(err)
	var info map[string]any
	ts.Check(bencode.Unmarshal(mi.InfoBytes, &info))
	// What the ring may have by itself has another info hash.
	info["source"] = "elsewhere"
	if len(args) > 4 {
		info["private"] = 1
	}
	whole := map[string]any{"info": info, "created by": "somebody", "nodes": []any{[]any{"127.0.0.1", 1}}}
	tracker := ""
	if args[3] != "none" {
		tracker = args[3] + "://" + addressOf(ts, args[0], args[3]) + "/announce"
		// The first one is not there.
		whole["announce-list"] = [][]string{{"http://127.0.0.1:1/announce"}, {tracker}}
	}
	b, err := bencode.Marshal(whole)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
	mi, _, err = storage.ParseTorrent(b)
	ts.Check(err)
	ts.Setenv("MAGNET", fmt.Sprintf("magnet:?xt=urn:btih:%x&dn=%s&tr=%s", mi.HashInfoBytes(), url.QueryEscape(filepath.Base(path)), url.QueryEscape(tracker)))
}

// addressOf is where a chordnode of the script serves something, by its ready line.
func addressOf(ts *testscript.TestScript, name, what string) string {
	p := processOf(ts, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	m := regexp.MustCompile(` ` + what + `=(\S+)`).FindStringSubmatch(p.both.String())
	if m == nil {
		ts.Fatalf("%s does not say where its %s is", name, what)
	}
	return m[1]
}
