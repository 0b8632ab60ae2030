//go:build !small && !race && !cgo

package formatter

// threadSlack is nothing where the runtime makes threads itself: their stacks are small.
const threadSlack = 0
