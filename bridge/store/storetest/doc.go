// Package storetest helps to test stores and their users: a disk in memory that
// fails and loses power as a real one does, and a conformance test of what every
// store promises.
package storetest
