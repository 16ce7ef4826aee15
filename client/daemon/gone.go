package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"chordtorrent/client"
	"chordtorrent/communicator"
)

// leavingAtOnce is how many names are taken out of the ring at a time.
const leavingAtOnce = 16

// leave takes names out of the ring whose files are gone.
func (w *watcher) leave(gone []string) {
	var wg sync.WaitGroup
	failed := make([]bool, len(gone))
	turns := make(chan struct{}, leavingAtOnce)
	for i, name := range gone {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			err := w.unpublish(w.d.ctx, name)
			failed[i] = err != nil
			if err != nil && w.d.ctx.Err() == nil {
				w.d.log.Warn("the name of a removed file is still in the ring: to be tried again", "name", name, "err", err)
			}
		})
	}
	wg.Wait()
	for i, name := range gone {
		if failed[i] {
			w.entries[name] = &watched{}
			w.dirty[name] = time.Now().Add(rescanEvery)
		}
	}
}

// unpublish takes the name of an entry that is gone out of the ring, unless somebody else
// has published something newer under it, or a person something from elsewhere.
func (w *watcher) unpublish(ctx context.Context, name string) error {
	id := client.RecordID(client.Published, name, "")
	j, err := w.d.Job(ctx, id)
	if errors.Is(err, ErrNoJob) {
		return nil
	}
	if err != nil {
		return err
	}
	if !j.Watched || j.Path != filepath.Join(w.dir, name) {
		return nil
	}
	versions, err := w.d.ring.Versions(ctx, name)
	if err != nil && !errors.Is(err, communicator.ErrNotFound) {
		return err
	}
	if len(versions) > 0 && hexOf(versions[0].InfoHash[:]) == j.InfoHash {
		if err := w.d.Unpublish(ctx, name); err != nil {
			return err
		}
		w.d.log.Info("unpublished, as the file is gone", "name", name)
	}
	return w.d.Remove(ctx, id, false)
}
