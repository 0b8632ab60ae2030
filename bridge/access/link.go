package access

import (
	"crypto/subtle"
	"time"
)

// Link checks the key with which a gateway comes to give its radio to this host. gateway is the id
// "eui-0242020000247803", which is in the place of the key's application. It returns the id of
// the key. The error is a Refusal; that of a key whose secret is not the right one is UnknownKey,
// Revoked, WrongSecret or NoKey.
func (r *Registry) Link(gateway, key string, now time.Time) (id string, err error) {
	id, secret, ok := split(key)
	if !ok {
		return "", NoKey
	}
	k, known := r.Key(id)
	// The comparison takes the same time for an unknown id as for a known one.
	right := subtle.ConstantTimeCompare(k.hash(secret), k.Hash) == 1
	switch {
	case known && right:
	case r.isRevoked(id):
		return "", Revoked
	case !known:
		return "", UnknownKey
	default:
		return "", WrongSecret
	}
	switch {
	case k.Application != gateway || !k.Rights.Has(GatewayLink):
		return "", OtherGateway
	case k.Expired(now):
		return "", Expired
	}
	return id, nil
}

// Holds reports whether a key is still there, and has not expired.
func (r *Registry) Holds(id string, now time.Time) bool {
	k, known := r.Key(id)
	return known && !k.Expired(now)
}
