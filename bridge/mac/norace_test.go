//go:build !race

package mac

const underRace = false
