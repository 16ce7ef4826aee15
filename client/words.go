package client

import (
	"fmt"
	"math"
)

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
