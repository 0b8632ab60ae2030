package broker

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/pace"
)

// Whatever a client is refused is told with the reason, and what it says of itself.
func TestRefusals(t *testing.T) {
	var mu sync.Mutex
	var told []string
	keys := access.NewRegistry("ttn")
	s := startWith(t, func(o *Options) {
		keys = o.Keys
		o.Limits = Limits{Subscriptions: 2}
		o.Calendar = func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }
		o.Refused = func(r Refused) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%d %s %s %s %s %s", r.What, r.Why, r.Address, r.Application, r.Client, r.Topic))
		}
	})
	add := func(change func(*access.Key)) string {
		text, k, err := access.New(rand.Reader, "app1")
		if err != nil {
			t.Fatal(err)
		}
		change(&k)
		if err := keys.Add(k); err != nil {
			t.Fatal(err)
		}
		return text
	}
	expired := add(func(k *access.Key) { k.Expires = time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC) })
	var revokedID string
	revoked := add(func(k *access.Key) { revokedID = k.ID })
	keys.Remove(revokedID)
	login := func(user, key string) func() {
		return func() {
			r := dialRaw(t, s.addr)
			r.send(connectPacket("dev", user, key))
			if ack := r.want(packets.Connack); ack.ReasonCode == 0 {
				t.Errorf("%s is let in", user)
			}
		}
	}
	subscribe := func(key string, filters ...string) func() {
		return func() {
			r := s.loginAs(4, "dev", "app1", key)
			defer r.Close()
			r.send(subscribePacket(1, 0, filters...))
			r.want(packets.Suback)
		}
	}
	publish := func(key, topic string) func() {
		return func() {
			r := s.loginAs(4, "dev", "app1", key)
			defer r.Close()
			r.send(publishPacket(1, 1, topic, "x"))
			r.want(packets.Puback)
		}
	}
	wrong := s.key1[:len(s.key1)-8] + "AAAAAAAA" // fewer can be those of the key
	tests := []struct {
		name string
		do   func()
		want string
	}{
		{"unknown application", login("app9", s.key1), "0 unknown_application 127.0.0.1 app9 dev "},
		{"unknown tenant", login("app1@tti", s.key1), "0 unknown_tenant 127.0.0.1 app1 dev "},
		{"wrong key", login("app1@ttn", wrong), "0 wrong_key 127.0.0.1 app1 dev "},
		{"no key", login("app1", "secret"), "0 no_api_key 127.0.0.1 app1 dev "},
		{"key of another application", login("app2", s.key1), "0 key_of_another_application 127.0.0.1 app2 dev "},
		{"expired", login("app1", expired), "0 expired 127.0.0.1 app1 dev "},
		{"revoked", login("app1", revoked), "0 revoked 127.0.0.1 app1 dev "},
		{"a long user name", login(strings.Repeat("x", 4000), "secret"), "0 unknown_application 127.0.0.1 " + strings.Repeat("x", 40) + " dev "},
		{"publish, no right", publish(s.readOnly, pushTopic), "1 no_right 127.0.0.1 app1 dev " + pushTopic},
		{"publish to another application", publish(s.key1, "v3/app2/devices/d/down/push"), "1 no_topic_of_a_push 127.0.0.1 app1 dev v3/app2/devices/d/down/push"},
		{"subscribe to another application", subscribe(s.key1, "v3/app2/#"), "2 not_of_the_application 127.0.0.1 app1 dev v3/app2/#"},
		{"subscribe, no right", subscribe(s.writeOnly, "#"), "2 no_right 127.0.0.1 app1 dev #"},
		{"too long a filter", subscribe(s.key1, "v3"+strings.Repeat("/", 30)), "2 filter_too_long 127.0.0.1 app1 dev v3" + strings.Repeat("/", 30)},
		{"too many", subscribe(s.key1, "v3/app1/a", "v3/app1/b", "v3/app1/c"), "2 too_many_subscriptions 127.0.0.1 app1 dev v3/app1/c"},
		{"a good push", publish(s.key1, pushTopic), ""},
		{"a good subscription", subscribe(s.key1, "#"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.backoff, s.often = access.Backoff{}, pace.ByName{}
			mu.Lock()
			told = nil
			mu.Unlock()
			tt.do()
			mu.Lock()
			defer mu.Unlock()
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
		})
	}
}

// The broker's own log is under that limit too.
func TestRefusedLoginsInTheLog(t *testing.T) {
	s := start(t, Limits{})
	for i := range 20 {
		s.backoff = access.Backoff{}
		r := dialRaw(t, s.addr)
		r.send(connectPacket("dev", fmt.Sprint("stranger", i), "secret"))
		r.want(packets.Connack)
		_ = r.Close()
	}
	if n := strings.Count(s.logged.String(), "login refused"); n < 1 || n > 3 {
		t.Errorf("%d lines for 20 refused logins", n)
	}
}
