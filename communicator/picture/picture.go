// Package picture answers: what does a ring look like?
//
// It draws members at their places on the circle of identifiers, for the status page
// of a chordnode and for the page of a client. It asks nobody anything.
package picture

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"chordtorrent/communicator"
)

// SVG draws the members, which are in ring order, and the one that was asked, whom a page
// calls by these words ("this node"), in a shape of its own. Where there are too many for
// labels, the others show theirs in the middle of the ring while they are pointed at or
// have the focus.
//
// Colours come from the page's style: classes ring, member, self, label and note, and
// other for a member whose label is hidden, which that style has to show.
func SVG(members []communicator.Member, self [20]byte, words string) template.HTML {
	l := layOut(members, self)
	var b strings.Builder
	what := fmt.Sprintf("%d ring members on the circle of identifiers", len(members))
	if len(members) == 1 {
		what = "one ring member, alone on the circle of identifiers"
	}
	if l.self >= 0 {
		what += "; " + words + " is " + members[l.dots[l.self].at].Addr
	}
	fmt.Fprintf(&b, `<svg class="ringpic" viewBox="%.1f %.1f %.1f %.1f" font-size="%g" role="img" aria-label="%s"><circle class="ring" r="%g" fill="none"/>`,
		l.left, l.top, l.width, l.height, font, html.EscapeString(what), l.radius)
	for _, d := range l.dots {
		if d.labelled { // below all dots
			fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1fL%.1f %.1f" fill="none" stroke="currentColor" stroke-opacity=".5"/>`,
				d.x, d.y, d.side()*(l.radius+elbow), d.side()*(l.radius+gap-4), d.labelY)
		}
	}
	for i, d := range l.dots {
		if i != l.self {
			l.draw(&b, d, members[d.at], "")
		}
	}
	if l.self >= 0 { // above all others
		d := l.dots[l.self]
		l.draw(&b, d, members[d.at], " self")
	}
	l.notes(&b, words)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// draw draws a member and its label.
func (l layout) draw(b *strings.Builder, d dot, m communicator.Member, more string) {
	x, y, anchor := d.side()*(l.radius+gap), d.labelY, "start"
	switch {
	case !d.labelled:
		x, y, anchor = 0, hoverY, "middle"
		b.WriteString(`<g class="other" tabindex="-1">`)
	case d.side() < 0:
		anchor = "end"
	}
	fmt.Fprintf(b, `<circle class="member%s" cx="%.1f" cy="%.1f" r="%g">`, more, d.x, d.y, d.r)
	if d.labelled {
		fmt.Fprintf(b, `<title>%s  %x</title>`, html.EscapeString(m.Addr), m.ID[:4])
	}
	b.WriteString(`</circle>`)
	if more != "" {
		fmt.Fprintf(b, `<circle class="ring%s" cx="%.1f" cy="%.1f" r="%g" fill="none"/>`, more, d.x, d.y, d.r+4)
	}
	hidden := ""
	if !d.labelled {
		hidden = ` visibility="hidden"`
	}
	fmt.Fprintf(b, `<text class="label%s" x="%.1f" y="%.1f" dy=".35em" text-anchor="%s" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`,
		more, x, y, anchor, d.wide, hidden, html.EscapeString(d.label))
	if !d.labelled {
		b.WriteString(`</g>`)
	}
}

// hoverY is where in the ring the label of a member stands that has no other place.
const hoverY = -2 * pitch

// notes says within the ring what its shapes mean, and what cannot be seen.
func (l layout) notes(b *strings.Builder, words string) {
	var lines []string
	if l.self >= 0 {
		lines = append(lines, words)
	}
	if l.bare > 0 {
		lines = append(lines, fmt.Sprintf("%d not labelled:", l.bare), "point at a dot")
	}
	if l.step > 1 {
		lines = append(lines, fmt.Sprintf("1 dot for %d", l.step))
	}
	y := 0.0
	if l.bare > 0 {
		y = hoverY + 1.5*pitch
	}
	for i, line := range lines {
		dot := ""
		if i == 0 && l.self >= 0 {
			dot = `<tspan class="self" font-size="18">● </tspan>`
		}
		fmt.Fprintf(b, `<text class="note" y="%g" dy=".35em" text-anchor="middle">%s%s</text>`, y, dot, html.EscapeString(line))
		y += pitch
	}
}
