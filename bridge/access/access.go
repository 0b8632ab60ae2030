// Package access says who may log in, to which application and with which
// rights: API keys in the form of The Things Stack, and a delay for clients that
// guess keys.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Why a key, or a set of rights, is not accepted.
var (
	ErrKey    = errors.New("no API key of the form NNSXS.<39 characters>.<52 characters>, A to Z and 2 to 7")
	ErrRights = errors.New("no such right")
	ErrLogin  = errors.New("wrong user name or API key")
	ErrExists = errors.New("this API key exists already")
)

// Rights is the set of rights that an API key gives.
type Rights uint8

// The single rights, and the sets that have a name.
const (
	TrafficRead Rights = 1 << iota
	TrafficDownWrite
	TrafficUpWrite
	DevicesRead
	DevicesWrite
	GatewaysRead

	// GatewayLink is that of a gateway to give its radio to this host. It goes with no other, and
	// All does not have it: see Link.
	GatewayLink

	All     Rights = GatewayLink - 1
	Default        = TrafficRead | TrafficDownWrite
)

var rightNames = []string{
	"traffic-read", "traffic-down-write", "traffic-up-write", "devices-read", "devices-write", "gateways-read",
	"gateway-link",
}

// Has reports whether r holds all rights of want.
func (r Rights) Has(want Rights) bool { return r&want == want }

// String returns the names, separated by commas, or "all".
func (r Rights) String() string {
	if r == All {
		return "all"
	}
	return r.Names()
}

// Names returns the names of all rights in the set, even if it is All.
func (r Rights) Names() string {
	var names []string
	for i, n := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// ParseRights reads what String returns; the empty text is Default. It returns
// ErrRights for another name.
func ParseRights(s string) (Rights, error) {
	if s == "" {
		return Default, nil
	}
	var r Rights
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		i := slices.Index(rightNames, name)
		switch {
		case name == "all":
			r |= All
		case i >= 0:
			r |= 1 << i
		default:
			return 0, fmt.Errorf("%w: %.40q; there are %s and all", ErrRights, name, strings.Join(rightNames, ", "))
		}
	}
	if r.Has(GatewayLink) && r != GatewayLink {
		return 0, fmt.Errorf("%w together with others: %v", ErrRights, GatewayLink)
	}
	return r, nil
}

// Sizes of the parts of a key in The Things Stack's form.
const (
	keyPrefix    = "NNSXS."
	idBytes      = 24
	idLength     = 39
	secretBytes  = 32
	secretLength = 52
	saltBytes    = 16
)

var keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Key is an API key without its secret.
type Key struct {
	ID          string // the part between the dots
	Application string
	Name        string
	Rights      Rights
	Expires     time.Time // zero: never
	Salt        []byte
	Hash        []byte // SHA-256 of salt and secret; the secret has 256 random bits
}

// New makes a key from entropy. It returns the key and its text; the text holds the
// secret, is shown once and is stored nowhere.
func New(entropy io.Reader, application string) (text string, k Key, err error) {
	var b [idBytes + secretBytes]byte
	if _, err := io.ReadFull(entropy, b[:]); err != nil {
		return "", Key{}, fmt.Errorf("access: entropy: %w", err)
	}
	text = keyPrefix + keyEncoding.EncodeToString(b[:idBytes]) + "." + keyEncoding.EncodeToString(b[idBytes:])
	k, err = Import(entropy, application, text)
	return text, k, err
}

// Import makes a Key of the text of a key that was made elsewhere. It returns
// ErrKey if the text has another form.
func Import(entropy io.Reader, application, text string) (Key, error) {
	id, secret, ok := split(text)
	if !ok {
		return Key{}, ErrKey
	}
	k := Key{ID: id, Application: application, Rights: Default, Salt: make([]byte, saltBytes)}
	if _, err := io.ReadFull(entropy, k.Salt); err != nil {
		return Key{}, fmt.Errorf("access: entropy: %w", err)
	}
	k.Hash = k.hash(secret)
	return k, nil
}

