//go:build race

package nowait

import "syscall"

// release tells the race detector what package net tells it of each write to a stream: what was done before it is seen
// by who reads it.
func release() { _, _ = syscall.Write(-1, nil) }
