//go:build amd64 || arm64

package seccomp

import "golang.org/x/sys/unix"

var ofArchitecture = []uint32{unix.SYS_MMAP, unix.SYS_EPOLL_PWAIT2}
