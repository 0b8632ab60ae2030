package access

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func newKey(t *testing.T, app string) (string, Key) {
	t.Helper()
	text, k, err := New(rand.Reader, app)
	if err != nil {
		t.Fatal(err)
	}
	return text, k
}

func TestNewKey(t *testing.T) {
	text, k := newKey(t, "app1")
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] != "NNSXS" || len(parts[1]) != 39 || len(parts[2]) != 52 || parts[1] != k.ID {
		t.Errorf("key %q", text)
	}
	b, err := MarshalKey(k)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), parts[2]) || !json.Valid(b) {
		t.Errorf("kept as %s", b)
	}
	again, err := UnmarshalKey(b)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRegistry("ttn")
	if err := r.Add(again); err != nil {
		t.Fatal(err)
	}
	if l, err := r.Login("app1", text, time.Time{}); err != nil || l.Rights != Default || l.KeyID != k.ID {
		t.Errorf("login %+v, %v", l, err)
	}
	if err := r.Add(again); !errors.Is(err, ErrExists) {
		t.Errorf("the same key twice: %v", err)
	}
	if other, _ := newKey(t, "app1"); other == text {
		t.Error("two keys are the same")
	}
}

func TestLogin(t *testing.T) {
	r := NewRegistry("ttn")
	text, k := newKey(t, "app1")
	k.Expires = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	other, ok := newKey(t, "app2")
	for _, x := range []Key{k, ok} {
		if err := r.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	before, after := k.Expires.Add(-time.Second), k.Expires
	wrongSecret := text[:len(text)-1] + map[bool]string{true: "B", false: "A"}[strings.HasSuffix(text, "A")]
	tests := []struct {
		name, user, password string
		now                  time.Time
		tenant               string
		why                  Refusal
	}{
		{"plain", "app1", text, before, "", ""},
		{"tenant", "app1@ttn", text, before, "ttn", ""},
		{"no calendar", "app1", text, time.Time{}, "", ""},
		{"expired", "app1", text, after, "", Expired},
		{"other tenant", "app1@tti", text, before, "", UnknownTenant},
		{"empty tenant", "app1@", text, before, "", UnknownTenant},
		{"other application", "app2", text, before, "", OtherApplication},
		{"other's key", "app1", other, before, "", OtherApplication},
		{"no user", "", text, before, "", UnknownApplication},
		{"no password", "app1", "", before, "", NoKey},
		{"wrong secret", "app1", wrongSecret, before, "", WrongSecret},
		{"lower case", "app1", strings.ToLower(text), before, "", NoKey},
		{"unknown id", "app1", "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("A", 52), before, "", UnknownKey},
		{"short", "app1", "NNSXS.A.A", before, "", NoKey},
		{"unknown application", "app3", text, before, "", UnknownApplication},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := r.Login(tt.user, tt.password, tt.now)
			why, _ := errors.AsType[Refusal](err)
			if why != tt.why || (err == nil) != (tt.why == "") || err != nil && !errors.Is(err, ErrLogin) {
				t.Fatalf("%+v, %v, %q; want %q", l, err, why, tt.why)
			}
			if tt.why == "" && (l.Application != "app1" || l.Tenant != tt.tenant) {
				t.Errorf("login %+v", l)
			}
		})
	}
}

func TestRevokedKeys(t *testing.T) {
	r := NewRegistry("ttn")
	text, k := newKey(t, "app1")
	_, other := newKey(t, "app2")
	for _, x := range []Key{k, other} {
		if err := r.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Remove(k.ID) || r.Remove(k.ID) || r.Len() != 1 {
		t.Error("Remove")
	}
	if _, err := r.Login("app1", text, time.Time{}); !errors.Is(err, ErrLogin) || !errors.Is(err, Revoked) {
		t.Errorf("a key that was removed: %v", err)
	}
	for i := range 2 * mostRevoked {
		_, k := newKey(t, "app1")
		k.ID = fmt.Sprint(i)
		_ = r.Add(k)
		r.Remove(k.ID)
	}
	if len(r.revoked) > mostRevoked {
		t.Errorf("%d keys are remembered that were revoked", len(r.revoked))
	}
}

func TestImport(t *testing.T) {
	const theirs = "NNSXS.VEEBURF3KR77ZRXXXXXXXXXXXXXXXXXXXXXXXXX.ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST"
	k, err := Import(rand.Reader, "app1", theirs)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRegistry("ttn")
	if err := r.Add(k); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Login("app1", theirs, time.Time{}); err != nil {
		t.Errorf("login with an imported key: %v", err)
	}
	for _, bad := range []string{
		"", "x", theirs[1:], theirs + "A", strings.Replace(theirs, "ABC", "ab1", 1),
		strings.Replace(theirs, "NNSXS", "MFRGG", 1),
	} {
		if _, err := Import(rand.Reader, "app1", bad); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v, want ErrKey", bad, err)
		}
	}
	if _, err := Import(strings.NewReader(""), "app1", theirs); err == nil {
		t.Error("a key without entropy")
	}
}

func TestRights(t *testing.T) {
	for text, want := range map[string]Rights{
		"": Default, "traffic-read": TrafficRead, "all": All, "devices-write, gateways-read": DevicesWrite | GatewaysRead,
		"traffic-read,traffic-down-write": Default,
	} {
		got, err := ParseRights(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if again, err := ParseRights(got.String()); err != nil || again != got {
			t.Errorf("%v comes back as %v, %v", got, again, err)
		}
	}
	for _, bad := range []string{"read", "traffic-read,", "RIGHT_ALL"} {
		if r, err := ParseRights(bad); !errors.Is(err, ErrRights) {
			t.Errorf("%q: %v, %v; want ErrRights", bad, r, err)
		}
	}
	if !All.Has(GatewaysRead) || Default.Has(DevicesRead) || !Default.Has(TrafficRead) {
		t.Error("Has")
	}
}

func TestBackoff(t *testing.T) {
	var b Backoff
	addr := netip.MustParseAddr("192.168.1.5")
	now := time.Unix(1000, 0)
	var got []time.Duration
	for range 17 {
		got = append(got, b.Failed(addr, now))
		now = now.Add(time.Second)
	}
	for i, d := range got {
		if i < 10 && d != 0 || i == 10 && d != 250*time.Millisecond || i >= 15 && d != 5*time.Second {
			t.Errorf("failure %d is held back %v", i+1, d)
		}
	}
	if d := b.Failed(netip.MustParseAddr("192.168.1.6"), now); d != 0 {
		t.Errorf("another address is held back %v", d)
	}
	if d := b.Failed(addr, now.Add(11*time.Minute)); d != 0 {
		t.Errorf("after a long pause: %v", d)
	}
	for i := range 5000 {
		b.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(b.fails) > mostAddresses {
		t.Errorf("%d addresses are kept, want at most %d", len(b.fails), mostAddresses)
	}
}
