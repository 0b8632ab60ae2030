//go:build !small && !race && cgo

package formatter

// threadSlack is for the threads of the C library: each takes 8 MB of addresses for its
// stack, and a child that cannot have one ends. A child has some five threads.
const threadSlack = 16 * 8 << 20
