package nowait

import (
	"cmp"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flags of each call: it returns EAGAIN where it would wait.
const flags = unix.MSG_DONTWAIT

// long is how many bytes are more than one uplink brings.
const long = 2 << 10

// tell makes a system call of which the runtime is told.
func tell() { _, _, _ = unix.Syscall(unix.SYS_GETPID, 0, 0, 0) }

// cause returns what a call of a RawConn has failed for.
func cause(err error) error { return cmp.Or(errors.Unwrap(err), err) }

// send sends a datagram.
func send(fd uintptr, p []byte, to *address) (n int, errno syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), flags, uintptr(unsafe.Pointer(&to.RawSockaddrInet6)), uintptr(to.size))
		if errno != unix.EINTR {
			return int(r), errno
		}
	}
}

// receive takes a datagram from the kernel.
func receive(fd uintptr, p []byte, from *address) (n int, errno syscall.Errno) {
	for {
		from.size = unix.SizeofSockaddrInet6
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), flags, uintptr(unsafe.Pointer(&from.RawSockaddrInet6)), uintptr(unsafe.Pointer(&from.size)))
		if errno != unix.EINTR {
			return int(r), errno
		}
	}
}
