package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// Torrent gives the .torrent of what this daemon has of a name: all of a version or else, of
// one that is on its way, a part. Whoever fetches from it asks every few seconds whether that
// is another one by now. ErrNoJob or communicator.ErrNotFound when it has none.
func (d *Daemon) Torrent(ctx context.Context, name string) ([]byte, error) {
	var ids []string // of jobs, and so of their records
	err := d.do(ctx, func() {
		for _, j := range d.jobs {
			if j.Name == name {
				ids = append(ids, j.ID)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	h, err := d.cfg.Storage.HeldBy(name, ids)
	if errors.Is(err, communicator.ErrNotFound) {
		h.Metainfo, h.InfoHash, err = d.cfg.Storage.Torrent(name)
	}
	if err == nil {
		_, _, err = d.Held(ctx, hexOf(h.InfoHash[:]))
	}
	return h.Metainfo, err
}

// Held gives what the content of a torrent, by its info hash, can be read from: what is
// served, else what is complete, by the path in the job, or else a Download that is under
// way. ErrNoJob when no job has it. While a later version is fetched the earlier one is held,
// as long as it is served.
func (d *Daemon) Held(ctx context.Context, infoHash string) (dl *client.Download, found api.Job, err error) {
	none := &client.Hint{Err: fmt.Errorf("%w: none has the info hash %s", ErrNoJob, infoHash), Next: "btclient downloads shows what there is; it may have a later version by now"}
	b, err := hex.DecodeString(infoHash)
	if err != nil || len(b) != 20 || hexOf(b) != infoHash {
		return nil, found, none
	}
	want := [20]byte(b)
	err = d.try(ctx, func() error {
		for _, j := range d.jobs { // a hundred thousand, perhaps, for each request of a client
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
			return none
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
