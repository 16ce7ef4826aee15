package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"chordtorrent/client"
)

// sample is how far something is at this moment.
type sample struct {
	state       string // a client.Stage, or downloading
	done, total int64  // bytes
	rate        int64  // bytes per second; < 0 means: find out from done
	peers       int
	note        string // shown to people: why nothing moves
}

// downloading is the state in which bytes move over the network.
const downloading = "downloading"

// How often progress is looked at.
const (
	barEvery  = 150 * time.Millisecond
	jsonEvery = time.Second
)

// meter shows the progress of one thing, as a bar or as JSON lines, until it
// is stopped. It asks for a sample at its own pace, on its own goroutine.
type meter struct {
	name  string
	stopC chan struct{}
	ended chan struct{}
}

// startMeter shows ask's samples in the way that --progress says; nil when
// nothing is to be shown. meterStop ends it.
func (a *app) startMeter(name string, ask func() sample) {
	a.meterStop()
	if a.progressMode == progressNone {
		return
	}
	m := &meter{name: name, stopC: make(chan struct{}), ended: make(chan struct{})}
	a.meter = m
	if a.progressMode == progressJSON {
		go m.runJSON(a.out, ask)
		return
	}
	bars := mpb.New(mpb.WithOutput(a.console.terminal), mpb.WithAutoRefresh(), mpb.WithWidth(40))
	a.console.divert(bars)
	go func() {
		m.runBar(bars, ask)
		a.console.divert(nil)
		close(m.ended)
	}()
}

func (a *app) meterStop() {
	if a.meter == nil {
		return
	}
	close(a.meter.stopC)
	<-a.meter.ended
	a.meter = nil
}

// pace turns samples into a steady rate and an estimate of what is left.
type pace struct {
	last     time.Time
	lastDone int64
	rate     float64
}

// longestETA is the longest time left that is told, in seconds: 30 days.
const longestETA = 30 * 24 * 3600

func (p *pace) see(s sample, now time.Time) (rate int64, eta *int64) {
	if s.rate >= 0 {
		p.rate = float64(s.rate)
	} else if !p.last.IsZero() && now.After(p.last) {
		current := float64(s.done-p.lastDone) / now.Sub(p.last).Seconds()
		if p.rate == 0 {
			p.rate = current
		}
		p.rate += 0.3 * (current - p.rate)
	}
	p.last, p.lastDone = now, s.done
	if p.rate >= 1 && s.total > s.done && (s.state != downloading || s.peers > 0) {
		// A rate that dies away promises ever more; nobody believes months.
		if sec := int64(float64(s.total-s.done)/p.rate + 0.5); sec < longestETA {
			eta = &sec
		}
	}
	return int64(p.rate), eta
}

func (m *meter) runJSON(out *output, ask func() sample) {
	defer close(m.ended)
	tick := time.NewTicker(jsonEvery)
	defer tick.Stop()
	var p pace
	for {
		s := ask()
		rate, eta := p.see(s, time.Now())
		out.object(progressEvent{Event: "progress", Name: m.name, BytesDone: s.done, BytesTotal: s.total,
			Rate: rate, Peers: s.peers, ETA: eta, State: s.state, Reason: s.note})
		select {
		case <-m.stopC:
			return
		case <-tick.C:
		}
	}
}

func (m *meter) runBar(bars *mpb.Progress, ask func() sample) {
	var mu sync.Mutex
	s := ask()
	var p pace
	rate, eta := p.see(s, time.Now())
	bar := bars.New(s.total, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprintf("%s %s ", shorten(m.name, 30), s.state)
		})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			mu.Lock()
			defer mu.Unlock()
			return describe(s, rate, eta)
		})))
	tick := time.NewTicker(barEvery)
	defer tick.Stop()
	for stopped := false; !stopped; {
		select {
		case <-m.stopC:
			stopped = true
		case <-tick.C:
		}
		now := ask()
		mu.Lock()
		s = now
		rate, eta = p.see(s, time.Now())
		mu.Unlock()
		bar.SetTotal(max(s.total, 1), false)
		bar.SetCurrent(s.done)
	}
	bar.Abort(false)
	bars.Wait()
}

// describe is the text beside a bar.
func describe(s sample, rate int64, eta *int64) string {
	percent := 100.0
	if s.total > 0 {
		percent = client.Percent(s.done, s.total)
	}
	text := fmt.Sprintf(" %5.1f %% of %s  %s/s", percent, client.FormatBytes(s.total), client.FormatBytes(rate))
	if s.state == downloading {
		text += "  " + peers(s.peers)
	}
	if eta != nil {
		text += "  " + (time.Duration(*eta) * time.Second).String() + " left"
	}
	if s.note != "" {
		text += "  (" + s.note + ")"
	}
	return text
}

func peers(n int) string {
	if n == 1 {
		return "1 peer"
	}
	return fmt.Sprintf("%d peers", n)
}

// shorten cuts a name for the terminal, by characters.
func shorten(name string, n int) string {
	name = client.Visible(name)
	if r := []rune(name); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return name
}

// console is standard error. While a bar is drawn, lines for people and the
// log go above it instead of through it.
type console struct {
	terminal io.Writer
	mu       sync.Mutex
	bars     io.Writer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bars != nil {
		if n, err := c.bars.Write(b); err == nil {
			return n, nil
		}
	}
	return c.terminal.Write(b)
}

func (c *console) divert(bars *mpb.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bars = nil
	if bars != nil {
		c.bars = bars
	}
}
