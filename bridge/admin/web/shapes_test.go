//go:build !small

package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Each answer has the members that the page reads.
func TestShapes(t *testing.T) {
	w := newWorld(t)
	w.key("farm", "traffic-read,traffic-down-write")
	w.op("downlink.push", `{"application_id":"farm","device_id":"dev1","body":{"downlinks":[{"f_port":5,"frm_payload":"AQI=","confirmed":true}]}}`)
	uplink := "id at fcnt port payload decoded rssi snr sf rate freq airtime confirmed heard"
	device := "app id name model cls version plan activation devEUI joinEUI devAddr formatter state stateText heard " +
		"every margin lost heardCount fcntUp fcntDown joined join uplinks"
	for _, tt := range []struct{ path, at, members string }{
		{"session", "", "in off tls host address sessions"},
		{"status", "", "now wall status problems apps"},
		{
			"status", "status", "version commit target go features clock clockText store storeError flashWritten " +
				"flashYears freeMB rssMB uplinksHour droppedHour commit_interval devices keys gateways gatewaysConnected " +
				"clients host addresses",
		},
		{"status", "status.addresses", "mqtt mqttTLS udp api"},
		{"devices", "devices.0", device},
		{"devices", "devices.0.uplinks.0", uplink},
		{"devices", "devices.0.uplinks.0.heard.0", "gateway rssi snr"},
		{"device?application_id=farm&device_id=dev1", "device", device + " queue mac"},
		{"device?application_id=farm&device_id=dev1", "device.uplinks.1", uplink},
		{
			"device?application_id=farm&device_id=dev1", "device.queue.0",
			"id at port payload bytes text confirmed priority state why",
		},
		{"device?application_id=farm&device_id=dev1", "device.mac.0", "name wanted current state"},
		{
			"gateways", "gateways.0", "id name eui driver address plan connected since lastUplink lastPull lastAck answers " +
				"rtt lead bands",
		},
		{"gateways", "unknownGateways.0", "eui address first last frames"},
		{"strangers", "strangers.0", "devEUI joinEUI maker tries first last rssi snr gateway"},
		{"keys", "keys.0", "id name app rights rightNames expires used clients"},
		{"clients", "", "now wall clients failed"},
		{"clients", "failed.0", "user address client n last why todo"},
		{"applications", "applications.0", "id devices api_keys up_formatter down_formatter webhook"},
		{"formatter?application_id=farm&device_id=dev1", "up", "formatter default"},
		{"formatters", "formatters.0", "app id kind default"},
		{"plans", "plans.0", "id region band_id ttn"},
		{"log", "", "now wall log"},
		{"live", "", "now wall id events"},
		{"live", "events.0", "id at kind word tone raw"},
	} {
		t.Run(tt.path+" "+tt.at, func(t *testing.T) {
			w.T = t
			var v any = w.read(tt.path)
			if tt.at != "" {
				v = at(v, tt.at)
			}
			has, _ := v.(map[string]any)
			for _, name := range strings.Fields(tt.members) {
				if _, ok := has[name]; !ok {
					t.Errorf("no %s in %v", name, slices.Sorted(maps.Keys(has)))
				}
			}
		})
	}
}

// The answers hold the facts of the world.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		path, at string
		want     any
	}{
		{"session", "in", true},
		{"status", "status.uplinksHour", 2.0},
		{"status", "status.devices", 3.0},
		{"status", "problems.0.code", "store_full"},
		{"status", "status.clock", "ntp"},
		{"status", "apps.1", "shop"},
		{"devices", "devices.0.state", "alive"},
		{"devices", "devices.0.lost", 1.0},
		{"devices", "devices.0.heardCount", 2.0},
		{"devices", "devices.0.margin", 14.5},
		{"devices", "devices.0.name", "<b>\u202e"},
		{"devices", "devices.0.uplinks.1", nil}, // only the last
		{"devices", "devices.0.uplinks.0.payload", "03670111"},
		{"devices", "devices.0.uplinks.0.decoded.temperature_3", 27.3},
		{"devices", "devices.0.uplinks.0.heard.0.gateway", "gw1"},
		{"devices", "devices.0.uplinks.0.freq", 868.1},
		{"devices", "devices.0.uplinks.0.sf", 7.0},
		{"devices", "devices.1.state", "never"},
		{"devices", "devices.1.activation", "OTAA"},
		{"devices", "devices.2.state", "alive"}, // it has a session, and the daemon runs for a moment
		{"devices", "devices.2.heard", false},
		{"device?application_id=farm&device_id=dev1", "device.uplinks.1.fcnt", 1.0},
		{"device?application_id=farm&device_id=dev1", "device.uplinks.2", nil},
		{"gateways", "gateways.0.connected", true},
		{"gateways", "gateways.0.driver", "Packet forwarder (UDP)"},
		{"gateways", "unknownGateways.0.frames", 2.0},
		{"gateways", "unknownGateways.0.address", "192.168.1.77"},
		{"strangers", "strangers.0.tries", 2.0},
		{"strangers", "strangers.0.maker", "Dragino"},
		{"clients", "failed.0.n", 2.0},
		{"clients", "failed.0.why", "No application has this name."},
		{"clients", "failed.0.todo", "The user name is the application: farm or shop."},
		{"plans", "plan", "EU_863_870_TTN"},
		{"formatter?application_id=farm", "up.formatter", "FORMATTER_NONE"},
	} {
		if got := at(any(w.read(tt.path)), tt.at); got != tt.want {
			t.Errorf("%s: %s is %v, want %v", tt.path, tt.at, got, tt.want)
		}
	}
	for path, status := range map[string]int{
		"device?application_id=farm&device_id=dev9": 404, "device": 404, "formatter?application_id=farm&device_id=dev9": 404, "devices/": 404,
		"op/device.put": 405, "backup": 405, "import": 405,
	} {
		if r := w.get(w.token, "/api/page/"+path); r.status != status {
			t.Errorf("GET %s: %d, want %d", path, r.status, status)
		}
	}
}

