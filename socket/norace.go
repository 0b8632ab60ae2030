//go:build !race

package socket

func release() {}
