//go:build !(amd64 || arm64 || arm || mips || mipsle)

package seccomp

// No table of system calls: see program.
var ofArchitecture []uint32
