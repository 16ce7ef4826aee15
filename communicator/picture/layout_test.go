package picture

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"chordtorrent/communicator"
)

var seed = flag.Uint64("picture.seed", rand.Uint64(), "`seed` of the rings that are laid out")

// rectangle is what something takes in a picture.
type rectangle struct {
	left, top, right, bottom float64
	what                     string
}

func (r rectangle) meets(other rectangle) bool {
	return r.left < other.right && other.left < r.right && r.top < other.bottom && other.top < r.bottom
}

// boxes are the labels that are always edge.
func (l layout) boxes() []rectangle {
	var all []rectangle
	for _, d := range l.dots {
		if !d.labelled {
			continue
		}
		near := l.radius + gap
		r := rectangle{near, d.labelY - font*0.6, near + d.wide, d.labelY + font*0.6, d.label}
		if d.side() < 0 {
			r.left, r.right = -r.right, -r.left
		}
		all = append(all, r)
	}
	return all
}

// line is the way from a dot to its label.
func (l layout) line(d dot) [3][2]float64 {
	return [3][2]float64{{d.x, d.y}, {d.side() * (l.radius + elbow), d.y}, {d.side() * (l.radius + gap - 4), d.labelY}}
}

func crosses(a, b, c, d [2]float64) bool {
	turn := func(p, q, r [2]float64) float64 { return (q[0]-p[0])*(r[1]-p[1]) - (q[1]-p[1])*(r[0]-p[0]) }
	return turn(a, b, c)*turn(a, b, d) < 0 && turn(c, d, a)*turn(c, d, b) < 0
}

func check(t *testing.T, members []communicator.Member, self int) {
	t.Helper()
	l := layOut(members, members[self].ID)
	boxes := l.boxes()
	edge := rectangle{left: l.left, top: l.top, right: l.left + l.width, bottom: l.top + l.height}
	for i, a := range boxes {
		if a.left < edge.left || a.top < edge.top || a.right > edge.right || a.bottom > edge.bottom {
			t.Errorf("%+v is cut off by %+v", a, edge)
		}
		if math.Min(math.Abs(a.left), math.Abs(a.right)) < l.radius+14 { // dots are smaller
			t.Errorf("%+v lies on the ring", a)
		}
		for _, b := range boxes[i+1:] {
			if a.meets(b) {
				t.Errorf("%+v overlaps %+v", a, b)
			}
		}
	}
	for i, d := range l.dots {
		for _, e := range l.dots[i+1:] {
			if !d.labelled || !e.labelled || d.y == e.y {
				continue
			}
			a, b := l.line(d), l.line(e)
			if crosses(a[1], a[2], b[1], b[2]) || crosses(a[0], a[1], b[1], b[2]) || crosses(a[1], a[2], b[0], b[1]) {
				t.Errorf("the lines of %s and %s cross", d.label, e.label)
			}
		}
	}
	if l.self < 0 || l.dots[l.self].at != self || !l.dots[l.self].labelled {
		t.Errorf("of %d, %d has no label", len(members), self)
	}
	if len(boxes)+l.bare != len(members) || (len(members) <= allLabels) != (l.bare == 0) {
		t.Errorf("of %d, %d have labels and %d have none", len(members), len(boxes), l.bare)
	}
	// At 360 pixels, of which a page has 320 for it.
	if size := font * 320 / l.width; size < 8 {
		t.Errorf("letters of %.1f pixels in a narrow window", size)
	}
}

func TestLabelsDoNotOverlap(t *testing.T) {
	t.Logf("-picture.seed=%d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	addresses := map[string]func(i int) string{
		"ports": func(i int) string { return fmt.Sprintf("127.0.0.1:%d", 20000+i) },
		"hosts": func(i int) string { return fmt.Sprintf("192.168.%d.%d:8000", 100+i/100, 100+i%100) },
		"both":  func(i int) string { return fmt.Sprintf("192.168.%d.%d:%d", 100+i/100, 100+i%100, 20000+i) },
		"IPv6":  func(i int) string { return fmt.Sprintf("[2001:db8:1234:5678:9abc:def0:1234:%x]:%d", i, 20000+i) },
	}
	for name, address := range addresses {
		for _, n := range []int{1, 2, 3, 10, 24, 25, 40, 200} {
			for range 20 {
				// Within an arc as narrow as it likes to be, which random places seldom are.
				begin, arc := r.Uint64(), r.Uint64()>>r.IntN(64)
				members := make([]communicator.Member, n)
				for i := range members {
					id := begin + uint64(float64(arc)*r.Float64())
					for k := range 8 {
						members[i].ID[k] = byte(id >> (56 - 8*k))
					}
					members[i].ID[19], members[i].ID[18] = byte(i), byte(i>>8)
					members[i].Addr = address(i)
				}
				slices.SortFunc(members, func(a, b communicator.Member) int { return bytes.Compare(a.ID[:], b.ID[:]) })
				if check(t, members, r.IntN(n)); t.Failed() {
					t.Fatalf("%s, %d members", name, n)
				}
			}
		}
	}
}

func TestAddressesAreShortened(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"10.0.0.1:8000", "10.0.0.1:8001", ":8000"},
		{"10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.1"},
		{"10.0.0.1:8000", "10.0.0.2:8001", "10.0.0.1:8000"},
		{"[2001:db8::1]:8000", "[2001:db8::2]:8000", "2001:db8::1"},
		{"[2001:db8:1234:5678:9abc:def0:1234:1]:8000", "10.0.0.2:8001", "[2001:d…:1234:1]:8000"},
		{"no address", "10.0.0.2:8001", "no address"},
	} {
		if got := shortener([]communicator.Member{{Addr: c.first}, {Addr: c.second}})(c.first); got != c.want {
			t.Errorf("%s beside %s: %s", c.first, c.second, got)
		}
	}
	if got := shortener([]communicator.Member{{Addr: "10.0.0.1:8000"}})("10.0.0.1:8000"); got != "10.0.0.1:8000" {
		t.Errorf("alone: %s", got)
	}
}
