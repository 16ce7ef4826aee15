package communicator

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"chordtorrent/communicator/ringtest"
)

// TestAnyTwoWritersOfOneNameEndConsistent puts the whole of one client's
// operation before each single step of another's: whatever the order, the
// views agree afterwards and no torrent is left in pieces.
func TestAnyTwoWritersOfOneNameEndConsistent(t *testing.T) {
	long := contentFor(t, "x", 1, 5*chunkBytes)
	other := contentFor(t, "x", 2, 300)
	variant := long
	variant.metainfo = bytes.Replace(long.metainfo, []byte("http://tracker"), []byte("http://another"), 1)
	put := func(what content) func(*Communicator) error {
		return func(c *Communicator) error {
			_, err := c.Publish(bg, what.v, what.metainfo)
			return err
		}
	}
	ops := map[string]func(*Communicator) error{
		"publish":           put(long),
		"publish another":   put(other),
		"publish a variant": put(variant),
		"unpublish": func(c *Communicator) error {
			err := c.Unpublish(bg, "x")
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		},
		"reassert": func(c *Communicator) error { return c.Reassert(bg, "x") },
	}
	for outer, outerOp := range ops {
		for inner, innerOp := range ops {
			t.Run(outer+" while "+inner, func(t *testing.T) {
				for _, published := range []bool{false, true} {
					for step, ran := 0, true; ran; step++ {
						ran = between(t, step, published, long, outerOp, innerOp)
					}
				}
			})
		}
	}
}

// between runs inner before the step-th operation of outer; false if outer
// has no such step.
func between(t *testing.T, step int, published bool, first content, outer, inner func(*Communicator) error) bool {
	ring := ringtest.New(1)
	one, two := client(t, ring), client(t, ring)
	if published {
		publish(t, two, first)
	}
	from, ran := ring.Calls(), false
	ring.Intercept(func(n int, _ any) *ringtest.Fault {
		if n != from+step {
			return nil
		}
		ran = true
		return &ringtest.Fault{Before: func(context.Context) {
			if err := inner(two); err != nil {
				t.Errorf("step %d, the inner one: %v", step, err)
			}
		}}
	})
	err := outer(one)
	ring.Intercept(nil)
	if err != nil {
		t.Errorf("step %d, the outer one: %v", step, err)
	}
	before := t.Failed()
	checkConsistent(t, one, "x")
	if t.Failed() && !before {
		t.Logf("first bad step: %d, published before: %v", step, published)
	}
	return ran
}
