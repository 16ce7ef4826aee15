package client

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Visible is a name for people: what in it cannot be seen, or turns round the direction of
// what follows, is written as the escape of its code point (\u202e). Joiners stay, which
// some scripts and emoji are written with.
func Visible(name string) string {
	const joiners = "\u200c\u200d"
	hidden := func(r rune) bool {
		return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) && !strings.ContainsRune(joiners, r)
	}
	if !strings.ContainsFunc(name, hidden) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if hidden(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// FormatBytes is a number of bytes for people, in powers of 1024.
func FormatBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < 4 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}

// Percent is how much of something is there, with one decimal: 100 is for what is
// complete alone. Of nothing it is 0.
func Percent(done, total int64) float64 {
	if total <= 0 {
		return 0
	}
	return math.Floor(1000*float64(done)/float64(total)) / 10
}
