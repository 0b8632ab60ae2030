//go:build race

package mac

// underRace: the race detector makes a simulated year too long.
const underRace = true
