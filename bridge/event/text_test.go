package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

var (
	dev1   = session.ID{Application: "app1", Device: "dev1"}
	eui    = radio.EUI64{0x70, 0xb3, 7: 1}
	at     = time.Date(2026, 11, 29, 12, 30, 0, 250_000_000, time.UTC)
	second = radio.HostTime(time.Second)
)

// texts are events with their lines and their JSON.
var texts = []struct {
	name string
	e    Event
	line string
	json string
}{
	{
		"with a time",
		Event{Kind: DownlinkSent, At: at, Host: 7 * second, Device: dev1, FCnt: 4, Gateway: "gw1"},
		"12:30:00.250  downlink sent  app1/dev1  f_cnt 4  gateway gw1",
		`{"time":"2026-11-29T12:30:00.25Z","uptime_s":7,"kind":"downlink_sent","application_id":"app1","device_id":"dev1",` +
			`"gateway_id":"gw1","f_cnt":4}`,
	},
	{
		"without",
		Event{Kind: DownlinkQueued, Host: 7 * second, Device: dev1, CorrelationIDs: []string{"a", "b"}},
		"7.000 s after the start  downlink queued  app1/dev1",
		`{"uptime_s":7,"kind":"downlink_queued","application_id":"app1","device_id":"dev1","correlation_ids":["a","b"]}`,
	},
	{
		"the reason of a drop",
		Event{
			Kind: UplinkDropped, Reason: DropReplay, Word: "not this", Device: dev1, Err: errors.New("f_cnt 3 was used"),
		},
		"0.000 s after the start  uplink dropped (replay)  app1/dev1  f_cnt 3 was used",
		`{"uptime_s":0,"kind":"uplink_dropped","reason":"replay","application_id":"app1","device_id":"dev1",` +
			`"error":"f_cnt 3 was used"}`,
	},
	{
		"a join that is refused",
		Event{
			Kind: JoinRefused, Word: "wrong_key", HasEUIs: true, DevEUI: eui, JoinEUI: radio.EUI64{9}, Gateway: "gw1",
			Err: errors.New("wrong MIC"), Hint: "compare the keys",
		},
		"0.000 s after the start  join refused (wrong_key)  DevEUI 70B3000000000001 JoinEUI 0900000000000000  gateway gw1  " +
			"wrong MIC;  compare the keys",
		`{"uptime_s":0,"kind":"join_refused","reason":"wrong_key","dev_eui":"70B3000000000001","join_eui":"0900000000000000",` +
			`"gateway_id":"gw1","error":"wrong MIC","hint":"compare the keys"}`,
	},
	{
		"a DevAddr of zeros",
		Event{Kind: JoinAccepted, Device: dev1, HasDevAddr: true},
		"0.000 s after the start  join accepted  app1/dev1  DevAddr 00000000",
		`{"uptime_s":0,"kind":"join_accepted","application_id":"app1","device_id":"dev1","dev_addr":"00000000"}`,
	},
	{
		"an unknown gateway",
		Event{Kind: GatewayRefused, GatewayEUI: eui, Address: "192.0.2.1:1700", Hint: "add it"},
		"0.000 s after the start  gateway refused  at 192.0.2.1:1700  add it",
		`{"uptime_s":0,"kind":"gateway_refused","gateway_eui":"70B3000000000001","address":"192.0.2.1:1700","hint":"add it"}`,
	},
	{
		"an MQTT client",
		Event{
			Kind: PublishRefused, Word: "no_right", Address: "192.0.2.7:5000",
			Client: Client{ID: "node-red", Application: "app1", Topic: "v3/app1@ttn/devices/dev1/down/push"},
		},
		"0.000 s after the start  MQTT publish refused (no_right)  application app1  client node-red  " +
			"topic v3/app1@ttn/devices/dev1/down/push  at 192.0.2.7:5000",
		`{"uptime_s":0,"kind":"mqtt_publish_refused","reason":"no_right","application_id":"app1","address":"192.0.2.7:5000",` +
			`"client_id":"node-red","topic":"v3/app1@ttn/devices/dev1/down/push"}`,
	},
	{
		"the address of a known gateway is not told",
		Event{Kind: GatewayConnected, Gateway: "gw1", Address: "192.0.2.1:1700"},
		"0.000 s after the start  gateway connected  gateway gw1",
		`{"uptime_s":0,"kind":"gateway_connected","gateway_id":"gw1","address":"192.0.2.1:1700"}`,
	},
}

