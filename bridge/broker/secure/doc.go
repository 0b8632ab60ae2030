// Package secure does the TLS handshakes of connections from clients, each in its turn.
package secure
