package sessions

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"lorawand/radio/fuzztest"
)

func TestRecords(t *testing.T) {
	s := Session{
		ID: "app1/flow/1", KeyID: "K", Tenant: "ttn", Version: 5, Expiry: time.Hour, LastID: 4096,
		Subscriptions: []Subscription{{"v3/app1/#", 2, 7}, {"$share/g/v3/app1/+", 0, 0}},
	}
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseSession(r.Key, r.Data); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, payload := range []string{"", "{}", "a\nb\n"} {
		m := Message{
			Session: "app1/flow/1", Seq: 1 << 40, Device: "dev1", Suffix: "up", UID: "app1@ttn", Share: "g/#", QoS: 2,
			IDs:      []int{7},
			PacketID: 65535, Released: true, Payload: []byte(payload),
		}
		r, err := m.Record()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseMessage(r.Key, r.Data); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if MessageKey("a/b", 9) >= MessageKey("a/b", 1<<63) {
		t.Error("the keys are not in the order of the messages")
	}
}

func TestBadRecords(t *testing.T) {
	for _, bad := range []struct{ key, data string }{
		{"app1/x", ""}, {"app1/x", "{"}, {"app1", `{"version":4}`}, {"app1/x", `{"version":6}`}, {"app1/x", `{"version":4,"expiry":-1}`},
	} {
		if s, err := ParseSession(bad.key, []byte(bad.data)); !errors.Is(err, ErrRecord) {
			t.Errorf("session %q %q: %+v, %v", bad.key, bad.data, s, err)
		}
	}
	for _, bad := range []struct{ key, data string }{
		{"app1/x/0", ""}, {"app1/x/0", `{"qos":1}`}, {"app1/x/0", "{\"qos\":3}\n"}, {"app1/x/0", "{\"qos\":0}\n"}, {"app1/x/g", "{\"qos\":1}\n"}, {"0", "{\"qos\":1}\n"},
	} {
		if m, err := ParseMessage(bad.key, []byte(bad.data)); !errors.Is(err, ErrRecord) {
			t.Errorf("message %q %q: %+v, %v", bad.key, bad.data, m, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("app1/x", []byte(`{"version":4}`))
	f.Add("app1/x/1", []byte("{\"qos\":1}\nx"))
	f.Fuzz(fuzztest.Quick(func(_ *testing.T, key string, data []byte) {
		_, _ = ParseSession(key, data)
		_, _ = ParseMessage(key, data)
	}))
}
