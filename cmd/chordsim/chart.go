package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart is a drawing of a few series over two axes.
type chart struct {
	title, xName, yName, note string
	x, y                      axis
	series                    []*series
}

type axis struct {
	min, max float64
	log      bool
	ticks    []tick
}

type tick struct {
	at    float64
	label string
}

// series is one curve: a line, or dots with ranges, or bars from zero.
type series struct {
	name, color string
	points      []point
	dashed      bool // a line
	dots        bool // dots on a line, and from low to high a thin one
	loose       bool // dots without the line
	bars        bool
}

type point struct {
	x, y      float64
	low, high float64 // equal: no range
}

// The size of a drawing and where its plane lies, in pixels.
const (
	chartWidth, chartHeight = 760, 460
	left, right             = 64, 740
	top, bottom             = 48, 372
)

// share is where a value lies on the axis, 0 to 1.
func (a axis) share(v float64) float64 {
	if a.log {
		return math.Log(v/a.min) / math.Log(a.max/a.min)
	}
	return (v - a.min) / (a.max - a.min)
}

func (c *chart) px(v float64) float64 { return left + c.x.share(v)*(right-left) }
func (c *chart) py(v float64) float64 { return bottom - c.y.share(v)*(bottom-top) }

// svg gives the drawing as a document of its own.
func (c *chart) svg() string {
	var b strings.Builder
	draw := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(x, y float64, anchor, more, s string) {
		draw(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, more, html.EscapeString(s))
	}
	draw(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222222">`, chartWidth, chartHeight)
	draw(`<rect width="%d" height="%d" fill="#ffffff"/>`, chartWidth, chartHeight)
	text(left, 26, "start", `font-size="16" font-weight="bold"`, c.title)
	for _, t := range c.y.ticks {
		y := c.py(t.at)
		draw(`<path d="M%d %.1fH%d" stroke="#e2e2e2"/>`, left, y, right)
		text(left-8, y+4, "end", "", t.label)
	}
	for _, t := range c.x.ticks {
		x := c.px(t.at)
		draw(`<path d="M%.1f %dv5" stroke="#888888"/>`, x, bottom)
		text(x, bottom+20, "middle", "", t.label)
	}
	draw(`<path d="M%d %dH%d" stroke="#888888"/>`, left, bottom, right)
	text((left+right)/2, bottom+40, "middle", "", c.xName)
	text(0, 0, "middle", fmt.Sprintf(`transform="translate(18 %d) rotate(-90)"`, (top+bottom)/2), c.yName)
	for _, s := range c.series {
		c.draw(s, draw)
	}
	c.legend(draw, text)
	text(left, chartHeight-16, "start", `font-size="12" fill="#555555"`, c.note)
	draw("</svg>")
	return b.String()
}

func (c *chart) draw(s *series, draw func(string, ...any)) {
	if s.bars {
		width := (c.px(1) - c.px(0)) * 0.7
		for _, p := range s.points {
			draw(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, c.px(p.x)-width/2, c.py(p.y), width, bottom-c.py(p.y), s.color)
		}
		return
	}
	var line strings.Builder
	for i, p := range s.points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", command, c.px(p.x), c.py(p.y))
	}
	if len(s.points) > 1 && !s.loose {
		dash := ""
		if s.dashed {
			dash = ` stroke-dasharray="6 4"`
		}
		draw(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, line.String(), s.color, dash)
	}
	if !s.dots {
		return
	}
	for _, p := range s.points {
		x := c.px(p.x)
		if p.low != p.high {
			draw(`<path d="M%.1f %.1fV%.1fm-4 0h8M%.1f %.1fh8" fill="none" stroke="%s"/>`, x, c.py(p.low), c.py(p.high), x-4, c.py(p.low), s.color)
		}
		draw(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, x, c.py(p.y), s.color)
	}
}

// legend names the series that have something to show, in the corner above the
// plane on the left.
func (c *chart) legend(draw func(string, ...any), text func(x, y float64, anchor, more, s string)) {
	y := float64(top + 14)
	for _, s := range c.series {
		if len(s.points) == 0 {
			continue
		}
		switch {
		case s.bars:
			draw(`<rect x="%d" y="%.1f" width="22" height="10" fill="%s"/>`, left+14, y-9, s.color)
		case s.dashed:
			draw(`<path d="M%d %.1fh22" stroke="%s" stroke-width="2" stroke-dasharray="6 4"/>`, left+14, y-4, s.color)
		case s.loose:
			draw(`<circle cx="%d" cy="%.1f" r="4" fill="%s"/>`, left+25, y-4, s.color)
		default:
			draw(`<path d="M%d %.1fh22" stroke="%s" stroke-width="2"/><circle cx="%d" cy="%.1f" r="4" fill="%s"/>`, left+14, y-4, s.color, left+25, y-4, s.color)
		}
		text(left+44, y, "start", "", s.name)
		y += 19
	}
}
