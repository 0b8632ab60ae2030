package status

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// However many gateways come, what is retained is bounded, and the last of each topic.
func TestRetained(t *testing.T) {
	var r Retained
	for i := range maxRetained + 10 {
		r.Put(v3.GatewayStatus(fmt.Sprintf("gw-%d", i), radio.EUI64{}, true, time.Time{}))
	}
	last := v3.GatewayStatus("gw-5", radio.EUI64{}, false, time.Time{})
	r.Put(last)
	if got := r.All("app1", []string{"lorawand/#"}); len(got) != maxRetained {
		t.Errorf("%d statuses", len(got))
	}
	for _, m := range r.All("app1", []string{"#", "lorawand/x", "lorawand/y"}) {
		if m.Suffix == last.Suffix && string(m.Payload) != string(last.Payload) {
			t.Errorf("%s", m.Payload)
		}
	}
	if got := r.All("app1", []string{"#", "homeassistant/#"}); got != nil {
		t.Errorf("%d statuses for who has not asked by name", len(got))
	}
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		asked  string
		rights access.Rights
		want   string // "": refused
	}{
		{"lorawand/status", access.GatewaysRead, "lorawand/status"},
		{"lorawand/#", access.All, "lorawand/#"},
		{"lorawand/status", access.Default, ""},
		{"lorawand/gateways/" + fmt.Sprint(make([]byte, 300)), access.All, ""},
		{"#", access.All, "v3/app1/#"},
		{"$share/g/lorawand/status", access.All, ""},
		{"+/status", access.All, ""},
		{"homeassistant/+/+/config", access.Default, "homeassistant/+/+/config"},
		{"homeassistant/status", access.GatewaysRead, ""},
		{"homeassistant", access.All, ""},
	} {
		got, ok := Filter(tt.asked, access.Login{Application: "app1", Rights: tt.rights})
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %s, %v", tt.asked, got, ok)
		}
	}
}
