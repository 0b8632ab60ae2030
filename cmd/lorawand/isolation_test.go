//go:build !small

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// Two applications have devices and clients of the same names, and none ever sees
// a byte of the other's.
func TestIsolation(t *testing.T) {
	tests := []struct {
		name string
		run  func(h *house)
	}{
		{"every form of a filter", (*house).filters},
		{"topics of downlinks", (*house).downlinks},
		{"a will", (*house).will},
		{"retained messages", (*house).retained},
		{"a shared subscription", (*house).shared},
		{"a client id that is taken over", (*house).takeOver},
		{"what waits for a client that is away", (*house).offline},
		{"a session of the other's client id", (*house).otherSession},
		{"pages for operators", (*house).pages},
		{"calls of the HTTP API", (*house).calls},
		{"what Home Assistant is told", (*house).discovery},
	}
	for _, version := range []byte{4, 5} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, level %d", tt.name, version), func(t *testing.T) {
				tt.run(newHouse(t, version))
			})
		}
	}
}

// house is a daemon with two applications.
type house struct {
	*running
	site      *site
	version   byte
	keys      [2]string
	forwarder *forwarder
	fCnt      uint32
}

var (
	houseApps  = [2]string{"app1", "app2"}
	houseAddrs = [2]radio.DevAddr{{1, 0, 0, 1}, {1, 0, 0, 2}}
)

func newHouse(t *testing.T, version byte) *house {
	t.Helper()
	h := &house{site: newSite(t, "enforce_duty_cycle = false"), version: version}
	conf, err := os.ReadFile(h.site.conf)
	if err != nil {
		t.Fatal(err)
	}
	h.site.write("lorawand.toml", strings.Replace(string(conf), "[http]\nlisten = \"\"",
		"[http]\nlisten = \"127.0.0.1:0\"\napi_listen = \"127.0.0.1:0\"", 1))
	for i, app := range houseApps {
		device := strings.Replace(deviceJSON("dev1", houseAddrs[i].String()), "0102030405060708",
			fmt.Sprintf("010203040506070%d", i), 1)
		h.site.must(device, "device", "import", "-", "--application", app)
		h.keys[i] = strings.TrimSpace(h.site.must("", "api-key", "create", "--application", app))
	}
	h.running = h.site.start()
	h.forwarder = h.running.forwarder(testEUI)
	return h
}

// secret is the payload of an application's uplinks.
func secret(app int) string { return "this is of " + houseApps[app] }

// send has the device of each application send its secret.
func (h *house) send() {
	h.Helper()
	for app, addr := range houseAddrs {
		phy, err := frame.BuildUplink(frame.Data{
			MType: frame.UnconfirmedUp, DevAddr: addr, HasFPort: true, FPort: 15, FRMPayload: []byte(secret(app)),
		}, h.fCnt, testKeys(h.TB))
		if err != nil {
			h.Fatal(err)
		}
		h.forwarder.again(phy)
	}
	h.fCnt++
}

// client logs in as one of the applications, always with the same client id.
func (h *house) client(app int, change func(*houseOptions)) *houseClient {
	h.Helper()
	o := houseOptions{app: app, id: "client", clean: true}
	if change != nil {
		change(&o)
	}
	c, err := h.connect(o)
	if err != nil {
		h.Fatalf("%s: %v", houseApps[app], err)
	}
	return c
}

func kept(o *houseOptions) { o.clean = false }

// gets waits until a client has heard its own application's secret so many times.
func (c *houseClient) gets(n int) {
	c.house.Helper()
	if !c.hears(n) {
		c.fails(n)
	}
}

// getsUnlessLost is gets for a client that the broker may have closed the connection
// of, which the client learns a little later.
func (c *houseClient) getsUnlessLost(n int) {
	c.house.Helper()
	if !c.hears(n) && c.alive() {
		c.fails(n)
	}
}

// hears waits until a client has heard its secret so many times, or has lost its
// connection.
func (c *houseClient) hears(n int) bool {
	want := []byte(base64.StdEncoding.EncodeToString([]byte(secret(c.app))))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if bytes.Count(c.heard(), want) >= n {
			return true
		}
		if !c.alive() {
			return false
		}
	}
	return false
}

