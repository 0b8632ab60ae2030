//go:build !small && (amd64 || arm64)

package formatter

import "golang.org/x/sys/unix"

var ofArchitecture = []uint32{unix.SYS_MMAP, unix.SYS_EPOLL_PWAIT2}
