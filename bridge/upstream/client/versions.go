package client

import "errors"

// Versions decides which version of MQTT is tried next.
type Versions struct {
	Next byte

	fixed   bool
	said    bool // the server has said that it does not speak the other version
	hasFive bool // it has spoken MQTT 5
}

// NewVersions returns Versions that try MQTT 5 first, or only the configured version; 0: none is.
func NewVersions(configured byte) *Versions {
	if configured != 0 {
		return &Versions{Next: configured, fixed: true}
	}
	return &Versions{Next: V5}
}

// After takes how a connection has ended. at once says that the other version is to be
// tried without a pause.
func (v *Versions) After(loggedIn bool, err error) (atOnce bool) {
	v.hasFive = v.hasFive || loggedIn && v.Next == V5
	switch {
	case v.fixed:
	case errors.Is(err, ErrVersion):
		atOnce = !v.said // but not both again and again
		v.Next, v.said = V5+V311-v.Next, true
	case v.Next == V5 && !v.hasFive && errors.Is(err, ErrClosed):
		// An older one may end the connection, and so may a bad network: MQTT 5 is tried
		// again later.
		v.Next, atOnce = V311, true
	case v.Next == V311 && !v.said:
		v.Next = V5
	}
	return atOnce
}