func (c *houseClient) fails(n int) {
	c.house.Helper()
	c.house.Fatalf("%s does not hear %d of its own messages:\n%q", houseApps[c.app], n, c.heard())
}

// knowsNothing expects that a client has heard nothing of the other application.
func (c *houseClient) knowsNothing() {
	c.house.Helper()
	if other := leaked(c.heard(), 1-c.app); other != "" {
		c.house.Errorf("%s hears %s:\n%q", houseApps[c.app], other, c.heard())
	}
}

// leaked returns what is of an application in some bytes, or "".
func leaked(heard []byte, app int) string {
	for _, what := range []string{
		houseApps[app], base64.StdEncoding.EncodeToString([]byte(secret(app))),
		houseAddrs[app].String(),
	} {
		if bytes.Contains(heard, []byte(what)) {
			return what
		}
	}
	return ""
}

// settle waits until what was sent so far has come to those whom it is for.
func (h *house) settle() {
	h.Helper()
	for app := range houseApps {
		c := h.client(app, func(o *houseOptions) { o.id = "settle" })
		c.subscribe("#")
		h.send()
		c.gets(1)
		c.close()
	}
}

func (h *house) filters() {
	for _, filter := range []string{
		"#", "v3/#", "v3/+/#", "v3/+/devices/+/up", "v3/+/devices/dev1/#", "v3/app1/#", "v3/app1/devices/dev1/up",
		"v3/app1/devices/+/up",
		"v3/app1@ttn/#", "v3/app1@ttn/devices/dev1/up", "v3/app1", "v3/app1/devices", "+/app1/#", "+/#", "+/+/+/+/up",
		"/v3/app1/#", "v3//app1/#",
		"v3/app2/../app1/#", "v3/app2@app1/#", "v3/app+/#", "V3/app1/#", "v3/APP1/#", "$share/g/v3/app1/#",
		"$share/app1/#", "$share/g/v3/app1@ttn/devices/dev1/up",
		"homeassistant/#", "homeassistant/+/+/config", "homeassistant/device/+/config", "homeassistant/status",
		"$share/g/homeassistant/#", "lorawand/gateways/+/status", "lorawand/gateways/#",
		"$queue/#", "$SYS/#", "$SYS/broker/#", "lorawand/#", "lorawand/status", "app1/#", "client", "app1/client",
	} {
		c, err := h.connect(houseOptions{app: 1, id: "client", clean: true})
		if err != nil {
			h.Fatal(err)
		}
		c.trySubscribe(filter)
		c.trySubscribe("v3/+/devices/+/up")
		h.send()
		h.send()
		c.getsUnlessLost(2)
		c.knowsNothing()
		c.close()
	}
}

func (h *house) downlinks() {
	own, other := h.client(0, nil), h.client(1, nil)
	own.subscribe("#")
	other.subscribe("#")
	item := []byte(`{"downlinks":[{"f_port":9,"frm_payload":"` + base64.StdEncoding.EncodeToString([]byte(secret(0))) + `","correlation_ids":["of-app1"]}]}`)
	for _, topic := range []string{
		"v3/app2/devices/dev1/down/push", "v3/app2/devices/dev1/down/replace", "v3/app2@ttn/devices/dev1/down/push",
		"v3/+/devices/dev1/down/push",
		"v3/app2/devices/dev1/up", "v3/app2/devices/dev1/down/failed", "/v3/app2/devices/dev1/down/push",
		"v3/app1/../app2/devices/dev1/down/push", "client", "app2/client",
	} {
		if topic == "v3/+/devices/dev1/down/push" { // ends the connection, as it should
			own.tryPublish(topic, item, false)
			own.close()
			own = h.client(0, nil)
			own.subscribe("#")
			continue
		}
		own.publish(topic, item, false)
	}
	own.publish("v3/app1/devices/dev1/down/push", item, false)
	h.settle()
	other.gets(2)
	other.knowsNothing()
	if list := h.site.must("", "downlink", "list", "app2", "dev1", "--json"); strings.TrimSpace(list) != "" {
		h.Errorf("the other application's device has a downlink: %s", list)
	}
	if list := h.site.must("", "events", "--json", "--device", "app2/dev1"); strings.Contains(list, "of-app1") {
		h.Errorf("events of the other application's device: %s", list)
	}
}

