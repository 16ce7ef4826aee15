package transfer

import (
	"time"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/wire"
)

const (
	maxUnderWay  = 16 << 20 // bytes asked of one peer
	firstTarget  = 8 * blockLen
	leastTarget  = 2 * blockLen
	usualQueue   = 250 // requests that a client takes which does not say how many
	ownQueue     = 1024
	pipelineTime = 100 * time.Millisecond
	// Others may answer in beats, Transmission every 500 ms: with less under way than two of
	// them bring, a peer would never be faster than it was at first.
	otherPipelineTime = time.Second
	snubAfter         = 10 * time.Second
	longestSnub       = 60 * time.Second
	// What is tolerated of blocks that nobody asked for: a cancel that crossed
	// the block on its way is accounted for exactly, this is for the rest.
	toleratedExcess = 4 * blockLen
)

// ask is a request, ours or the peer's: a range of a piece, for one of ours of
// one or more whole blocks.
type ask struct {
	piece       int
	begin, size uint32
	sent        time.Time // when we asked
}

func (c *conn) startPipeline() {
	c.target, c.slowStart = firstTarget, true
	c.excess = toleratedExcess
}

// grow doubles what is under way per round trip until the rate levels off.
func (c *conn) grow(n int) {
	if c.slowStart {
		c.target = min(c.target+n, maxUnderWay)
	}
}

// requestSize is how much one request asks for: small while there is little
// under way, so that there are always some and other messages get through
// between their answers, and large where it is worth it.
func (c *conn) requestSize() int {
	size := blockLen
	for 2*size <= c.maxRequest && 4*size <= c.target {
		size *= 2
	}
	return size
}

// fill asks for more until as much is under way as the rate makes good for.
func (c *conn) fill() {
	s := c.s
	if c.chokesUs || !c.wantIt || c.starved || s.complete() || s.halted() || s.paused() {
		return
	}
	target, size := c.target, c.requestSize()
	if c.snubbed {
		// Its old requests may still be answered, and are welcome then. New ones
		// would only be kept from others, but for one now and then.
		if !c.probe {
			return
		}
		c.probe, target, size = false, 1, blockLen
	}
	if s.pick.Endgame() {
		size = blockLen // what comes twice should be little
		if !s.late() {
			target = min(target, leastTarget)
		}
	}
	if c.askedBytes > target/2 && target-c.askedBytes < size {
		return
	}
	for c.askedBytes < target && len(c.asked) < c.maxAsked && c.state == open {
		n := (target - c.askedBytes + blockLen - 1) / blockLen
		n = min(n, (c.maxAsked-len(c.asked))*(size/blockLen))
		s.blocks = s.pick.Pick(c.id, n, s.blocks[:0])
		if !c.askFor(s.blocks, uint32(size)) || len(s.blocks) < n {
			return
		}
	}
}

// tailFor is how long those who owe the last blocks are trusted to send them.
const tailFor = 2 * time.Second

func (s *swarm) tickTail() {
	switch {
	case s.pick == nil || !s.pick.Endgame():
		s.tail = time.Time{}
	case s.tail.IsZero():
		s.tail = s.l.now
	}
}

// late tells whether the last blocks take longer than they should.
func (s *swarm) late() bool { return !s.tail.IsZero() && s.l.now.Sub(s.tail) >= tailFor }

// askFor sends requests for blocks that the picker has given out, neighbours
// together up to size bytes each. It gives those back that cannot be asked for
// and reports whether any was.
func (c *conn) askFor(blocks []picker.Block, size uint32) bool {
	s := c.s
	var run ask
	before := len(c.asked)
	for _, b := range blocks {
		if !s.mayAsk(c.id, b) {
			s.pick.Release(c.id, b)
			continue
		}
		if s.partialOf(b.Piece) == nil {
			c.starved = true
			s.pick.Release(c.id, b)
			continue
		}
		if run.size > 0 && run.piece == b.Piece && run.begin+run.size == b.Begin && run.size+b.Length <= size {
			run.size += b.Length
			continue
		}
		c.request(run)
		run = ask{piece: b.Piece, begin: b.Begin, size: b.Length}
	}
	c.request(run)
	return len(c.asked) > before
}

func (c *conn) request(a ask) {
	if a.size == 0 {
		return
	}
	a.sent = c.l.now
	if len(c.asked) == 0 {
		c.gotBlock = c.l.now // the wait for an answer begins here
	}
	c.asked = append(c.asked, a)
	c.askedBytes += int(a.size)
	c.s.partials[a.piece].asks++
	c.tell(wire.Message{ID: wire.Request, Index: uint32(a.piece), Begin: a.begin, Length: a.size})
}

