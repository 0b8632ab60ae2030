//go:build !small && race

package formatter

// These are larger with the race detector, which keeps a record of all memory.
const (
	childSlack = 512 << 20
	maxRSS     = 256 << 20
)

// raceDetector is for tests: it takes memory of its own.
const raceDetector = true
