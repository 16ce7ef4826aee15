package web_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"chordtorrent/client/daemontest"
	"chordtorrent/communicator"
	"chordtorrent/communicator/picture"
)

// unreadable is what a person could not read of the picture of a ring: what is seen of
// two texts in one place, or beyond the edge of the picture or the window.
const unreadable = `(() => {
	const wrong = [];
	const frame = document.querySelector("svg.ringpic").getBoundingClientRect();
	const texts = [...document.querySelectorAll("svg.ringpic text")].filter((e) => getComputedStyle(e).visibility == "visible")
		.map((e) => ({ says: e.textContent, box: e.getBoundingClientRect() }));
	for (const [i, { says, box }] of texts.entries()) {
		if (box.left < Math.max(frame.left, 0) - 1 || box.right > Math.min(frame.right, document.documentElement.clientWidth) + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
			wrong.push("cut off: " + says);
		for (const other of texts.slice(i + 1))
			if (box.left < other.box.right && other.box.left < box.right && box.top < other.box.bottom && other.box.top < box.bottom)
				wrong.push(says + " overlaps " + other.says);
	}
	return wrong;
})()`

// pointAt is the middle of a dot that has no label, has not the focus and lies under no other.
const pointAt = `[...document.querySelectorAll("svg.ringpic .other:not(:focus) .member")].map((e) => {
	const { left, right, top, bottom } = e.getBoundingClientRect();
	return [e, (left + right) / 2, (top + bottom) / 2];
}).find(([e, x, y]) => document.elementFromPoint(x, y) == e).slice(1)`

// drawn gives a picture of a ring with random identifiers, and how many labels it shows.
func drawn(r *rand.Rand, size int) (svg string, labels int) {
	members := make([]communicator.Member, size)
	for i := range members {
		for k := range members[i].ID {
			members[i].ID[k] = byte(r.Uint32())
		}
		members[i].Addr = fmt.Sprintf("192.168.%d.%d:%d", 100+i/100, 100+i%100, 8000+i%3)
	}
	slices.SortFunc(members, func(a, b communicator.Member) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if labels = size; size > 24 {
		labels = 7 // its own, and three before and behind
	}
	return string(picture.SVG(members, members[r.IntN(size)].ID, "the node asked")), labels
}

func TestRingsOfAnySizeAreReadable(t *testing.T) {
	h := daemontest.New(t)
	s := open(t, h, "a", nil)
	b := newBrowser(t)
	if _, err := chromedp.Call(b.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, width := range []int64{360, 1400} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(scheme, width)
			b.open(s.url + "/ring")
			read[string](b, "an end of what brings the real ring", `document.querySelector("#part").id = "still"`)
			for _, size := range []int{3, 10, 40, 200} {
				what := fmt.Sprintf("%d members, %s, %d pixels", size, scheme, width)
				svg, labels := drawn(r, size)
				read[bool](b, what, fmt.Sprintf(`(document.querySelector("svg.ringpic").outerHTML = %q, true)`, svg))
				wants := func(labels int) {
					t.Helper()
					if wrong := read[[]string](b, what, unreadable); len(wrong) > 0 {
						t.Errorf("%s:\n%s", what, strings.Join(wrong, "\n"))
					}
					if n := read[int](b, what, `[...document.querySelectorAll("svg.ringpic .label")].filter((e) => getComputedStyle(e).visibility == "visible").length`); n != labels {
						t.Errorf("%s: %d labels are seen, not %d", what, n, labels)
					}
				}
				wants(labels)
				if wrong := read[[]string](b, what, rules); len(wrong) > 0 {
					t.Errorf("%s:\n%s", what, strings.Join(wrong, "\n"))
				}
				if labels < size { // whoever is pointed at shows its own, in place of whoever has the focus
					read[bool](b, what, `(document.querySelectorAll("svg.ringpic .other")[5].focus(), true)`)
					wants(labels + 1)
					at := read[[2]float64](b, what, pointAt)
					b.do(what, chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
					b.until(what+": a member pointed at", `document.querySelector("svg.ringpic .other:hover") != null`)
					wants(labels + 1)
					b.do(what, chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
				}
				if *screenshots != "" {
					b.picture(filepath.Join(*screenshots, fmt.Sprintf("ring-of-%d-%s-%d.png", size, scheme, width)))
				}
			}
		}
	}
}
