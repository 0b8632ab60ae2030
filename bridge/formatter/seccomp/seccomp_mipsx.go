//go:build mips || mipsle

package seccomp

import "golang.org/x/sys/unix"

// The runtime maps memory by the older call here, other than on ARM.
var ofArchitecture = []uint32{
	unix.SYS_MMAP, unix.SYS_MMAP2,
	unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_SIGRETURN,
}
