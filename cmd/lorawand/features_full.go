//go:build !small

package main

const hasHTTP = true

func init() { features = append(features, "http") }
