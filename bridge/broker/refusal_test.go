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

// refusing is a broker that tells what it refuses.
type refusing struct {
	*bench
	mu   sync.Mutex
	told []string
}

func newRefusing(t *testing.T) *refusing {
	t.Helper()
	b := &refusing{}
	b.bench = startWith(t, func(o *Options) {
		o.Limits = Limits{Subscriptions: 2}
		o.Calendar = func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }
		o.Refused = b.refused
	})
	return b
}

func (b *refusing) refused(r Refused) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, fmt.Sprintf("%d %s %s %s %s %s", r.What, r.Why, r.Address, r.Application, r.Client, r.Topic))
}

// take returns what was told since it was called last.
func (b *refusing) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.told
	b.told = nil
	return told
}

// key adds a key, and returns its text and its id.
func (b *refusing) key(expires time.Time) (text, id string) {
	b.Helper()
	text, k, err := access.New(rand.Reader, "app1")
	if err != nil {
		b.Fatal(err)
	}
	k.Expires = expires
	if err := b.opts.Keys.Add(k); err != nil {
		b.Fatal(err)
	}
	return text, k.ID
}

// login logs in, which must be refused.
func (b *refusing) login(user, key string) func() {
	return func() {
		r := dialRaw(b.T, b.addr)
		r.send(connectPacket("dev", user, key))
		if ack := r.want(packets.Connack); ack.ReasonCode == 0 {
			b.Errorf("%s is let in", user)
		}
	}
}

func (b *refusing) subscribe(key string, filters ...string) func() {
	return func() {
		r := b.loginAs(4, "dev", "app1", key)
		defer r.Close()
		r.send(subscribePacket(1, 0, filters...))
		r.want(packets.Suback)
	}
}

func (b *refusing) publish(key, topic string) func() {
	return func() {
		r := b.loginAs(4, "dev", "app1", key)
		defer r.Close()
		r.send(publishPacket(1, 1, topic, "x"))
		r.want(packets.Puback)
	}
}

// Each refusal is told to the owner, with the reason and with what the client says of
// itself.
func TestRefusals(t *testing.T) {
	b := newRefusing(t)
	expired, _ := b.key(time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC))
	revoked, id := b.key(time.Time{})
	b.opts.Keys.Remove(id)
	wrong := b.key1[:len(b.key1)-8] + "AAAAAAAA" // eight characters are never those of the key by chance
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"unknown application", b.login("app9", b.key1), "0 unknown_application 127.0.0.1 app9 dev "},
		{"unknown tenant", b.login("app1@tti", b.key1), "0 unknown_tenant 127.0.0.1 app1 dev "},
		{"wrong key", b.login("app1@ttn", wrong), "0 wrong_key 127.0.0.1 app1 dev "},
		{"no key", b.login("app1", "secret"), "0 no_api_key 127.0.0.1 app1 dev "},
		{"key of another application", b.login("app2", b.key1), "0 key_of_another_application 127.0.0.1 app2 dev "},
		{"expired", b.login("app1", expired), "0 expired 127.0.0.1 app1 dev "},
		{"revoked", b.login("app1", revoked), "0 revoked 127.0.0.1 app1 dev "},
		{"a long user name", b.login(strings.Repeat("x", 4000), "secret"), "0 unknown_application 127.0.0.1 " +
			strings.Repeat("x", 40) + " dev "},
		{"publish, no right", b.publish(b.readOnly, pushTopic), "1 no_right 127.0.0.1 app1 dev " + pushTopic},
		{
			"publish to another application", b.publish(b.key1, "v3/app2/devices/d/down/push"),
			"1 no_topic_of_a_push 127.0.0.1 app1 dev v3/app2/devices/d/down/push",
		},
		{"publish to a topic of the server", b.publish(b.key1, "$SYS/x"), "1 no_topic_of_a_push 127.0.0.1 app1 dev $SYS/x"},
		{
			"subscribe to another application", b.subscribe(b.key1, "v3/app2/#"),
			"2 not_of_the_application 127.0.0.1 app1 dev v3/app2/#",
		},
		{"subscribe, no right", b.subscribe(b.writeOnly, "#"), "2 no_right 127.0.0.1 app1 dev #"},
		{
			"too long a filter", b.subscribe(b.key1, "v3"+strings.Repeat("/", 30)),
			"2 filter_too_long 127.0.0.1 app1 dev v3" + strings.Repeat("/", 30),
		},
		{
			"too many", b.subscribe(b.key1, "v3/app1/a", "v3/app1/b", "v3/app1/c"),
			"2 too_many_subscriptions 127.0.0.1 app1 dev v3/app1/c",
		},
		{"a good push", b.publish(b.key1, pushTopic), ""},
		{"a good subscription", b.subscribe(b.key1, "#"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.backoff, b.often = access.Backoff{}, pace.ByName{}
			b.take()
			tt.do()
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if told := b.take(); !slices.Equal(told, want) {
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
