//go:build !small && !(amd64 || arm64 || arm || mips || mipsle)

package formatter

// No table of system calls: see syscallFilter.
var ofArchitecture []uint32
