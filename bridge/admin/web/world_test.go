//go:build !small

package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// abp is an ABP device that decodes CayenneLPP, in the form of The Things Stack.
func abp(id, addr string, eui int) string {
	key := func(b string) string { return `{"key":"` + strings.Repeat(b, 16) + `"}` }
	return fmt.Sprintf(`{"ids":{"device_id":%q,"dev_eui":"A8404100000000%02X"},"name":"<b>\u202e","lorawan_version":"MAC_V1_0_3",`+
		`"frequency_plan_id":"EU_863_870_TTN","session":{"dev_addr":%q,"keys":{"f_nwk_s_int_key":%s,"app_s_key":%s}},`+
		`"formatters":{"up_formatter":"FORMATTER_CAYENNELPP","down_formatter":"FORMATTER_CAYENNELPP"}}`, id, eui, addr, key("11"), key("22"))
}

// otaa is a device that has never joined.
func otaa(id string, eui int) string {
	return fmt.Sprintf(`{"ids":{"device_id":%q,"dev_eui":"24E12400000000%02X","join_eui":"0000000000000001"},"lorawan_version":"MAC_V1_0_3",`+
		`"frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":%q}}}`, id, eui, strings.Repeat("33", 16))
}

// put registers devices of an application.
func (s *stand) put(application string, devices ...string) {
	s.Helper()
	s.op("device.put", `{"application_id":"`+application+`","devices":[`+strings.Join(devices, ",")+`]}`)
}

// hear lets the gateway hear an uplink of an abp device, and waits until it is published.
func (s *stand) hear(addr radio.DevAddr, of session.ID, fCnt uint32, payload string) {
	s.Helper()
	n := len(s.Activity().Messages(of, v3.Up))
	s.Hear(s.T, addr, fCnt, payload)
	s.until("the uplink is published", func() bool { return len(s.Activity().Messages(of, v3.Up)) > n })
}

func (s *stand) until(what string, is func() bool) {
	s.Helper()
	admintest.WaitFor(s.T, what, is)
}

// world is a page that has something to show: devices of two applications, of which
// farm/dev1 was heard, and strangers.
func newWorld(t *testing.T) *world {
	s := newPage(t)
	w := &world{stand: s, dev: session.ID{Application: "farm", Device: "dev1"}, addr: radio.DevAddr{1, 0, 0, 1}}
	s.put("farm", abp("dev1", "01000001", 1), otaa("dev2", 2))
	s.put("shop", abp("dev1", "01000002", 3))
	s.GatewayEvent(radio.GatewayEvent{
		Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1,
		Address: "192.168.1.20:40000",
	})
	s.hear(w.addr, w.dev, 1, "\x03\x67\x01\x10")
	s.hear(w.addr, w.dev, 3, "\x03\x67\x01\x11")
	now := s.Now().Host
	for range 2 {
		s.Events().Write(&event.Event{
			Kind: event.GatewayRefused, Host: now, GatewayEUI: radio.EUI64{0xac, 0x1f},
			Address: "192.168.1.77:1700",
		})
		s.Events().Write(&event.Event{
			Kind: event.JoinRefused, Host: now, Word: string(event.JoinUnknownDevEUI), HasEUIs: true,
			DevEUI: radio.EUI64{0xa8, 0x40, 0x41, 1}, JoinEUI: radio.EUI64{7}, Gateway: "gw1",
		})
		s.Events().Write(&event.Event{
			Kind: event.ClientRefused, Host: now, Word: "unknown_application", Address: "192.168.1.23:5000",
			Client: event.Client{ID: "<i>x</i>", Application: "app1"},
		})
	}
	w.token = s.login(secret)
	return w
}

type world struct {
	*stand
	dev   session.ID
	addr  radio.DevAddr
	token string
}

// read returns the answer of an address.
func (w *world) read(path string) map[string]any {
	w.Helper()
	r := w.get(w.token, "/api/page/"+path)
	var out map[string]any
	if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != http.StatusOK {
		w.Fatalf("%s: %d %s %v", path, r.status, r.body, err)
	}
	return out
}

// do sends a change and returns the answer.
func (w *world) do(path, body string) (status int, out map[string]any) {
	w.Helper()
	r := w.post(w.token, "/api/page/"+path, body)
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		w.Fatalf("%s: %d %q %v", path, r.status, r.body, err)
	}
	return r.status, out
}

// at returns what stands at a path such as "devices.0.join.at"; nil: nothing.
func at(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}
