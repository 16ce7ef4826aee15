package transfer

import "sync"

// job is work that would hold a loop: hashing, writing, making pages resident.
// It posts its result to the loop that wanted it.
type job interface{ run() }

// workers is a fixed number of goroutines over one queue. Submitting never
// blocks a loop; how long the queue gets is bounded by the piece buffers and,
// for other jobs, by the connections.
type workers struct {
	mu     sync.Mutex
	some   *sync.Cond
	queue  []job
	ending bool
	all    sync.WaitGroup
}

func startWorkers(n int) *workers {
	w := &workers{}
	w.some = sync.NewCond(&w.mu)
	for range n {
		w.all.Go(w.work)
	}
	return w
}

func (w *workers) submit(j job) {
	w.mu.Lock()
	w.queue = append(w.queue, j)
	w.mu.Unlock()
	w.some.Signal()
}

func (w *workers) work() {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.ending {
			w.some.Wait()
		}
		if len(w.queue) == 0 {
			w.mu.Unlock()
			return
		}
		j := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.mu.Unlock()
		j.run()
	}
}

// close lets the queue run empty and ends the workers.
func (w *workers) close() {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.some.Broadcast()
	w.all.Wait()
}
