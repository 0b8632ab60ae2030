package access

import "time"

// Refusal is the reason for refusing a login. It is an ErrLogin. The owner sees it,
// the client does not.
type Refusal string

// Reasons for refusing a login.
const (
	NoKey              Refusal = "no_api_key" // the password is not an API key
	UnknownApplication Refusal = "unknown_application"
	UnknownTenant      Refusal = "unknown_tenant"
	UnknownKey         Refusal = "unknown_key"
	WrongSecret        Refusal = "wrong_key" // the id is right, the secret is not
	OtherApplication   Refusal = "key_of_another_application"
	Revoked            Refusal = "revoked" // since the program started
	Expired            Refusal = "expired"
	OfGateway          Refusal = "key_of_a_gateway"       // it lets a gateway in, and no client
	OtherGateway       Refusal = "key_of_another_gateway" // or of an application
)

// Error implements error.
func (r Refusal) Error() string { return ErrLogin.Error() }

// Is reports whether the target is ErrLogin.
func (r Refusal) Is(target error) bool { return target == ErrLogin }

// mostRevoked limits how many revoked keys are remembered.
const mostRevoked = 256

// refusal returns why a login is refused, or "". The caller must not hold the lock.
func (r *Registry) refusal(
	application, tenant string, hasTenant bool, k *Key, id string, form, right bool, now time.Time,
) Refusal {
	switch {
	case form && right && k.Application == application && application != "":
		if hasTenant && tenant != r.tenant {
			return UnknownTenant
		}
		if k.Expired(now) {
			return Expired
		}
		if k.Rights.Has(GatewayLink) {
			return OfGateway
		}
		return ""
	case !r.hasApplication(application):
		return UnknownApplication
	case !form:
		return NoKey
	case r.isRevoked(id):
		return Revoked
	case k.ID == "":
		return UnknownKey
	case !right:
		return WrongSecret
	}
	return OtherApplication
}

// hasApplication reports whether an application has a key, or has had one that was
// revoked.
func (r *Registry) hasApplication(application string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.applications[application] > 0
}

func (r *Registry) isRevoked(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.revoked[id]
}

// remember remembers a revoked key. The caller holds the lock.
func (r *Registry) remember(id string) {
	if len(r.revoked) >= mostRevoked {
		clear(r.revoked)
	}
	r.revoked[id] = true
}
