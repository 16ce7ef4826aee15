//go:build !race

package chord

// seedShare divides the number of seeds of the simulations.
const seedShare = 1