func (h *house) will() {
	other := h.client(1, nil)
	other.subscribe("#")
	for _, topic := range []string{
		"v3/app2/devices/dev1/up", "v3/app2/devices/dev1/down/push",
		"v3/app1/devices/dev1/up", "app1",
	} {
		c := h.client(0, func(o *houseOptions) { o.will = topic })
		c.cut()
	}
	h.settle()
	other.gets(2)
	other.knowsNothing()
	if list := h.site.must("", "downlink", "list", "app2", "dev1", "--json"); strings.TrimSpace(list) != "" {
		h.Errorf("a will is a downlink: %s", list)
	}
}

func (h *house) retained() {
	own := h.client(0, nil)
	for _, topic := range []string{
		"v3/app2/devices/dev1/up", "v3/app1/devices/dev1/up",
		"v3/app1/devices/dev1/down/push", "app1",
	} {
		own.publish(topic, []byte(secret(0)+" app1"), true)
	}
	for app := range houseApps {
		late := h.client(app, func(o *houseOptions) { o.id = "late" })
		late.subscribe("#")
		h.send()
		late.gets(1)
		late.knowsNothing()
		late.close()
	}
}

func (h *house) shared() {
	var clients []*houseClient
	for app := range houseApps {
		c := h.client(app, nil)
		c.subscribe("$share/group/#")
		clients = append(clients, c)
	}
	for range 10 {
		h.send()
	}
	for _, c := range clients {
		c.gets(10) // all of them: the other application is no member
		c.knowsNothing()
	}
}

func (h *house) takeOver() {
	own := h.client(0, kept)
	own.subscribe("#")
	for range 5 {
		h.client(1, nil).close()
		h.client(1, kept).cut()
	}
	h.send()
	own.gets(1)
	own.knowsNothing()
	if !own.alive() {
		h.Error("the client of the other application is cut off")
	}
}

func (h *house) offline() {
	for app := range houseApps {
		c := h.client(app, kept)
		c.subscribe("#")
		c.close()
	}
	for range 5 {
		h.send()
	}
	h.settle()
	for app := range houseApps {
		c := h.client(app, kept)
		c.gets(5)
		c.knowsNothing()
	}
}

func (h *house) otherSession() {
	c := h.client(0, kept)
	c.subscribe("#")
	c.close()
	h.send()
	h.settle()
	for _, id := range []string{"client", "app1/client", "../app1/client", "/client"} {
		other := h.client(1, func(o *houseOptions) { o.id, o.clean = id, false })
		if other.present {
			h.Errorf("client id %s has a session of the other application", id)
		}
		other.subscribe("#")
		h.send()
		other.gets(1)
		other.knowsNothing()
		other.close()
	}
	h.client(0, kept).gets(1)
}

// discovery: each application's client is told of its own devices.
func (h *house) discovery() {
	var clients []*houseClient
	for app, name := range houseApps {
		h.site.must("", "application", "set", name, "--home-assistant")
		c := h.client(app, nil)
		c.subscribe("homeassistant/#")
		c.subscribe("v3/+/devices/+/up")
		clients = append(clients, c)
	}
	h.send()
	h.settle()
	for app, c := range clients {
		c.gets(1)
		own := []byte("homeassistant/")
		for end := time.Now().Add(patience); !bytes.Contains(c.heard(), own) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		if !bytes.Contains(c.heard(), own) {
			h.Errorf("%s is told of no device", houseApps[app])
		}
		c.knowsNothing()
	}
}

// pages: what is served without a login has nothing of any application.
func (h *house) pages() {
	h.settle()
	for _, path := range []string{
		"/metrics", "/healthz", "/readyz", "/", "/api/v3/applications/app1/devices",
		"/api/v3/as/applications/app1/devices/dev1/packages/storage/uplink_message",
	} {
		answer, err := http.Get("http://" + h.d.http.Addr().String() + path)
		if err != nil {
			h.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			h.Fatal(err)
		}
		for app := range houseApps {
			if what := leaked(body, app); what != "" {
				h.Errorf("%s has %s", path, what)
			}
		}
	}
}
