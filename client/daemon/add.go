package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// AddDownload asks the ring for a name, or for what a .torrent describes, and queues
// it. What is queued already is gone on with. The errors are those of Client.Find and
// Client.Target.
func (d *Daemon) AddDownload(ctx context.Context, req api.AddDownload) (api.Job, error) {
	if err := check(req.Priority, req.LimitDown, req.LimitUp); err != nil {
		return api.Job{}, err
	}
	version, metainfo, err := d.c.Find(ctx, req.Source)
	unknown := req.Follow && (errors.Is(err, communicator.ErrNotFound) || passing(err))
	if err != nil && !unknown {
		return api.Job{}, err
	}
	name := cmp.Or(version.Name, req.Source)
	path, err := d.c.Target(name, req.Target)
	if err != nil {
		return api.Job{}, err
	}
	if req.Target != "" && !filepath.IsAbs(req.Target) {
		return api.Job{}, fmt.Errorf("%w: the target %q is not absolute", client.ErrUsage, req.Target)
	}
	s := saved{
		ID: client.RecordID(client.Downloaded, name, path), Kind: api.Download, Name: name, Source: name, Path: path,
		Bytes: version.Size, Pieces: version.Pieces, State: api.Queued, Priority: req.Priority, Down: req.LimitDown, Up: req.LimitUp,
		Follow: req.Follow, Reserve: req.Preallocate, AnySpace: req.AnySpace, Added: time.Now(),
	}
	if version.Name != "" {
		s.InfoHash = hexOf(version.InfoHash[:])
	}
	if req.Source != name {
		// What a .torrent describes, and not what the name will stand for later. The file
		// need not stay where it is.
		s.Source = filepath.Join(d.cfg.Storage.Dir(), "daemon", s.ID+".torrent")
		if err := client.ReplaceFile(s.Source, metainfo); err != nil {
			return api.Job{}, err
		}
	}
	return d.add(ctx, s)
}

// AddPublication queues a file or directory to be published. The errors are those of
// client.CheckPublish.
func (d *Daemon) AddPublication(ctx context.Context, req api.AddPublication) (api.Job, error) {
	return d.addPublication(ctx, req, false)
}

func (d *Daemon) addPublication(ctx context.Context, req api.AddPublication, watched bool) (api.Job, error) {
	if !filepath.IsAbs(req.Path) {
		return api.Job{}, fmt.Errorf("%w: the path %q is not absolute", client.ErrUsage, req.Path)
	}
	if err := client.CheckPublish(client.PublishRequest{Path: req.Path, Name: req.Name}); err != nil {
		return api.Job{}, err
	}
	name := cmp.Or(req.Name, filepath.Base(req.Path))
	return d.add(ctx, saved{
		ID: client.RecordID(client.Published, name, ""), Kind: api.Publication, Name: name, Source: filepath.Clean(req.Path), Path: filepath.Clean(req.Path),
		State: api.Queued, Copy: req.Copy, Watched: watched, Large: isLarge(req.Path), Added: time.Now(),
	})
}

// largeFile is the size in bytes from which reading a file takes longer than
// publishing it.
const largeFile = 64 << 20

// isLarge says whether reading what is at a path keeps the disk busy.
func isLarge(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Size() >= largeFile)
}

// add queues a job, in place of an earlier one with the same id. What is under way, or
// done and served, is left to itself.
func (d *Daemon) add(ctx context.Context, s saved) (api.Job, error) {
	var l look
	err := d.try(ctx, func() error {
		if err := d.makeWay(s); err != nil {
			return err
		}
		j := d.jobs[s.ID]
		if j == nil {
			j = &job{saved: saved{ID: s.ID, Name: s.Name}}
			d.enter(j)
		}
		served := j.State == api.Done && j.InfoHash == s.InfoHash && j.serving()
		if j.Kind == api.Download && (j.State == api.Queued || served) {
			j.Priority, j.Down, j.Up, j.Follow, j.Reserve, j.AnySpace = s.Priority, s.Down, s.Up, s.Follow, s.Reserve, s.AnySpace
			j.limit()
		} else {
			s.Version, s.Got = j.Version, j.Got
			if s.Kind == api.Download {
				s.Earlier = j.hasEarlier() // which is served until the new one is there
				j.cancel()
			} else {
				d.stop(j)
			}
			j.saved, j.looked = s, false
		}
		j.due, j.tries = time.Time{}, 0
		d.unwait(j)
		d.wait(j)
		d.log.Info("queued", "name", j.Name, "id", j.ID, "kind", string(j.Kind))
		d.save(j)
		l = d.look(j)
		return nil
	})
	if err != nil {
		return api.Job{}, err
	}
	return l.view(false), nil
}

// makeWay sees to it that one job at a time works on a name: what serves an earlier
// version gives way when the new one is there, what is not done does not.
func (d *Daemon) makeWay(s saved) error {
	for other := d.named[s.Name]; other != nil; other = other.namesake {
		if other.ID == s.ID || !other.wanted() && other.served == nil {
			continue
		}
		if other.State == api.Queued {
			return &client.Hint{Err: fmt.Errorf("%q is taken: the daemon works on it already, at %s", s.Name, other.Path),
				Next: "wait for job " + other.ID + ", or cancel it: btclient cancel " + other.ID}
		}
		other.GaveWay = s.ID
		d.save(other)
	}
	return nil
}

// giveBack serves again what made way for a job that has come to nothing.
func (d *Daemon) giveBack(j *job) {
	for other := d.named[j.Name]; other != nil; other = other.namesake {
		if other.GaveWay == j.ID && other.State == api.Done {
			other.Quiet, other.GaveWay, other.Reason = false, "", ""
			d.wait(other)
			d.save(other)
		}
	}
}
