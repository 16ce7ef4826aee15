package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// AddDownload looks for what a person named, see Client.Find, and queues
// it. What is queued already is gone on with. The errors are those of Client.Find and
// Client.Target.
func (d *Daemon) AddDownload(ctx context.Context, req api.AddDownload) (api.Job, error) {
	if err := check(req.Priority, req.LimitDown, req.LimitUp); err != nil {
		return api.Job{}, err
	}
	found, err := d.c.Find(ctx, req.Source)
	unknown := req.Follow && (errors.Is(err, communicator.ErrNotFound) || passing(err))
	if err != nil && !unknown {
		return api.Job{}, err
	}
	name := cmp.Or(found.Name, req.Source)
	path, err := d.c.Target(name, req.Target)
	if err != nil {
		return api.Job{}, err
	}
	if req.Target != "" && !filepath.IsAbs(req.Target) {
		return api.Job{}, fmt.Errorf("%w: the target %q is not absolute", client.ErrUsage, req.Target)
	}
	s := saved{
		ID: client.RecordID(client.Downloaded, name, path), Kind: api.Download, Name: name, Source: name, Path: path, Foreign: found.Foreign,
		Bytes: found.Size, Pieces: found.Pieces, State: api.Queued, Priority: req.Priority, Down: req.LimitDown, Up: req.LimitUp,
		Follow: req.Follow, Reserve: req.Preallocate, AnySpace: req.AnySpace, Added: time.Now(),
	}
	if found.Name != "" {
		s.InfoHash = hexOf(found.InfoHash[:])
	}
	switch {
	case found.Foreign && found.Metainfo == nil:
		s.Source = req.Source // a magnet link, which says all that is known
	case found.Foreign || req.Source != name:
		// What a .torrent describes, and not what the name will stand for later. The file
		// need not stay where it is.
		s.Source = d.torrentPath(s.ID)
	}
	return d.add(ctx, s, found.Metainfo)
}

// torrentPath is where the .torrent of a job is that is not of a name.
func (d *Daemon) torrentPath(id string) string {
	return filepath.Join(d.cfg.Storage.Dir(), "daemon", id+".torrent")
}

// AddPublication queues a file or directory to be published. The errors are those of
// client.CheckPublish.
func (d *Daemon) AddPublication(ctx context.Context, req api.AddPublication) (api.Job, error) {
	return d.addPublication(ctx, req, false)
}

func (d *Daemon) addPublication(ctx context.Context, req api.AddPublication, watched bool) (api.Job, error) {
	if req.Stream != "" {
		return d.addStream(ctx, req)
	}
	if !filepath.IsAbs(req.Path) {
		return api.Job{}, fmt.Errorf("%w: the path %q is not absolute", client.ErrUsage, req.Path)
	}
	if req.Torrent == "" {
		if err := client.CheckPublish(client.PublishRequest{Path: req.Path, Name: req.Name}); err != nil {
			return api.Job{}, err
		}
	}
	s := saved{
		Kind: api.Publication, Name: cmp.Or(req.Name, filepath.Base(req.Path)), Source: filepath.Clean(req.Path), Path: filepath.Clean(req.Path),
		State: api.Queued, Copy: req.Copy, Watched: watched, Large: isLarge(req.Path), Added: time.Now(),
	}
	var metainfo []byte
	if req.Torrent != "" {
		if !filepath.IsAbs(req.Torrent) || req.Name != "" || req.Copy {
			return api.Job{}, fmt.Errorf("%w: with a torrent, which is an absolute path, neither a name nor a copy can be asked for", client.ErrUsage)
		}
		var err error
		if s.Name, metainfo, err = client.CheckUpload(client.UploadRequest{Path: req.Path, Torrent: req.Torrent}); err != nil {
			return api.Job{}, err
		}
	}
	s.ID = client.RecordID(client.Published, s.Name, "")
	if metainfo != nil {
		s.Torrent = d.torrentPath(s.ID)
	}
	return d.add(ctx, s, metainfo)
}

