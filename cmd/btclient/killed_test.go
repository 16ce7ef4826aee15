package main

import (
	"bytes"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"chordtorrent/transfer/storage"
)

var kills = flag.Int("btclient.kills", 4, "how often a download, and a daemon with five of them, is killed at a random moment")

// killed NAME SOURCE USER: downloads NAME again and again, kills each download once
// about as much of it is on disk as chance says, and starts it anew. What was whole
// on disk, in the journal or not, is not fetched a second time; and the end is SOURCE.
func cmdKilled(ts *testscript.TestScript, neg bool, args []string) {
	name, source := args[0], ts.MkAbs(args[1])
	mi, err := os.ReadFile(filepath.Join(ts.MkAbs("storage-"+args[2]), "torrents", name+".torrent"))
	ts.Check(err)
	_, layout, err := storage.ParseTorrent(mi)
	ts.Check(err)
	seed := rand.Uint64()
	ts.Logf("seed %#x", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for n := range *kills {
		id := strconv.Itoa(n)
		out := "out-" + id
		user, download := "killed-"+id, []string{"download", name, "-o", out, "--seed-for", "0s", "--json", "--progress", "none"}
		p := spawn(ts, "download-"+id, "btclient", append(common(ts, user), download...)...)
		killAt(p, ts.MkAbs(out+".part"), random.Int64N(layout.Total))
		whole := wholePieces(ts, ts.MkAbs(out+".part"), source, layout.PieceLength)
		if _, err := os.Stat(ts.MkAbs(out)); err == nil {
			whole = layout.Total // it was faster
		}
		ts.Logf("kill %d: %d of %d bytes were whole on disk", n, whole, layout.Total)
		cmdBt(ts, false, append([]string{"0", user}, download...))
		cmdFetched(ts, false, []string{strconv.FormatInt(layout.Total-whole, 10)})
		cmdSame(ts, false, []string{out, source})
		ts.Check(os.Remove(ts.MkAbs(out)))
	}
}

// killAt kills the process as soon as so much of the file is on disk, or it is done.
func killAt(p *process, part string, bytes int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		var st syscall.Stat_t
		if err := syscall.Stat(part, &st); err == nil && st.Blocks*512 >= bytes {
			_ = p.cmd.Process.Kill() // it may have ended
		}
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
	}
}

// wholePieces is how many bytes of the partial file are those of whole pieces.
func wholePieces(ts *testscript.TestScript, part, source string, pieceLength int64) (whole int64) {
	a, err := os.Open(part)
	if os.IsNotExist(err) {
		return 0
	}
	ts.Check(err)
	defer a.Close()
	b, err := os.Open(source)
	ts.Check(err)
	defer b.Close()
	have, want := make([]byte, pieceLength), make([]byte, pieceLength)
	for {
		n, err := io.ReadFull(b, want)
		if n == 0 {
			return whole
		}
		m, _ := io.ReadFull(a, have[:n])
		if m == n && bytes.Equal(have[:n], want[:n]) {
			whole += int64(n)
		}
		if err != nil {
			return whole
		}
	}
}
