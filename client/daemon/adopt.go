package daemon

import (
	"chordtorrent/client"
	"chordtorrent/client/api"
)

// adopt makes jobs of what commands published and downloaded in this Storage while no
// daemon was there. What is complete is served; what was interrupted waits for a
// person to go on with it.
func (d *Daemon) adopt() error {
	records, err := d.cfg.Storage.RecordsBut(func(id string) bool { return d.jobs[id] != nil })
	if err != nil {
		return err
	}
	for _, r := range records {
		s := saved{ID: r.ID, Kind: api.Download, Name: r.Name, Source: r.Name, Path: r.Path, InfoHash: r.InfoHash,
			Foreign: r.Foreign, Bytes: r.Bytes, Pieces: r.Pieces, Copy: r.Copy, Added: r.Started, Finished: r.Finished, State: api.Done, Version: 1, Earlier: r.Earlier != ""}
		if r.Foreign {
			s.Source = d.cfg.Storage.TorrentPathOf(r)
		}
		if r.Kind == client.Published {
			if r.State == client.Failed || r.State == client.Unpublished || r.State == client.Interrupted {
				continue
			}
			if r.Foreign {
				s.Torrent = s.Source
			}
			s.Kind, s.Source = api.Publication, r.Path
		} else {
			switch r.State {
			case client.Done:
			case client.Failed:
				s.State, s.Error = api.Failed, r.Error
			default:
				s.State, s.Reason = api.Paused, "a command was interrupted"
			}
		}
		j := &job{saved: s}
		d.enter(j)
	}
	return nil
}
