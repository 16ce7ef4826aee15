package picture

import (
	"cmp"
	"encoding/binary"
	"math"
	"net"
	"slices"
	"strings"

	"chordtorrent/communicator"
)

// Lengths are in units of the picture, of which a page makes pixels.
const (
	font    = 12.0
	pitch   = 16.0  // from one label to the next below it
	gap     = 24.0  // between the ring and its labels, for lines
	elbow   = 9.0   // outside the ring, where a line turns to its label
	margin  = 14.0  // of the ring to the edge of the picture
	seen    = 400.0 // width, where labels leave the ring enough of it
	least   = 80.0  // radius of the ring beside long labels, and
	most    = 120.0
	longest = 21 // characters of a label: an IPv4 address with its port

	allLabels = 24 // members up to which every one has a label; with more of them
	around    = 3  // only as many before and behind the one that was asked
	maxDots   = 2000
)

// layout is where everything stands. The middle of the ring is 0, 0.
type layout struct {
	left, top, width, height float64 // what is seen
	radius                   float64
	dots                     []dot
	self                     int // index of dots; -1: it is no member
	step                     int // members that one dot stands for
	bare                     int // members without a label
}

// dot is a member on the ring.
type dot struct {
	at       int // index of members
	x, y, r  float64
	label    string
	wide     float64 // of the label
	labelled bool
	labelY   float64 // the middle of the label, if labelled
}

// side is 1 for what has its label on the right, -1 on the left.
func (d dot) side() float64 {
	if d.x < 0 {
		return -1
	}
	return 1
}

// angle is where an identifier lies: 0 at the top, clockwise, in radians.
func angle(id [20]byte) float64 {
	return 2 * math.Pi * float64(binary.BigEndian.Uint64(id[:8])) / math.MaxUint64
}

// layOut finds a place for each member, in ring order, and for the labels: in a column on
// each side, in the order in which their dots stand there, so that no line to a label
// crosses another.
func layOut(members []communicator.Member, self [20]byte) layout {
	n := len(members)
	l := layout{self: -1, step: max(1, (n+maxDots-1)/maxDots)}
	asked := slices.IndexFunc(members, func(m communicator.Member) bool { return m.ID == self })
	short := shortener(members)
	columns, widest := map[float64][]*dot{}, map[float64]float64{-1: margin, 1: margin}
	for i, m := range members {
		d := dot{at: i, label: short(m.Addr), r: dotRadius(n), labelled: n <= allLabels || asked >= 0 && apart(i, asked, n) <= around}
		if i%l.step != 0 && !d.labelled {
			continue
		}
		if i == asked {
			d.r, l.self = 8, len(l.dots)
		}
		sin, cos := math.Sincos(angle(m.ID))
		d.x, d.y, d.wide = sin, -cos, width(d.label)
		if d.labelled {
			widest[d.side()] = max(widest[d.side()], gap+d.wide+2)
		}
		l.dots = append(l.dots, d)
	}
	l.radius = math.Round(min(max((seen-widest[-1]-widest[1])/2, least), most))
	l.bare = n
	for i := range l.dots {
		d := &l.dots[i]
		d.x, d.y = d.x*l.radius, d.y*l.radius
		if d.labelled {
			columns[d.side()] = append(columns[d.side()], d)
			l.bare--
		}
	}
	bottom := l.radius + margin
	l.top = -bottom
	for _, column := range columns {
		spread(column)
		l.top = min(l.top, column[0].labelY-pitch/2)
		bottom = max(bottom, column[len(column)-1].labelY+pitch/2)
	}
	l.left, l.width, l.height = -l.radius-widest[-1], widest[-1]+2*l.radius+widest[1], bottom-l.top
	return l
}

// spread puts the labels of a column as near to their dots as they have room: half way
// between what pushes downwards only and what pushes upwards only. Both keep the
// distance, so what lies between them does.
func spread(column []*dot) {
	slices.SortStableFunc(column, func(a, b *dot) int { return cmp.Compare(a.y, b.y) })
	last := len(column) - 1
	up := make([]float64, len(column))
	for i := last; i >= 0; i-- {
		if up[i] = column[i].y; i < last {
			up[i] = min(up[i], up[i+1]-pitch)
		}
	}
	down := math.Inf(-1)
	for i, d := range column {
		down = max(d.y, down+pitch)
		d.labelY = (down + up[i]) / 2
	}
}

// apart is how many places lie between two members, the shorter way round.
func apart(i, j, n int) int {
	d := max(i-j, j-i)
	return min(d, n-d)
}

func dotRadius(members int) float64 {
	switch {
	case members <= allLabels:
		return 6
	case members <= 100:
		return 4
	}
	return 3
}

// shortener gives what leaves the part of an address out that all members have in common.
func shortener(members []communicator.Member) func(addr string) string {
	sameHost, samePort := len(members) > 1, len(members) > 1
	var host, port string
	for i, m := range members {
		h, p, err := net.SplitHostPort(m.Addr)
		if i == 0 {
			host, port = h, p
		}
		sameHost = sameHost && h == host && err == nil
		samePort = samePort && p == port && err == nil
	}
	return func(addr string) string {
		h, p, _ := net.SplitHostPort(addr)
		switch {
		case sameHost:
			addr = ":" + p
		case samePort:
			addr = h
		}
		if letters := []rune(addr); len(letters) > longest {
			// The end tells more: hosts of one network begin alike.
			addr = string(letters[:7]) + "…" + string(letters[len(letters)-longest+8:])
		}
		return addr
	}
}

// width is what a text takes in a sans-serif font. The picture holds fonts to it.
func width(text string) float64 {
	em := 0.0
	for _, c := range text {
		switch {
		case strings.ContainsRune(".:[]iljtf", c):
			em += 0.28
		case strings.ContainsRune("mwMW…", c):
			em += 0.9
		default:
			em += 0.56
		}
	}
	return em * font
}