// A device that is registered is no stranger any more.
func TestNoStranger(t *testing.T) {
	w := newWorld(t)
	s := w.read("strangers")
	body := fmt.Sprintf(`{"application_id":"farm","devices":[{"ids":{"device_id":"dev3","dev_eui":%q,"join_eui":%q},"lorawan_version":"MAC_V1_0_3",`+
		`"frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":%q}}}]}`,
		at(s, "strangers.0.devEUI"), at(s, "strangers.0.joinEUI"), strings.Repeat("33", 16))
	if status, out := w.do("op/device.put", body); status != http.StatusOK {
		t.Fatalf("%d %v", status, out)
	}
	if s := w.read("strangers"); at(s, "strangers.0") != nil {
		t.Errorf("%v", s)
	}
}

// No list has a key of a device, or the secret of an API key.
func TestNoKeys(t *testing.T) {
	w := newWorld(t)
	_, text := w.key("farm", "all")
	for _, r := range routes {
		if r.method != http.MethodGet || r.name == "events" {
			continue
		}
		path := "/api/page/" + r.name + "?application_id=farm&device_id=dev1"
		body := w.get(w.token, path).body
		for _, secret := range []string{
			strings.Repeat("33", 8), strings.Repeat("11", 8), strings.Repeat("22", 8), text,
			text[len(text)-20:],
		} {
			if strings.Contains(body, secret) {
				t.Errorf("%s has %s", r.name, secret)
			}
		}
	}
}

// Without a session nothing is told, and nothing is changed.
func TestAllNeedSession(t *testing.T) {
	w := newWorld(t)
	for _, r := range routes {
		if r.open {
			continue
		}
		a := ask{method: r.method, path: "/api/page/" + r.name}
		if strings.HasSuffix(r.name, "/") {
			a.path += "device.delete"
		}
		if a.method == http.MethodPost {
			a.body = `{"application_id":"farm","devices":["dev1"]}`
		}
		if got := w.ask(a); got.status != http.StatusUnauthorized || !json.Valid([]byte(got.body)) {
			t.Errorf("%s %s: %d %s", r.method, r.name, got.status, got.body)
		}
	}
	if at(w.read("devices"), "devices.2") == nil {
		t.Error("a device is gone")
	}
}

// With an API key the page is one of its application.
func TestKeyScope(t *testing.T) {
	w := newWorld(t)
	_, text := w.key("shop", "all")
	w.token = w.login(text)
	devices := w.read("devices")
	if at(devices, "devices.0.app") != "shop" || at(devices, "devices.1") != nil {
		t.Errorf("%v", devices)
	}
	if names := at(w.read("status"), "apps"); fmt.Sprint(names) != "[shop]" {
		t.Errorf("applications %v", names)
	}
	for _, path := range []string{
		"device?application_id=farm&device_id=dev1",
		"formatter?application_id=farm&device_id=dev1",
	} {
		if r := w.get(w.token, "/api/page/"+path); r.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if status, out := w.do("op/device.delete", `{"application_id":"farm","devices":["dev1"]}`); status != http.StatusForbidden {
		t.Errorf("%d %v", status, out)
	}
	if status, out := w.do("op/device.delete", `{"devices":["dev1"]}`); status != http.StatusOK {
		t.Errorf("its own: %d %v", status, out)
	}
	for _, e := range w.read("live")["events"].([]any) {
		if app := at(e, "app"); app == "farm" {
			t.Errorf("an event of another application: %v", e)
		}
	}
}

// A session with an API key, even one with all rights, reaches into no other application:
// neither by operations on the host, nor by the answer of an import.
func TestKeyIsNotTheHost(t *testing.T) {
	w := newWorld(t)
	owner := w.token
	farm, _ := w.key("farm", "all")
	_, text := w.key("shop", "all")
	w.token = w.login(text)
	file := jsonText(otaa("dev1", 1))
	for path, body := range map[string]string{
		"backup":           `{}`,
		"op/key.revoke":    `{"id":"` + farm + `"}`,
		"op/page.password": `{"password":"another password"}`,
		"import":           `{"application_id":"farm","dry_run":true,"text":` + file + `}`,
	} {
		if status, out := w.do(path, body); status != http.StatusForbidden {
			t.Errorf("%s: %d %v", path, status, out)
		}
	}
	if r := w.restore(text, ""); r.status != http.StatusForbidden {
		t.Errorf("restore: %+v", r)
	}
	if status, out := w.do("import", `{"dry_run":true,"text":`+file+`}`); status != http.StatusOK {
		t.Errorf("its own: %d %v", status, out)
	}
	if status, out := w.do("logout", `{"all":true}`); status != http.StatusOK {
		t.Errorf("%d %v", status, out)
	}
	w.token = owner
	w.read("status") // goes on
}

func jsonText(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