func TestText(t *testing.T) {
	for _, tt := range texts {
		if got := tt.e.Text(); got != tt.line {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.line)
		}
		if got, err := json.Marshal(tt.e); err != nil || string(got) != tt.json {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tt.name, err, got, tt.json)
		}
	}
}

// option is a way to answer an uplink, in EU868.
func option(window string, change func(*Option)) Option {
	o := Option{
		Window: window, Gateway: "gw1", Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		Delay:   5 * time.Second,
		Airtime: 46_336 * time.Microsecond, Priority: radio.PriorityHighest,
	}
	o.Verdict.SubBand = region.SubBand{Low: 868_000_000, High: 868_600_000, DutyCycle: 10}
	o.Verdict.Used, o.Verdict.Allowed = 11_160*time.Millisecond, 18*time.Second
	if change != nil {
		change(&o)
	}
	return o
}

func TestOptionText(t *testing.T) {
	const rx1 = "RX1 868.1 MHz SF7BW125 at +5s: 46ms of air"
	const share = ", sub-band 868.0–868.6 MHz at 0.31 of 1 %"
	for _, tt := range []struct {
		name   string
		window string
		change func(*Option)
		want   string
	}{
		{"possible", "RX1", nil, rx1 + share},
		{
			"of a lower priority", "RX1", func(o *Option) { o.Priority = radio.PriorityNormal },
			rx1 + share + " (priority NORMAL may use 0.50)",
		},
		{"no limit", "RX1", func(o *Option) { o.Verdict.SubBand.DutyCycle = 1000 }, rx1},
		{"Class C", "RXC", nil, "RXC 868.1 MHz SF7BW125: 46ms of air" + share},
		{"a ping slot", "PING", nil, "PING 868.1 MHz SF7BW125: 46ms of air" + share},
		{
			"off line", "RX1", func(o *Option) { o.Verdict.Reason = schedule.Offline },
			rx1 + share + ": gateway gw1 is not connected",
		},
		{"no sub-band", "RX1", func(o *Option) {
			o.Verdict.Reason, o.Verdict.SubBand = schedule.NoSubBand, region.SubBand{}
		}, rx1 + ": nothing may be sent on this frequency"},
		{"dwell time", "RX1", func(o *Option) {
			o.Verdict.Reason, o.Verdict.Limit = schedule.DwellTime, 400*time.Millisecond
		}, rx1 + share + ": longer than the 400ms that the frequency plan allows"},
		{
			"conflict", "RX1", func(o *Option) { o.Verdict.Reason = schedule.Conflict },
			rx1 + share + ": gateway gw1 sends something else then",
		},
		{
			"duty cycle", "RX1", func(o *Option) { o.Verdict.Reason = schedule.DutyCycle },
			rx1 + share + ": the duty cycle is used up",
		},
		{"size", "RX1", func(o *Option) { o.Verdict.Reason = schedule.Size }, rx1 + share + ": too long for the data rate"},
		{
			"no counter", "RX1", func(o *Option) { o.Verdict.Reason = schedule.NoCounter },
			rx1 + share + ": no frame counter is reserved, the store cannot be written",
		},
	} {
		o := option(tt.window, tt.change)
		if got := o.Text(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// A decision says what was heard, what was tried and what came of it.
func TestDecisionText(t *testing.T) {
	const rx1 = "RX1 868.1 MHz SF7BW125 at +5s: 46ms of air, sub-band 868.0–868.6 MHz at 0.31 of 1 %"
	for _, tt := range []struct {
		name string
		make func(*Decision)
		want string
	}{
		{"nothing to answer with", func(*Decision) {}, "uplink f_cnt 3 heard 12:30:00.250; nothing was sent"},
		{"sent", func(d *Decision) {
			d.Consider(option("RX1", nil))
			d.Choose("acknowledgement", 13, 8)
			d.HandOver(300 * time.Millisecond)
		}, "uplink f_cnt 3 heard 12:30:00.250; acknowledgement; " + rx1 + "; chosen; handed to gateway gw1 0.30 s ahead"},
		{"refused by the gateway", func(d *Decision) {
			d.Consider(option("RX1", nil))
			d.Choose("acknowledgement", 13, 8)
			d.Refuse(schedule.Refused, radio.TxTooLate, "")
		}, "uplink f_cnt 3 heard 12:30:00.250; acknowledgement; " + rx1 +
			": gateway gw1 refused it: TOO_LATE; nothing was sent"},
		{
			"heard by one that cannot answer", func(d *Decision) { d.Blocked = []string{"gateway gw9 only listens"} },
			"uplink f_cnt 3 heard 12:30:00.250; gateway gw9 only listens; nothing was sent",
		},
		{"a join", func(d *Decision) { d.Join = true }, "join-request heard 12:30:00.250; nothing was sent"},
		{
			"Class C", func(d *Decision) { d.Always, d.UplinkAt = true, time.Time{} },
			"Class C, from 9.000 s after the start on; nothing was sent",
		},
		{"Class B", func(d *Decision) {
			d.Always = true
			d.Consider(option("PING", func(o *Option) { o.Verdict.Reason = schedule.Conflict }))
		}, "Class B, from 12:30:00.250 on; PING 868.1 MHz SF7BW125: 46ms of air, sub-band 868.0–868.6 MHz at 0.31 of 1 %: " +
			"gateway gw1 sends something else then; nothing was sent"},
	} {
		d := Decision{Device: dev1, Uplink: 9 * second, UplinkAt: at, FCntUp: 3, Chosen: -1}
		tt.make(&d)
		if got := d.Text(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// An option that is weighed again takes the place of what was said of it, unless it was
// tried; however often, a decision stays small.
func TestConsider(t *testing.T) {
	reason := func(r schedule.Reason) func(*Option) { return func(o *Option) { o.Verdict.Reason = r } }
	d := Decision{Chosen: -1}
	d.Consider(option("RX1", reason(schedule.Conflict)))
	d.Consider(option("RX1", reason(schedule.DutyCycle)))
	if len(d.Options) != 1 || d.Last().Verdict.Reason != schedule.DutyCycle {
		t.Errorf("weighed twice: %+v", d.Options)
	}
	d.Consider(option("RX2", nil))
	d.Consider(option("RX1", func(o *Option) { o.WithItem = true }))
	d.Consider(option("RX1", func(o *Option) { o.Gateway = "gw2" }))
	if len(d.Options) != 4 {
		t.Errorf("of four options: %+v", d.Options)
	}
	d.Refuse(schedule.Refused, radio.TxTooLate, "")
	d.Consider(option("RX1", func(o *Option) { o.Gateway = "gw2" }))
	if len(d.Options) != 5 || d.Options[3].Verdict.Reason != schedule.Refused {
		t.Errorf("what was tried is forgotten: %+v", d.Options)
	}
	for range 3 * maxOptions {
		d.Consider(option("RX1", reason(schedule.Refused)))
	}
	if len(d.Options) > maxOptions {
		t.Errorf("%d options", len(d.Options))
	}
}

// The JSON of a decision has its options, none of them where there are none, and the chosen
// one also where that is the first.
func TestDecisionJSON(t *testing.T) {
	read := func(d *Decision) (out map[string]any) {
		t.Helper()
		b, err := json.Marshal(Event{Decision: d})
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Decision map[string]any }
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		return e.Decision
	}
	got := read(&Decision{Chosen: -1})
	if options, ok := got["options"].([]any); !ok || len(options) != 0 || got["chosen"] != nil ||
		got["uplink_time"] != nil {
		t.Errorf("nothing was considered: %v", got)
	}
	d := Decision{Uplink: 9 * second, UplinkAt: at, FCntUp: 3, Chosen: -1}
	d.Consider(option("RX1", nil))
	d.Choose("acknowledgement", 13, 8)
	got = read(&d)
	o := got["options"].([]any)[0].(map[string]any)
	if got["chosen"] != 0.0 || got["f_cnt_down"] != 8.0 || got["size"] != 13.0 || o["gateway_id"] != "gw1" ||
		o["delay_s"] != 5.0 || o["duty_cycle"] != 0.01 || o["answer"] != nil || o["fault"] != nil {
		t.Errorf("chosen: %v", got)
	}
	d.Refuse(schedule.Refused, radio.TxTooLate, "")
	got = read(&d)
	if o := got["options"].([]any)[0].(map[string]any); o["answer"] != "TOO_LATE" || got["chosen"] != nil {
		t.Errorf("refused: %v", got)
	}
}

// Why tells the story of a downlink: of several decisions about one uplink the last one.
func TestWhy(t *testing.T) {
	decision := func(uplink radio.HostTime, blocked string) Event {
		return Event{Kind: DownlinkUnsent, Decision: &Decision{
			Uplink: uplink, FCntUp: uint32(uplink / second), Chosen: -1, Blocked: []string{blocked},
		}}
	}
	queued := Event{Kind: DownlinkQueued, Host: second}
	for _, tt := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"nothing is remembered", nil, ""},
		{"it waits", []Event{queued}, "pushed 1.000 s after the start"},
		{
			"tried twice after one uplink",
			[]Event{queued, decision(2*second, "one"), decision(2*second, "two")},
			"pushed 1.000 s after the start; uplink f_cnt 2 heard 2.000 s after the start; two; nothing was sent",
		},
		{
			"after two uplinks",
			[]Event{decision(2*second, "one"), decision(3*second, "two"), {Kind: DownlinkSent}},
			"uplink f_cnt 2 heard 2.000 s after the start; one; nothing was sent; " +
				"uplink f_cnt 3 heard 3.000 s after the start; two; nothing was sent; sent",
		},
		{
			"acknowledged",
			[]Event{{Kind: DownlinkAcked, Host: 4 * second}},
			"acknowledged by the device 4.000 s after the start",
		},
		{
			"not acknowledged",
			[]Event{{Kind: DownlinkNacked, Host: 4 * second}},
			"not acknowledged by the device 4.000 s after the start",
		},
		{"failed", []Event{{Kind: DownlinkFailed, Err: errors.New("expired")}}, "failed: expired"},
		{"failed for no reason", []Event{{Kind: DownlinkFailed}}, "failed: "},
		{"joined", []Event{{Kind: JoinAccepted, DevAddr: radio.DevAddr{1, 2, 3, 4}}}, "joined with DevAddr 01020304"},
		{"another event", []Event{{Kind: FormatterLog}}, ""},
	} {
		if got := Why(tt.events); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Hints name the device where a command needs it, and each reason for a drop has a word.
func TestWords(t *testing.T) {
	d := &session.Device{ID: dev1}
	if got := HintJoin(JoinUsedNonce, d); !strings.Contains(got, "lorawand device set dev1 --application app1 --reset") {
		t.Errorf("%s", got)
	}
	if got := HintReusedFCnt(d); !strings.Contains(got, "resets_f_cnt") {
		t.Errorf("personalised: %s", got)
	}
	d.SupportsJoin = true
	if got := HintReusedFCnt(d); !strings.Contains(got, "join again") || strings.Contains(got, "resets_f_cnt") {
		t.Errorf("joins: %s", got)
	}
	if got := HintDropped("nobody knows"); got != "" {
		t.Errorf("of an unknown cause: %s", got)
	}
	words := map[string]bool{}
	for r := DropReason(0); r < numDropReasons; r++ {
		word := r.String()
		if word == "" || words[word] || strings.ToLower(word) != word {
			t.Errorf("reason %d: %q", r, word)
		}
		words[word] = true
	}
	for err, want := range dropErrors {
		if got := DropReasonOf(errors.Join(errors.New("around it"), err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
