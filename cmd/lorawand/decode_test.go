package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/demo"
	"lorawand/radio"
)

// formatted is the test device with payload formatters.
func formatted(t testing.TB, formatters map[string]string) string {
	t.Helper()
	b, err := json.Marshal(formatters)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(settledDevice("dev1", testAddr.String(), 1), `"lorawan_version"`, `"formatters":`+string(b)+`,"lorawan_version"`, 1)
}

// decoding is a running site with the test device and its formatters, a device without
// any, what an application sees, and a gateway that sends.
type decoding struct {
	*running
	site *site
	key  string
	all  <-chan message
	*forwarder
	sent chan radio.Downlink
}

func newDecoding(t testing.TB, formatters map[string]string, more string) *decoding {
	t.Helper()
	if !strings.Contains(more, "[formatter]") {
		more += "[formatter]\nwait = \"1m\"\n" // how fast scripts are run is not what is tested
	}
	s := newSite(t, more)
	d := &decoding{site: s, sent: make(chan radio.Downlink, 100)}
	s.must(formatted(t, formatters), "device", "import", "-", "--application", "app1")
	other := strings.NewReplacer("01ABCDEF", "01ABCDF0", "0102030405060708",
		"0102030405060709").Replace(deviceJSON("dev2", testAddr.String()))
	s.must(other, "device", "import", "-", "--application", "app1")
	d.key = strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	d.start()
	return d
}

// start starts the daemon, again after a stop.
func (d *decoding) start() {
	d.running = d.site.start()
	d.all = d.watch("app1", d.key, "#")
	d.forwarder = d.transmitter(testEUI, func(down radio.Downlink) radio.TxResult {
		d.sent <- down
		return radio.TxOK
	})
}

// push publishes a down/push as the application.
func (d *decoding) push(body string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	login := demo.Login{Broker: d.d.mqttAddr().String(), User: "app1", Password: d.key}
	if err := login.Publish(ctx, "v3/app1/devices/dev1/down/push", []byte(body)); err != nil {
		d.site.Error(err)
	}
}

// wants takes the next message, whose topic ends so and which has all of the texts.
func wants(t testing.TB, ch <-chan message, suffix string, texts ...string) string {
	t.Helper()
	m := next(t, ch)
	if !strings.HasSuffix(m.topic, "/"+suffix) {
		t.Fatalf("%s: %s, not on %s", m.topic, m.payload, suffix)
	}
	for _, text := range texts {
		if !strings.Contains(string(m.payload), text) {
			t.Errorf("%s: %s is not in\n%s", suffix, text, m.payload)
		}
	}
	return string(m.payload)
}

// From a frame to decoded_payload, normalized_payload and a location, with the field
// order of The Things Stack.
func TestDecodedUplink(t *testing.T) {
	d := newDecoding(t, map[string]string{"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": `
		function decodeUplink(i) {
			console.log("port " + i.fPort);
			return {data: {n: i.bytes[0], lat: 52.5, lng: i.bytes[0]}, warnings: ["dw"]};
		}
		function normalizeUplink(i) { return {data: {air: {temperature: i.data.n}}, warnings: ["nw"]}; }`}, "")
	d.send(1, "\x14")
	wants(t, d.all, "up", `"f_port":15,"f_cnt":1,"frm_payload":"FA==","decoded_payload":{"lat":52.5,"lng":20,"n":20},`+
		`"decoded_payload_warnings":["dw"],"normalized_payload":[{"air":{"temperature":20}}],"normalized_payload_warnings":["nw"],"rx_metadata":[`,
		`"consumed_airtime":"0.046336s","locations":{"frm-payload":{"latitude":52.5,"longitude":20,"source":"SOURCE_GPS"}},"network_ids":{`)
	wants(t, d.all, "up/normalized", `"uplink_normalized":{"f_port":15,"f_cnt":1,"frm_payload":"FA==","normalized_payload":{"air":{"temperature":20}},`+
		`"normalized_payload_warnings":["nw"],"rx_metadata":[`, `"network_ids":{`)
	wants(t, d.all, "location/solved", `"location_solved":{"service":"frm-payload","location":{"latitude":52.5,"longitude":20,"source":"SOURCE_GPS"}}}`)
}

