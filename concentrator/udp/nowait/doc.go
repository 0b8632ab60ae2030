// Package nowait has a UDP socket for datagrams that come one by one after a rest, as uplinks do.
//
// Package net tells the Go runtime of each system call, as it may block. The first one after a rest wakes the
// runtime's monitor, a thread that looks every 20 µs whether one does, until all threads rest again. And each write
// deadline is a timer, which wakes the process once more when its time has come. A call that cannot block
// (MSG_DONTWAIT, see recv(2) and send(2)) needs no monitor, and a write that does not wait needs no deadline. What has
// to wait is left to package net. bridge/broker/nowait is the same for what goes out to clients; without both an
// uplink that wakes the process costs 1.3 to 1.6 times as much (packaging/README.md).
//
// The price is that while the monitor sleeps, nothing interrupts a goroutine that goes on and on. So the runtime is
// told of calls where there is more to do than for one uplink: of datagrams that come in a row or are long.
package nowait
