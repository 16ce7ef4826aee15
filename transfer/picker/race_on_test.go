//go:build race

package picker

const raceOn = true