// Expired reports whether the key has expired. now is the calendar time, or the
// zero time where the calendar is not known: then no key is expired.
func (k *Key) Expired(now time.Time) bool {
	return !k.Expires.IsZero() && !now.IsZero() && !now.Before(k.Expires)
}

func (k *Key) hash(secret string) []byte {
	h := sha256.New()
	h.Write(k.Salt)
	h.Write([]byte(secret))
	return h.Sum(nil)
}

// split splits the text of a key into its id and its secret.
func split(text string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(rest) != idLength+1+secretLength || rest[idLength] != '.' {
		return "", "", false
	}
	id, secret = rest[:idLength], rest[idLength+1:]
	return id, secret, isBase32(id) && isBase32(secret)
}

func isBase32(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// MarshalKey returns a key as the bytes that the store keeps.
func MarshalKey(k Key) ([]byte, error) { return json.Marshal(k) }

// UnmarshalKey reads what MarshalKey wrote.
func UnmarshalKey(b []byte) (Key, error) {
	var k Key
	if err := json.Unmarshal(b, &k); err != nil {
		return Key{}, fmt.Errorf("access: key in the store: %w", err)
	}
	return k, nil
}

// Login says who has logged in, and what the login allows.
type Login struct {
	Application string
	Tenant      string // the tenant of the user name: "ttn" for "app1@ttn", else ""
	KeyID       string
	Rights      Rights
}

// Registry holds the keys. It may be used by several goroutines.
type Registry struct {
	tenant string

	mu           sync.RWMutex
	keys         map[string]Key
	applications map[string]int  // how many keys each application has, or has had since the start
	revoked      map[string]bool // ids of the keys that were revoked since the start
	used         map[string]Day  // the day of the last use of each key
}

// NewRegistry returns an empty Registry. A user name may end with "@" and the
// tenant.
func NewRegistry(tenant string) *Registry {
	return &Registry{
		tenant: tenant, keys: map[string]Key{}, applications: map[string]int{},
		revoked: map[string]bool{}, used: map[string]Day{},
	}
}

// Add adds a key. It returns ErrExists if the registry has a key with this id.
func (r *Registry) Add(k Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.keys[k.ID]; ok {
		return ErrExists
	}
	r.keys[k.ID] = k
	r.applications[k.Application]++
	delete(r.revoked, k.ID)
	return nil
}

// Remove removes a key. It reports whether there was one.
func (r *Registry) Remove(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.keys[id]
	if ok {
		delete(r.keys, id)
		delete(r.used, id)
		r.remember(id)
	}
	return ok
}

// Len returns the number of keys.
func (r *Registry) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.keys)
}

// Login checks a user name ("app1" or "app1@ttn") and a password, which is an API
// key. now is the calendar time, or the zero time where the calendar is not known:
// then no key is expired. The error is an ErrLogin: its text does not tell the
// client what was wrong, its value is a Refusal for the owner.
func (r *Registry) Login(user, password string, now time.Time) (Login, error) {
	application, tenant, hasTenant := strings.Cut(user, "@")
	id, secret, ok := split(password)
	r.mu.RLock()
	k := r.keys[id]
	r.mu.RUnlock()
	// The comparison takes the same time for an unknown id as for a known one.
	right := subtle.ConstantTimeCompare(k.hash(secret), k.Hash) == 1
	if why := r.refusal(application, tenant, hasTenant, &k, id, ok, right, now); why != "" {
		return Login{}, why
	}
	return Login{Application: application, Tenant: tenant, KeyID: k.ID, Rights: k.Rights}, nil
}

// Authenticate is Login for who shows an API key alone: the key says which application
// it is of.
func (r *Registry) Authenticate(key string, now time.Time) (Login, error) {
	id, _, ok := split(key)
	if !ok {
		return Login{}, NoKey
	}
	k, known := r.Key(id)
	switch {
	case known:
		return r.Login(k.Application, key, now)
	case r.isRevoked(id):
		return Login{}, Revoked
	}
	return Login{}, UnknownKey
}
