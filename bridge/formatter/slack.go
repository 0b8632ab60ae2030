//go:build !small && !race

package formatter

// childSlack is for what the runtime maps beside the heap: threads, tables.
const childSlack = 4<<20 + threadSlack

// maxRSS is the most memory that a child may have.
const maxRSS = 48 << 20

// raceDetector is for tests: it takes memory of its own.
const raceDetector = false
