//go:build !race

package picker

const raceOn = false