// A location is in the messages that follow, over a restart too.
func TestLocationStays(t *testing.T) {
	const place = `"locations":{"frm-payload":{"latitude":42.3519,"longitude":-87.9094,"altitude":10,"source":"SOURCE_GPS"}}`
	d := newDecoding(t, map[string]string{"up_formatter": "FORMATTER_CAYENNELPP"}, "")
	d.send(1, "\x01\x88\x06\x76\x5f\xf2\x96\x0a\x00\x03\xe8")
	wants(t, d.all, "up", `"decoded_payload":{"gps_1":{"altitude":10,"latitude":42.3519,"longitude":-87.9094}}`, place)
	wants(t, d.all, "location/solved")
	d.send(2, "\x03\x67\x01\x10")
	wants(t, d.all, "up", `"decoded_payload":{"temperature_3":27.2}`, place)
	d.stop()
	d.start()
	d.send(3, "\x03\x67\x01\x10")
	wants(t, d.all, "up", place)
}

// A decoded_payload becomes a frame; messages show what The Things Stack shows.
func TestEncodedDownlink(t *testing.T) {
	d := newDecoding(t, map[string]string{"down_formatter": "FORMATTER_JAVASCRIPT", "down_formatter_parameter": `
		function encodeDownlink(i) {
			if (i.data.fail) throw new Error("not so");
			return {bytes: [i.data.v], fPort: 9, warnings: ["ew"]};
		}
		function decodeDownlink(i) { return {data: {back: i.bytes[0], port: i.fPort}, warnings: ["dw"]}; }`}, "")
	d.push(`{"downlinks":[{"decoded_payload":{"v":5}}]}`)
	wants(t, d.all, "down/queued", `"downlink_queued":{"f_port":9,"frm_payload":"BQ==","decoded_payload":{"v":5},"decoded_payload_warnings":["ew"],"correlation_ids":`)
	d.send(1, "x")
	wants(t, d.all, "up")
	wants(t, d.all, "down/sent", `"f_port":9,"f_cnt":1,"frm_payload":"BQ==","decoded_payload":{"back":5,"port":9},"decoded_payload_warnings":["dw"],"correlation_ids":`)
	for _, tt := range []struct{ push, suffix, want string }{
		{`{"f_port":3,"frm_payload":"Bw=="}`, "down/queued", `"f_port":3,"frm_payload":"Bw==","decoded_payload":{"back":7,"port":3},"decoded_payload_warnings":["dw"],"corr`},
		{`{"f_port":3,"frm_payload":"Bw==","decoded_payload":{"v":5}}`, "down/queued", `"f_port":3,"frm_payload":"Bw==","decoded_payload":{"v":5},"corr`},
		{`{"frm_payload":"AQ=="}`, "down/failed", `"downlink":{"frm_payload":"AQ==","decoded_payload":{"back":1,"port":0},"decoded_payload_warnings":["dw"],"corr`},
		{`{"f_port":3,"decoded_payload":{"fail":true}}`, "down/failed", `"downlink":{"f_port":3,"decoded_payload":{"fail":true},"correlation_ids":`},
		{`{"f_port":3,"decoded_payload":{"fail":true}}`, "down/failed", `"error":{"namespace":"pkg/scripting/javascript","name":"script","message_format":"{message}","attributes":{"message":"Error: not so`},
	} {
		d.push(`{"downlinks":[` + tt.push + `]}`)
		wants(t, d.all, tt.suffix, tt.want)
	}
}

