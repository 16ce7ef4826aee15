package daemon

import (
	"context"
	"fmt"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// Held gives what the content of a torrent, by its info hash, can be read from: a Download
// that is under way, or else the path of what is complete, in the job. ErrNoJob when no job
// has it. While a later version is fetched the earlier one is held, as long as it is served.
func (d *Daemon) Held(ctx context.Context, infoHash string) (dl *client.Download, found api.Job, err error) {
	err = d.try(ctx, func() error {
		for _, j := range d.jobs {
			hash, path := heldBy(j.served)
			switch {
			case j.served != nil && hash == infoHash:
				dl, found = nil, d.look(j).job
				found.Path = path
				return nil
			case j.State == api.Done && j.InfoHash == infoHash:
				dl, found = nil, d.look(j).job
				return nil
			case j.run != nil && j.run.d != nil && hexOf(j.run.d.InfoHash[:]) == infoHash:
				dl, found = j.run.d, d.look(j).job // unless somebody has all of it
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
func heldBy(s served) (infoHash, path string) {
	switch s := s.(type) {
	case *client.Publication:
		return hexOf(s.InfoHash[:]), s.Path
	case *client.Download:
		return hexOf(s.InfoHash[:]), s.Path
	}
	return "", ""
}
