// Package api is the HTTP API of The Things Stack v3, as far as it concerns the devices
// and messages of an application: a door to the operations of bridge/admin. Each route
// of its table names its operation, and so the right that an API key needs.
//
// Everything that a client can make large is bounded: connections, all and of an
// address; headers, bodies, time; streams. A wrong key makes the next answers to its
// address slower.
package api
