// Package socket has the sockets that each uplink passes: the one of the packet forwarders, and those of clients.
//
// Package net tells the Go runtime of each system call, as it may block. The first one after a rest wakes the
// runtime's monitor, a thread that looks every 20 µs whether one does, until all threads rest again. And each write
// deadline is a timer, which wakes the process once more when its time has come. The radio lets the process rest
// before nearly each uplink, and there both together were a third of what it costs. A call that cannot block
// (MSG_DONTWAIT, see recv(2) and send(2)) needs no monitor, and a write that does not wait needs no deadline. What has
// to wait is left to package net.
//
// The price is that while the monitor sleeps, nothing interrupts a goroutine that goes on and on. So the runtime is
// told of calls where there is more to do than for one uplink: datagrams that come in a row or are long, and long
// writes.
package socket