// An encoder that never ends keeps its client waiting no longer than may be, and what
// others push not at all.
func TestEndlessEncoder(t *testing.T) {
	d := newDecoding(t, map[string]string{
		"down_formatter": "FORMATTER_JAVASCRIPT", "down_formatter_parameter": "function encodeDownlink(i) { for (;;); }",
	}, "")
	const item = `{"f_port":3,"decoded_payload":{"v":5}},`
	late := watchLateness(t)
	began := time.Now()
	d.push(`{"downlinks":[` + strings.TrimSuffix(strings.Repeat(item, 20), ",") + `]}`)
	took := time.Since(began)
	if limit := 2*time.Second + lateHops*late(); took > limit {
		t.Errorf("the PUBACK comes after %v, more than %v", took, limit)
	}
	for range 20 {
		text := wants(t, d.all, "down/failed", `"decoded_payload":{"v":5}`)
		// On a loaded machine the push is over before the script has had its CPU time.
		if !strings.Contains(text, `"name":"script_timeout"`) && !strings.Contains(text, `"name":"unavailable"`) {
			t.Errorf("refused for another reason: %s", text)
		}
	}
}

// Without a formatter a decoded_payload is refused: an empty frame could be a command.
func TestNothingEncodes(t *testing.T) {
	d := newDecoding(t, map[string]string{"up_formatter": "FORMATTER_CAYENNELPP"}, "")
	d.push(`{"downlinks":[{"f_port":3,"decoded_payload":{"v":5}}]}`)
	wants(t, d.all, "down/failed", `"downlink":{"f_port":3,"decoded_payload":{"v":5},`, `"name":"formatter_not_configured"`)
}

// looping is a script without an end for payloads that do not begin with 0.
var looping = map[string]string{
	"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "function decodeUplink(i) { if (i.bytes[0]) for (;;); return {data: {}}; }",
}

// A hostile script costs nobody but its own device, and that one only its values: the
// frame is answered in RX1, and told with the reason; what comes next is decoded.
func TestHostileFormatter(t *testing.T) {
	d := newDecoding(t, looping, "")
	push := func() {
		d.push(`{"downlinks":[{"f_port":3,"frm_payload":"AQ=="}]}`)
		wants(t, d.all, "down/queued")
	}
	push()
	d.send(1, "\x00") // starts the child; its window takes the first downlink
	wants(t, d.all, "up", `"decoded_payload":{}`)
	wants(t, d.all, "down/sent")
	<-d.sent
	push()
	d.send(2, "\x01")
	wants(t, d.all, "up", `"device_id":"dev1"`, `"f_cnt":2,"frm_payload":"AQ==","decoded_payload_warnings":["script timeout: context deadline exceeded"]`)
	wants(t, d.all, "down/sent", `"frm_payload":"AQ=="`)
	if down := <-d.sent; down.Frequency != 868_500_000 {
		t.Errorf("answered on %v, which is not RX1", down.Frequency)
	}
	d.send(3, "\x00")
	wants(t, d.all, "up", `"f_cnt":3`, `"decoded_payload":{}`)
	failed := 0
	for _, e := range d.d.bridge.Events().Recent(nil) {
		switch e.Kind {
		case event.FormatterFailed:
			failed++
		case event.DownlinkUnsent:
			t.Errorf("%v", e.Text())
		}
	}
	if failed != 1 {
		t.Errorf("%d failures among the events", failed)
	}
}

// lateHops are those of goroutines between what is sent and what comes of it, each of which may have to wait.
const lateHops = 4

// watchLateness returns a function that says for how long this process could not run
// since, in pieces that are longer than those of a machine that is not busy.
func watchLateness(t *testing.T) func() time.Duration {
	const step, usual = 10 * time.Millisecond, 5 * time.Millisecond
	var total atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	wg.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			time.Sleep(step)
			if late := time.Since(began) - step; late > usual {
				total.Add(int64(late))
			}
		}
	})
	return func() time.Duration { cancel(); return time.Duration(total.Load()) }
}

