// Package storetest tests stores, and those that use one: a disk in memory that
// fails and loses power as a real one does, and a test of what every store
// promises.
package storetest
