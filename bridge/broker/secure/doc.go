// Package secure does the TLS handshakes of the broker's connections.
package secure
