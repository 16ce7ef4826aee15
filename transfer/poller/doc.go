// Package poller answers one question for an event loop: which of my
// descriptors can be read or written now?
//
// The main type is Poller: create (New), Add, Modify, Remove, Wait, plus Wake.
// All methods are for the goroutine that runs the loop, except Wake, which any
// goroutine may call at any time to make a Wait return.
//
// Two implementations stand behind the one contract: epoll(7) on Linux and
// poll(2) on every Unix. poll(2) is built and tested on Linux too, by the same
// conformance suite. Both are level-triggered: a descriptor that stays ready is
// reported again by the next Wait, so a handler may stop halfway and come back.
//
// A goroutine in the Wait of epoll is parked, as in any Go network call: it holds no
// thread. In that of poll(2) it does.
//
// Left to the caller: making descriptors non-blocking, closing them (after
// Remove), timers (through Wait's time-out), and what a descriptor means.
package poller
