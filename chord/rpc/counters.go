package rpc

import (
	"maps"
	"sync"
)

// counters counts what went wrong, by reason.
type counters struct {
	mu sync.Mutex
	m  map[string]uint64
}

func (c *counters) add(reason string) {
	c.mu.Lock()
	if c.m == nil {
		c.m = make(map[string]uint64)
	}
	c.m[reason]++
	c.mu.Unlock()
}

func (c *counters) snapshot() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		return map[string]uint64{}
	}
	return maps.Clone(c.m)
}
