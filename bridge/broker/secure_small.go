//go:build small

package broker

import (
	"errors"
	"net"
)

// TLSConfig says how connections are encrypted: not at all in the small build,
// as TLS costs 2.5 MB and WebSocket another 1.6.
type TLSConfig struct{}

const hasTLS = false

var errSmall = errors.New("the small build has neither TLS nor WebSocket")

func (l *listener) encrypt(*conn, bool) (net.Conn, error) { return nil, errSmall }

func (l *listener) upgrade(*conn, net.Conn) (net.Conn, error) { return nil, errSmall }