// With any script, and even with a stopped child, the uplink of a device is out within 250
// ms and the deadline, as far as the machine lets this process run.
func TestUplinksGoOutInTime(t *testing.T) {
	d := newDecoding(t, looping, "[formatter]\nwait = \"250ms\"\n")
	ready := func() {
		js, err := formatter.NewJavaScript("function decodeUplink() { return {data: {}}; }")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if res := d.d.formatters.Do(ctx, formatter.Request{Formatter: js, Task: formatter.DecodeUplink}); res.Fail != nil {
			t.Fatal(res.Fail)
		}
	}
	for i, stopped := range []bool{false, true} {
		ready()
		if pid := d.d.formatters.Stats().PID; stopped {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		late := watchLateness(t)
		began := time.Now()
		d.send(uint32(i+1), "\x01")
		text := wants(t, d.all, "up", `"device_id":"dev1"`, `"frm_payload":"AQ==","decoded_payload_warnings":["`)
		took := time.Since(began)
		limit := 250*time.Millisecond + d.d.formatters.Stats().Deadline + 50*time.Millisecond + lateHops*late()
		if took > limit {
			t.Errorf("stopped %v: the message takes %v, more than %v: %s", stopped, took, limit, text)
		}
	}
}

// With scripts switched off each message says so, and no child is started.
func TestFormattersOff(t *testing.T) {
	d := newDecoding(t, map[string]string{"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "x"}, "[formatter]\njavascript = false\n")
	d.send(1, "x")
	wants(t, d.all, "up", `"decoded_payload_warnings":["JavaScript formatters are switched off"]`)
	if pid := d.d.formatters.Stats().PID; pid != 0 {
		t.Errorf("child %d", pid)
	}
}

// The log lines of a script are among the events, which a terminal shows in words.
func TestFormatterEvents(t *testing.T) {
	d := newDecoding(t, map[string]string{
		"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": `function decodeUplink(i) { console.log("n", i.bytes.length); throw new Error("broken"); }`,
	}, "")
	d.send(1, "abc")
	wants(t, d.all, "up")
	var got string
	for _, e := range d.d.bridge.Events().Recent(nil) {
		got += e.Text() + "\n"
	}
	for _, want := range []string{
		"payload formatter says  app1/dev1  n 3\n",
		"payload formatter failed  app1/dev1  Error: broken",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// A made-up uplink is marked as such, decoded like an uplink, and does not change the
// device.
func TestSimulated(t *testing.T) {
	d := newDecoding(t, map[string]string{"up_formatter": "FORMATTER_CAYENNELPP"}, "")
	id := session.ID{Application: "app1", Device: "dev1"}
	simulate := func(id session.ID, body string) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return d.d.bridge.Simulate(ctx, id, []byte(body))
	}
	const more = `"rx_metadata":[{"gateway_ids":{"gateway_id":"test"},"rssi":-100}],"settings":{"frequency":"868000000"}}}`
	if err := simulate(id, `{"uplink_message":{"f_port":1,"frm_payload":"AYgGdl/ylgoAA+g=",`+more); err != nil {
		t.Fatal(err)
	}
	text := wants(t, d.all, "up", `"dev_eui":"0102030405060708"},"correlation_ids":["as:up:`, `"frm_payload":"AYgGdl/ylgoAA+g=","decoded_payload":{"gps_1":{`,
		`"settings":{"frequency":"868000000"}},"simulated":true}`)
	if strings.Contains(text, "locations") {
		t.Errorf("the device is where it was made up to be: %s", text)
	}
	if err := simulate(id, `{"service_data":{"service":"svc","data":{"a":1}}}`); err != nil {
		t.Fatal(err)
	}
	wants(t, d.all, "service/data", `"service_data":{"service":"svc","data":{"a":1}},"simulated":true}`)
	for body, want := range map[string]string{`{}`: "value is required", `{bad`: "not JSON"} {
		if err := simulate(id, body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	id.Device = "nosuch"
	if err := simulate(id, `{"service_data":{}}`); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("an unknown device: %v", err)
	}
	d.send(1, "\x03\x67\x01\x10")
	if text := wants(t, d.all, "up", `"f_cnt":1`); strings.Contains(text, "locations") {
		t.Errorf("the device has been moved: %s", text)
	}
}
