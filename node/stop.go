package node

import (
	"context"
	"errors"
	"time"
)

// leaveTimeout bounds an orderly leave; the ring mends what it did not finish.
const leaveTimeout = 10 * time.Second

// goodbyeTimeout bounds how long gossip waits for somebody to tell of the
// leave: when all leave at once nobody is left to tell.
const goodbyeTimeout = 500 * time.Millisecond

// errHasty means that the time for the hand-over was too short.
var errHasty = errors.New("left before everything was handed over: the ring restores the copies from others")

// Close leaves the ring: the node hands over what it holds, within 10 s and
// while ctx lasts, then ends. The error says what was not as it should be;
// the node has ended in any case.
func (n *Node) Close(ctx context.Context) error {
	n.stopOnce.Do(func() { n.stopErr = n.close(ctx) })
	return n.stopErr
}

func (n *Node) close(ctx context.Context) error {
	n.leaving.Store(true)
	var errs []error
	if !n.handOver(ctx) {
		errs = append(errs, errHasty)
	}
	if err := n.gossip.leave(goodbyeTimeout); err != nil {
		n.log.Debug("nobody heard us leave", "err", err)
	}
	n.cancel() // the announcer says goodbye
	errs = append(errs, n.teardown())
	n.workers.Wait()
	if n.multicast != nil {
		errs = append(errs, n.multicast.Close())
	}
	errs = append(errs, n.db.Close(), n.dir.Close())
	return errors.Join(errs...)
}

// handOver lets the Member leave; false when it had no time to.
func (n *Node) handOver(ctx context.Context) bool {
	timer := time.NewTimer(leaveTimeout)
	defer timer.Stop()
	n.loop.queue.post(leave{})
	select {
	case <-n.loop.left:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// kill ends the node as a crash would: it says nothing to anybody and writes
// nothing more. It copes with a node that was started half.
func (n *Node) kill() {
	n.stopOnce.Do(func() {
		if n.multicast != nil {
			_ = n.multicast.Close() // before the announcer can say goodbye
		}
		n.cancel()
		_ = n.teardown() // a crash does not mind
		n.workers.Wait()
		if n.db != nil {
			_ = n.db.Abandon()
		}
		if n.dir != nil {
			_ = n.dir.Close()
		}
	})
}

// teardown closes the sockets and ends the loop.
func (n *Node) teardown() error {
	var errs []error
	if n.udp != nil {
		errs = append(errs, n.udp.close())
	}
	if n.http != nil {
		errs = append(errs, n.http.close())
	}
	if n.gossip != nil {
		errs = append(errs, n.gossip.stop())
	}
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	if n.split != nil {
		errs = append(errs, n.split.Close())
	}
	if n.gossip != nil { // the loop runs since
		close(n.loop.stop)
		<-n.loop.done
	}
	return errors.Join(errs...)
}
