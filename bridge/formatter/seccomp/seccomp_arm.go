package seccomp

import "golang.org/x/sys/unix"

var ofArchitecture = []uint32{
	unix.SYS_MMAP2, unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_SIGRETURN,
}