// answered takes the request that a block answers off the list; false when
// there is none. Answers mostly come in the order of the requests.
func (c *conn) answered(in inflow) bool {
	for i, a := range c.asked {
		if a.piece == in.piece && a.begin == in.begin && a.size == in.size {
			c.unlist(i)
			return true
		}
	}
	return false
}

// unlist removes request i from the list, nothing more.
func (c *conn) unlist(i int) {
	a := c.asked[i]
	c.askedBytes -= int(a.size)
	if i == 0 {
		c.asked = c.asked[1:]
	} else {
		c.asked = append(c.asked[:i], c.asked[i+1:]...)
	}
	if p := c.s.partials[a.piece]; p != nil {
		p.asks--
	}
}

// giveUp frees request i for other peers. Its answer may still come.
func (c *conn) giveUp(i int) {
	a := c.asked[i]
	c.unlist(i)
	c.excess += int64(a.size)
	p := c.s.partials[a.piece]
	c.s.eachBlock(a.piece, a.begin, a.size, func(b picker.Block) {
		if p == nil || !p.got(b) {
			c.s.pick.Release(c.id, b)
		}
	})
	if p != nil {
		c.s.giveBack(p)
	}
}

// giveUpInflow frees the block that has stopped in the middle. If the rest still
// comes, before somebody else sends the whole, it is of use all the same.
func (c *conn) giveUpInflow() {
	if in := c.in; in.left > 0 && in.dst != nil {
		c.s.eachBlock(in.piece, in.begin, in.size, func(b picker.Block) { c.s.pick.Release(c.id, b) })
		c.s.wakeAll()
	}
}

func (c *conn) giveUpAll() {
	if len(c.asked) == 0 {
		return
	}
	for len(c.asked) > 0 {
		c.giveUp(len(c.asked) - 1)
	}
	c.s.wakeAll()
}

// cancel takes back the request for a block that came from somebody else,
// unless more was asked for with it that is still missing.
func (c *conn) cancel(b picker.Block) {
	for i, a := range c.asked {
		if a.piece != b.Piece || b.Begin < a.begin || b.Begin >= a.begin+a.size {
			continue
		}
		p := c.s.partials[a.piece]
		if p != nil && !p.hasAll(inflow{begin: a.begin, size: a.size}) {
			return
		}
		c.unlist(i)
		c.excess += int64(a.size)
		c.tell(wire.Message{ID: wire.Cancel, Index: uint32(a.piece), Begin: a.begin, Length: a.size})
		return
	}
}

// tickRequests adapts the pipeline to the rate and gives up requests that are
// not answered in time.
func (c *conn) tickRequests() {
	c.adapt()
	if c.downHeld {
		c.gotBlock = c.l.now // we do not listen
	}
	if len(c.refused) > 0 {
		c.forgive(-1)
	}
	if len(c.asked) > 0 || c.in.left > 0 {
		c.checkAnswers()
	}
	if c.snubbed && len(c.asked) == 0 && c.l.now.Sub(c.gotBlock) > snubAfter {
		c.probe = true
	}
	if c.starved && len(c.asked) == 0 {
		c.starved = false
	}
	if c.askedBytes < c.target {
		c.wake()
	}
}

func (c *conn) adapt() {
	if c.down.last == 0 {
		return
	}
	if c.slowStart && c.down.last < 1.25*c.bestRate {
		c.slowStart = false
	}
	c.bestRate = max(c.bestRate, c.down.last)
	if c.slowStart {
		return
	}
	rate := max(c.down.rate, c.down.last)
	ahead, least := pipelineTime, leastTarget
	if c.maxRequest == blockLen { // it is none of ours
		ahead, least = otherPipelineTime, firstTarget
	}
	ahead += 2 * roundTrip(c.fd)
	c.target = min(max(int(rate*ahead.Seconds()), least), maxUnderWay)
}

// checkAnswers finds out whether the peer has stopped to answer, wholly or for
// a single request.
func (c *conn) checkAnswers() {
	now := c.l.now
	patience := min(snubAfter<<min(c.snubs, 8), longestSnub)
	if now.Sub(c.gotBlock) > patience {
		c.snubbed = true
		c.snubs++
		c.target, c.slowStart, c.bestRate = leastTarget, true, 0
		c.s.log.Debug("peer does not answer", "addr", c.addr, "requests", len(c.asked))
		c.gotBlock = now
		c.giveUpInflow()
		c.giveUpAll()
		return
	}
	// A single one that was passed over: it has waited for longer than all that
	// is under way takes at this rate.
	due := snubAfter
	if c.down.rate > 0 {
		due += time.Duration(2 * float64(c.askedBytes) / c.down.rate * float64(time.Second))
	} else {
		return
	}
	for i := len(c.asked) - 1; i >= 0; i-- {
		if now.Sub(c.asked[i].sent) > due {
			c.giveUp(i)
		}
	}
}
