package access

import "time"

// Refusal is why a login is refused. It is an ErrLogin. It is for the owner: the
// client is not told.
type Refusal string

// Refusals.
const (
	NoKey              Refusal = "no_api_key" // the password is none
	UnknownApplication Refusal = "unknown_application"
	UnknownTenant      Refusal = "unknown_tenant"
	UnknownKey         Refusal = "unknown_key"
	WrongSecret        Refusal = "wrong_key" // the id is right, the secret is not
	OtherApplication   Refusal = "key_of_another_application"
	Revoked            Refusal = "revoked" // since the start
	Expired            Refusal = "expired"
)

// Error implements error.
func (r Refusal) Error() string { return ErrLogin.Error() }

// Is reports whether the target is ErrLogin.
func (r Refusal) Is(target error) bool { return target == ErrLogin }

// mostRevoked is how many keys are remembered that were revoked.
const mostRevoked = 256

// refusal says why a login is refused, or returns "". The lock is not held.
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

// hasApplication reports whether an application has a key, or had one that was
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

// remember notes that a key is revoked. The lock is held.
func (r *Registry) remember(id string) {
	if len(r.revoked) >= mostRevoked {
		clear(r.revoked)
	}
	r.revoked[id] = true
}
