package access

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"
)

// A key of a gateway lets this gateway in, and nobody else.
func TestLink(t *testing.T) {
	const gateway = "eui-0242020000247804"
	r := NewRegistry("ttn")
	add := func(application string, rights Rights, expires time.Time) (text, id string) {
		text, k, err := New(rand.Reader, application)
		if err != nil {
			t.Fatal(err)
		}
		k.Rights, k.Expires = rights, expires
		if err := r.Add(k); err != nil {
			t.Fatal(err)
		}
		return text, k.ID
	}
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	good, id := add(gateway, GatewayLink, now.Add(time.Hour))
	old, _ := add(gateway, GatewayLink, now)
	all, _ := add(gateway, All, time.Time{})
	other, _ := add("eui-0000000000000001", GatewayLink, time.Time{})
	gone, goneID := add(gateway, GatewayLink, time.Time{})
	r.Remove(goneID)
	unknown, _, err := New(rand.Reader, gateway)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  string
		now  time.Time
		want error
	}{
		"good":                    {good, now, nil},
		"expired":                 {old, now, Expired},
		"expired, without clock":  {old, time.Time{}, nil},
		"an application's":        {all, now, OtherGateway},
		"of another gateway":      {other, now, OtherGateway},
		"revoked":                 {gone, now, Revoked},
		"unknown":                 {unknown, now, UnknownKey},
		"another secret":          {good[:len(good)-4] + "AAAA", now, WrongSecret},
		"no key":                  {"secret", now, NoKey},
		"the secret of another":   {good[:46] + other[46:], now, WrongSecret},
		"that of an empty secret": {"", now, NoKey},
	} {
		got, err := r.Link(gateway, tt.key, tt.now)
		if !errors.Is(err, tt.want) && err != tt.want || (err == nil) != (got != "") {
			t.Errorf("%s: %q, %v; want %v", name, got, err, tt.want)
		}
		if why, ok := err.(Refusal); ok && why != tt.want {
			t.Errorf("%s: %s, want %v", name, why, tt.want)
		}
	}
	checkLinkOnly(t, r, gateway, good, id, now)
	if r.Holds(goneID, now) {
		t.Error("a revoked key holds")
	}
}

// checkLinkOnly checks that a key of a gateway, which expires in an hour, is of no other use.
func checkLinkOnly(t *testing.T, r *Registry, gateway, good, id string, now time.Time) {
	t.Helper()
	if _, err := r.Login(gateway, good, now); err != error(OfGateway) {
		t.Errorf("as a client: %v", err)
	}
	if _, err := r.Authenticate(good, now); err != error(OfGateway) {
		t.Errorf("over HTTP: %v", err)
	}
	if !r.Holds(id, now) || r.Holds(id, now.Add(time.Hour)) {
		t.Error("Holds: a good key does not, or one that is over does")
	}
	for text, want := range map[string]Rights{"gateway-link": GatewayLink, "all": All} {
		if got, err := ParseRights(text); got != want || err != nil || got.String() != text {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	if _, err := ParseRights("all,gateway-link"); !errors.Is(err, ErrRights) {
		t.Errorf("a right of a gateway with others: %v", err)
	}
}
