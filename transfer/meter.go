package transfer

import (
	"math"
	"time"
)

// meter measures a rate: bytes are added as they pass, and each tick moves the
// rate towards what passed since the last one.
type meter struct {
	total int64   // bytes ever
	since int64   // bytes since the last tick
	last  float64 // bytes per second between the last two ticks
	rate  float64 // bytes per second, smoothed over about meterWindow
}

const meterWindow = time.Second

func (m *meter) add(n int) {
	m.total += int64(n)
	m.since += int64(n)
}

func (m *meter) tick(passed time.Duration) {
	if passed <= 0 {
		return
	}
	m.last = float64(m.since) / passed.Seconds()
	m.since = 0
	if m.rate == 0 {
		m.rate = m.last
		return
	}
	m.rate += (m.last - m.rate) * (1 - math.Exp(-float64(passed)/float64(meterWindow)))
	if m.rate < 1 {
		m.rate = 0
	}
}
