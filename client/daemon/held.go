package daemon

import (
	"context"
	"encoding/hex"
	"fmt"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// Held gives what the content of a torrent, by its info hash, can be read from: what is
// served, else what is complete, by the path in the job, or else a Download that is under
// way. ErrNoJob when no job has it. While a later version is fetched the earlier one is held,
// as long as it is served.
func (d *Daemon) Held(ctx context.Context, infoHash string) (dl *client.Download, found api.Job, err error) {
	var want [20]byte
	n, _ := hex.Decode(want[:], []byte(infoHash[:min(len(infoHash), 2*len(want))]))
	known := n == len(want) && hexOf(want[:]) == infoHash
	err = d.try(ctx, func() error {
		for _, j := range d.jobs { // a hundred thousand, perhaps, for each request of a client
			if !known {
				break
			}
			hash, path := heldBy(j.served)
			switch {
			case j.served != nil && hash == want:
				dl, found = nil, d.look(j).job
				found.Path = path
				return nil
			case j.State == api.Done && j.InfoHash == infoHash:
				dl, found = nil, d.look(j).job
			case j.run != nil && j.run.d != nil && j.run.d.InfoHash == want && found.ID == "":
				dl, found = j.run.d, d.look(j).job
			}
		}
		if found.ID == "" {
			return &client.Hint{Err: fmt.Errorf("%w: none has the info hash %s", ErrNoJob, infoHash), Next: "btclient downloads shows what there is; it may have a later version by now"}
		}
		return nil
	})
	return dl, found, err
}

// heldBy is what is served, by its info hash, and where it lies.
func heldBy(s served) (infoHash [20]byte, path string) {
	switch s := s.(type) {
	case *client.Publication:
		return s.InfoHash, s.Path
	case *client.Download:
		return s.InfoHash, s.Path
	}
	return infoHash, ""
}
