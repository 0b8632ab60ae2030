package main

import "fmt"

// plural returns a number and the noun, with an s for the plural: "1 gateway", "2
// gateways".
func plural[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
