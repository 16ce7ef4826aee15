// Package picture answers: what does a ring look like?
//
// It draws members at their places on the circle of identifiers, for the status page
// of a chordnode and for the page of a client. It asks nobody anything.
package picture

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"chordtorrent/communicator"
)

const (
	width   = 500.0 // with room for addresses on both sides
	height  = 310.0
	radius  = 120.0
	labels  = 24 // more members than these have no room for their addresses
	dots    = 400
	maxDots = 2000
)

// angle is where an identifier lies: 0 at the top, clockwise, in radians.
func angle(id [20]byte) float64 {
	return 2 * math.Pi * float64(binary.BigEndian.Uint64(id[:8])) / math.MaxUint64
}

// SVG draws the members, and the one that was asked in a shape of its own. Colours
// come from the page's style: classes ring, member, self and label.
func SVG(members []communicator.Member, self [20]byte) template.HTML {
	var b strings.Builder
	what := fmt.Sprintf("%d ring members on the circle of identifiers", len(members))
	if len(members) == 1 {
		what = "one ring member, alone on the circle of identifiers"
	}
	fmt.Fprintf(&b, `<svg class="ringpic" viewBox="0 0 %g %g" role="img" aria-label="%s"><circle class="ring" cx="%g" cy="%g" r="%g" fill="none"/>`,
		width, height, what, width/2, height/2, radius)
	for i, m := range members {
		if i == maxDots {
			break
		}
		sin, cos := math.Sincos(angle(m.ID))
		x, y := width/2+radius*sin, height/2-radius*cos
		class, r := "member", 6.0
		if m.ID == self {
			class, r = "member self", 8
		}
		if len(members) > dots/4 {
			r /= 2
		}
		fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%g"><title>%s  %s</title></circle>`, class, x, y, r,
			html.EscapeString(m.Addr), hex.EncodeToString(m.ID[:4]))
		if len(members) <= labels {
			anchor := "start"
			switch {
			case math.Abs(sin) < 0.3:
				anchor = "middle"
			case sin < 0:
				anchor = "end"
			}
			fmt.Fprintf(&b, `<text class="label" x="%.1f" y="%.1f" text-anchor="%s" dominant-baseline="middle">%s</text>`,
				width/2+(radius+16)*sin, height/2-(radius+16)*cos, anchor, html.EscapeString(shortAddr(m.Addr, members)))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// shortAddr leaves the part out that all members have in common.
func shortAddr(addr string, members []communicator.Member) string {
	host, port, _ := strings.Cut(addr, ":")
	sameHost, samePort := true, true
	for _, m := range members {
		h, p, _ := strings.Cut(m.Addr, ":")
		sameHost = sameHost && h == host
		samePort = samePort && p == port
	}
	switch {
	case strings.HasPrefix(addr, "["): // IPv6
		return addr
	case sameHost && len(members) > 1:
		return ":" + port
	case samePort && len(members) > 1:
		return host
	}
	return addr
}
