//go:build race

package chord

// seedShare divides the number of seeds of the simulations: the race detector
// makes them some ten times slower, and they are single-threaded anyway.
const seedShare = 4