// addStream queues a publication whose bytes a command is about to Bring.
func (d *Daemon) addStream(ctx context.Context, req api.AddPublication) (api.Job, error) {
	if req.Path != "" || req.Torrent != "" || req.Size < 0 {
		return api.Job{}, fmt.Errorf("%w: with a stream neither a path nor a torrent can be given, and the size is 0 when it is not known", client.ErrUsage)
	}
	if err := client.CheckName(req.Name); err != nil {
		return api.Job{}, err
	}
	return d.add(ctx, saved{
		ID: client.RecordID(client.Published, req.Name, ""), Kind: api.Publication, Name: req.Name, Path: filepath.Join(d.cfg.Storage.FilesDir(), req.Name),
		Source: rand.Text(), // no two streams are the same
		Stream: req.Stream, Expected: req.Size, AnySpace: req.AnySpace, State: api.Queued, Added: time.Now(),
	}, nil)
}

// largeFile is the size in bytes from which reading a file takes longer than
// publishing it.
const largeFile = 64 << 20

// isLarge says whether reading what is at a path keeps the disk busy.
func isLarge(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Size() >= largeFile)
}

// add queues a job, in place of an earlier one with the same id, and keeps its .torrent if
// the job has one of its own. A download that is under way, or
// done and served, is left to itself.
func (d *Daemon) add(ctx context.Context, s saved, metainfo []byte) (api.Job, error) {
	var l look
	err := d.tryUnlessRemoved(ctx, func() error {
		j := d.jobs[s.ID]
		if j != nil {
			if err := j.stays(); err != nil {
				return err
			}
		}
		if err := d.makeWay(s); err != nil {
			return err
		}
		if j != nil && j.Kind == api.Download && s.otherThan(&j.saved) {
			return &client.Hint{Err: fmt.Errorf("%w: %s is where job %s has another torrent of that name", client.ErrTargetExists, s.Path, j.ID[:8]),
				Next: "choose another target, or remove that job"}
		}
		if j != nil && j.Kind == api.Publication && j.State == api.Queued && j.Source != s.Source {
			return taken(j)
		}
		if at := d.torrentPath(s.ID); s.Source == at || s.Torrent == at {
			if err := client.ReplaceFile(at, metainfo); err != nil {
				return err
			}
		}
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
			s.Watched = s.Watched || j.Watched && j.Source == s.Source
			if s.Kind == api.Download || s.Stream != "" {
				s.Earlier = j.hasEarlier() // which is served until the new one is there
				j.cancel()
			} else { // what is at its path by now is not what was served
				d.stop(j)
			}
			j.saved, j.looked, j.bytes = s, false, nil
			if s.Stream != "" {
				j.bytes = make(chan brought)
			}
			d.enter(j)
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

// makeWay sees to it that one job at a time works on a subject: what serves an earlier
// version gives way when the new one is there, what is not done does not.
func (d *Daemon) makeWay(s saved) error {
	for other := d.named[s.about()]; other != nil; other = other.namesake {
		if other.ID == s.ID || !other.wanted() && other.served == nil {
			continue
		}
		if other.State == api.Queued {
			return taken(other)
		}
		other.GaveWay = s.ID
		d.save(other)
	}
	return nil
}

// taken says that a job has the name that another one would have.
func taken(by *job) error {
	return &client.Hint{Err: fmt.Errorf("%q is taken: the daemon works on it already, at %s", by.Name, by.Path),
		Next: "wait for job " + by.ID + ", or cancel it: btclient cancel " + by.ID}
}

// giveBack serves again what made way for a job that has come to nothing.
func (d *Daemon) giveBack(j *job) {
	for other := d.named[j.subject]; other != nil; other = other.namesake {
		if other.GaveWay == j.ID && other.State == api.Done {
			other.Quiet, other.GaveWay, other.Reason = false, "", ""
			d.wait(other)
			d.save(other)
		}
	}
}

// identify notes which torrent a job turned out to be about. What made way for it and only
// bears the same name serves on.
func (d *Daemon) identify(j *job, infoHash [20]byte, foreign bool) {
	now := j.saved
	now.InfoHash, now.Foreign = hexOf(infoHash[:]), foreign
	if now.about() != j.subject {
		d.giveBack(j)
	}
	j.saved = now
	d.enter(j)
}
