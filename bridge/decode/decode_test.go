package decode

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/codec"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/formatter/formattertest"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// stand is a Decoder with devices, whose messages and reports a test reads.
type stand struct {
	testing.TB
	*Decoder
	devices map[session.ID]*session.Device
	encoder v3.Encoder

	mu      sync.Mutex
	out     []v3.Message
	located []session.Location
	events  []event.Event
}

func newStand(t testing.TB, o formatter.Options) *stand {
	t.Helper()
	s := &stand{TB: t, devices: map[session.ID]*session.Device{}}
	if o.Command == nil {
		o.Command = formattertest.Command(t)
	}
	if o.Wait == 0 {
		o.Wait = time.Minute // how fast a child starts is not what is tested
	}
	pool := formatter.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = pool.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	s.Decoder = New(Options{
		Device: func(id session.ID) *session.Device { return s.devices[id] }, Pool: pool,
		Formatters: codec.NewResolver(access.NewApplications(), codec.NewLibrary()),
		Publish:    func(m v3.Message) { s.mu.Lock(); s.out = append(s.out, m); s.mu.Unlock() },
		Located: func(_ session.ID, _ string, l session.Location) {
			s.mu.Lock()
			s.located = append(s.located, l)
			s.mu.Unlock()
		},
		Report: func(e event.Event) { s.mu.Lock(); s.events = append(s.events, e); s.mu.Unlock() },
	})
	return s
}

func (s *stand) device(name string, f session.Formatters) session.ID {
	id := session.ID{Application: "app1", Device: name}
	s.devices[id] = &session.Device{ID: id, Formatters: f}
	return id
}

// up publishes an uplink as the core does.
func (s *stand) up(id session.ID, fCnt uint32, payload ...byte) {
	u := v3.Uplink{
		DeviceIDs: v3.DeviceIDs{ID: id}, FPort: 7, FCnt: fCnt, FRMPayload: payload,
		Locations: s.devices[id].Locations,
	}
	u.Settings = v3.Settings{Uplink: upOf(payload)}
	text := s.encoder.AppendUplink(nil, &u)
	s.Publish(v3.Message{Application: id.Application, Device: id.Device, Suffix: v3.Up, Payload: text}, v3.Undecoded{
		FPort: 7, FRMPayload: payload, Received: time.Unix(1_800_000_000, 0), Places: u.Places,
	})
}

// other publishes a message without a payload.
func (s *stand) other(id session.ID, suffix, text string) {
	s.Publish(v3.Message{Application: id.Application, Device: id.Device, Suffix: suffix, Payload: []byte(text)},
		v3.Undecoded{})
}

// wait returns the messages when there are n.
func (s *stand) wait(n int) []v3.Message {
	s.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		out := s.out
		s.mu.Unlock()
		if len(out) >= n {
			return out
		}
		if time.Now().After(end) {
			s.Fatalf("%d messages, not %d", len(out), n)
		}
	}
}

func javaScript(up string) session.Formatters {
	return session.Formatters{Set: true, Up: codec.JavaScript, UpParameter: up}
}

// message is what the tests read of a message.
type message struct {
	Up struct {
		FCnt         uint32                      `json:"f_cnt"`
		FRMPayload   []byte                      `json:"frm_payload"`
		Decoded      json.RawMessage             `json:"decoded_payload"`
		Warnings     []string                    `json:"decoded_payload_warnings"`
		Normalized   json.RawMessage             `json:"normalized_payload"`
		NormWarnings []string                    `json:"normalized_payload_warnings"`
		Locations    map[string]session.Location `json:"locations"`
	} `json:"uplink_message"`
}

func parse(t testing.TB, m v3.Message) (out message) {
	t.Helper()
	if err := json.Unmarshal(m.Payload, &out); err != nil {
		t.Fatalf("%s: %v", m.Payload, err)
	}
	return out
}

func TestDecodedUplinks(t *testing.T) {
	const echo = `function decodeUplink(i) {
		return {data: {n: i.bytes.length, port: i.fPort, at: +i.recvTime}, warnings: i.bytes[0] ? ["w"] : []};
	}`
	s, n := newStand(t, formatter.Options{}), 0
	for _, tt := range []struct {
		name     string
		f        session.Formatters
		payload  []byte
		decoded  string
		warnings string // a part of each, joined
	}{
		{"none", session.Formatters{}, []byte{1}, "", ""},
		{"FORMATTER_NONE", session.Formatters{Set: true, Up: codec.None}, []byte{1}, "", ""},
		{"JavaScript", javaScript(echo), []byte{1, 2}, `{"at":1800000000000,"n":2,"port":7}`, "w"},
		{"an empty payload", javaScript(echo), nil, `{"at":1800000000000,"n":0,"port":7}`, ""},
		{"CayenneLPP", session.Formatters{Set: true, Up: codec.CayenneLPP}, []byte{3, 0x67, 1, 0x10}, `{"temperature_3":27.2}`, ""},
		{"CayenneLPP, cut", session.Formatters{Set: true, Up: codec.CayenneLPP}, []byte{3, 0x67, 1, 0x10, 4}, `{"temperature_3":27.2}`, "cut short"},
		{
			"a script that throws", javaScript(`function decodeUplink() { throw new Error("broken"); }`),
			[]byte{1},
			"",
			"broken",
		},
		{"errors", javaScript(`function decodeUplink() { return {errors: ["a", "b"]}; }`), []byte{1}, "", "a, b"},
		{"the repository", session.Formatters{Set: true, Up: codec.Repository}, []byte{1}, "", "payload formatter: "},
		{
			"a service",
			session.Formatters{Set: true, Up: "FORMATTER_GRPC_SERVICE"},
			[]byte{1},
			"",
			"FORMATTER_GRPC_SERVICE is not served",
		},
		{
			"a script that is too long", javaScript(strings.Repeat("x", formatter.MaxScript+1)),
			[]byte{1},
			"",
			"more than 40960",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.up(s.device("dev1", tt.f), 1, tt.payload...)
			n++
			m := parse(t, s.wait(n)[n-1]).Up
			if string(m.Decoded) != tt.decoded || string(m.FRMPayload) != string(tt.payload) || m.FCnt != 1 {
				t.Errorf("%s of % X", m.Decoded, m.FRMPayload)
			}
			if w := strings.Join(m.Warnings, "|"); (tt.warnings == "") != (w == "") || !strings.Contains(w, tt.warnings) {
				t.Errorf("warnings %q, want %q", w, tt.warnings)
			}
		})
	}
}

// Scripts that are switched off say so in each message.
func TestJavaScriptOff(t *testing.T) {
	s := newStand(t, formatter.Options{NoJavaScript: true})
	s.up(s.device("dev1", javaScript("")), 1, 1)
	if m := parse(t, s.wait(1)[0]).Up; len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "switched off") {
		t.Errorf("warnings %q", m.Warnings)
	}
}

// A payload that only the application can decrypt is not decoded.
func TestSkipCrypto(t *testing.T) {
	s := newStand(t, formatter.Options{})
	id := s.device("dev1", session.Formatters{Set: true, Up: codec.CayenneLPP})
	s.devices[id].SkipCrypto = true
	s.up(id, 1, 3, 0x67, 1, 0x10)
	if m := parse(t, s.wait(1)[0]).Up; m.Decoded != nil || m.Warnings != nil {
		t.Errorf("%s, %q", m.Decoded, m.Warnings)
	}
}

// The owner is told a script's log lines and why it has failed.
func TestReports(t *testing.T) {
	s := newStand(t, formatter.Options{})
	s.up(s.device("dev1", javaScript(`function decodeUplink() { console.log("one"); console.log("two"); throw "no"; }`)),
		1, 1)
	s.wait(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) != 2 || s.events[0].Kind != event.FormatterLog || s.events[0].Err.Error() != "one | two" ||
		s.events[1].Kind != event.FormatterFailed || !strings.Contains(s.events[1].Err.Error(), "no") {
		t.Errorf("events %+v", s.events)
	}
}

// The messages of a device keep their order, whatever takes its time; those of
// others do not wait.
func TestOrder(t *testing.T) {
	s := newStand(t, formatter.Options{})
	slow := s.device("slow", javaScript(`function decodeUplink(i) {
		var x = 0;
		for (var k = 0; k < 1000; k++) x += k;
		return {data: {x: i.bytes[0]}};
	}`))
	plain := s.device("plain", session.Formatters{})
	var want []string
	for i := range 10 {
		s.up(slow, uint32(i), byte(i))
		s.other(slow, v3.DownSent, fmt.Sprintf(`{"i":%d}`, i))
		want = append(want, fmt.Sprint(i), fmt.Sprintf(`{"i":%d}`, i))
	}
	s.up(plain, 1, 1)
	s.mu.Lock()
	if !slices.ContainsFunc(s.out, func(m v3.Message) bool { return m.Device == "plain" }) {
		t.Error("another device waits")
	}
	s.mu.Unlock()
	var got []string
	for _, m := range s.wait(21) {
		switch {
		case m.Device == "plain":
		case m.Suffix == v3.Up:
			u := parse(t, m).Up
			got = append(got, fmt.Sprint(u.FCnt))
			if string(u.Decoded) != fmt.Sprintf(`{"x":%d}`, u.FCnt) {
				t.Errorf("uplink %d is decoded as %s", u.FCnt, u.Decoded)
			}
		default:
			got = append(got, string(m.Payload))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// While a child takes its time to start, messages go out when their time is over, in
// their order and with a warning; those that have waited behind one wait no longer.
func TestSlowStart(t *testing.T) {
	command, release := formattertest.SlowCommand(t)
	s := newStand(t, formatter.Options{Command: command, Wait: 20 * time.Millisecond})
	id := s.device("dev1", javaScript(`function decodeUplink(i) { return {data: {n: i.bytes[0]}}; }`))
	const n = 5
	for i := range n {
		s.up(id, uint32(i), byte(i))
		s.other(id, v3.DownSent, fmt.Sprint(i))
	}
	for i, m := range s.wait(2 * n) {
		if i%2 == 1 {
			if string(m.Payload) != fmt.Sprint(i/2) {
				t.Errorf("message %d is %s", i, m.Payload)
			}
			continue
		}
		u := parse(t, m).Up
		if u.FCnt != uint32(i/2) || u.Decoded != nil || !slices.Equal(u.Warnings,
			[]string{"payload formatter was not ready in time"}) {
			t.Errorf("message %d is uplink %d: %s, %q", i, u.FCnt, u.Decoded, u.Warnings)
		}
	}
	release()
	js, err := formatter.NewJavaScript(s.devices[id].Formatters.UpParameter)
	if err != nil {
		t.Fatal(err)
	}
	r := formatter.Request{Formatter: js, Task: formatter.DecodeUplink, Bytes: []byte{1}}
	if res := s.o.Pool.Do(t.Context(), r); string(res.Data) != `{"n":1}` {
		t.Errorf("when the child is there: %+v", res)
	}
}

// When too many wait, all of the device go out in their order, with a warning, and
// none twice or never.
func TestTooManyWait(t *testing.T) {
	s := newStand(t, formatter.Options{})
	id := s.device("dev1", javaScript(`function decodeUplink(i) { for (;;); }`))
	const n = maxLine + 3
	for i := range n {
		s.up(id, uint32(i), byte(i))
	}
	s.Drain(10 * time.Second)
	s.wait(n)
	time.Sleep(20 * time.Millisecond)
	busy := 0
	for i, m := range s.wait(n) {
		u := parse(t, m).Up
		if u.FCnt != uint32(i) || len(u.Warnings) != 1 {
			t.Errorf("message %d is %d, warnings %q", i, u.FCnt, u.Warnings)
		}
		if strings.Contains(u.Warnings[0], "busy") {
			busy++
		}
	}
	if len(s.out) != n || busy < maxLine || s.Waiting() != 0 || len(s.lines) != 0 {
		t.Errorf("%d messages, %d of them refused; %d wait", len(s.out), busy, s.Waiting())
	}
}

// The same over all devices together.
func TestTooManyWaitOfAll(t *testing.T) {
	s := newStand(t, formatter.Options{})
	const n = maxWaiting + 10
	for i := range n {
		s.up(s.device(fmt.Sprintf("dev%03d", i), javaScript(`function decodeUplink(i) { for (;;); }`)), 1, 1)
	}
	if got := s.Waiting(); got > maxWaiting {
		t.Errorf("%d wait", got)
	}
	s.Drain(0)
	if len(s.wait(n)) != n || s.Waiting() != 0 {
		t.Errorf("%d messages, %d wait", len(s.out), s.Waiting())
	}
}

func TestNormalizedAndLocated(t *testing.T) {
	s := newStand(t, formatter.Options{})
	id := s.device("dev1", javaScript(`
		function decodeUplink(i) { return {data: {latitude: 52.5, longitude: 4.75, altitude: 7.6}}; }
		function normalizeUplink(i) { return {data: [{air: {temperature: 20}}, {soil: {moisture: 3}}], warnings: ["nw"]}; }`))
	s.devices[id].Locations = map[string]session.Location{"user": {Latitude: 1, Source: "SOURCE_REGISTRY"}}
	s.up(id, 5, 1)
	out := s.wait(4)
	var suffixes []string
	for _, m := range out {
		suffixes = append(suffixes, m.Suffix)
	}
	if got := strings.Join(suffixes, " "); got != "up up/normalized up/normalized location/solved" {
		t.Fatalf("messages %s", got)
	}
	u := parse(t, out[0]).Up
	want := session.Location{Latitude: 52.5, Longitude: 4.75, Altitude: 7, Source: "SOURCE_GPS"}
	if string(u.Normalized) != `[{"air":{"temperature":20}},{"soil":{"moisture":3}}]` || u.NormWarnings[0] != "nw" ||
		len(u.Locations) != 2 || u.Locations["frm-payload"] != want {
		t.Errorf("%s", out[0].Payload)
	}
	const second = `"uplink_normalized":{"f_port":7,"f_cnt":5,"frm_payload":"AQ==","normalized_payload":{"soil":{"moisture":3}},"normalized_payload_warnings":["nw"],"rx_metadata":`
	if !strings.Contains(string(out[2].Payload), second) || strings.Contains(string(out[2].Payload), "decoded_payload") {
		t.Errorf("%s", out[2].Payload)
	}
	const solved = `"location_solved":{"service":"frm-payload","location":{"latitude":52.5,"longitude":4.75,"altitude":7,"source":"SOURCE_GPS"}}}`
	if !strings.HasSuffix(string(out[3].Payload), solved) {
		t.Errorf("%s", out[3].Payload)
	}
	if len(s.located) != 1 || s.located[0] != want {
		t.Errorf("located %v", s.located)
	}
	s.devices[id].Locations = map[string]session.Location{"frm-payload": want}
	s.up(id, 6, 1)
	s.Drain(10 * time.Second)
	for _, m := range s.wait(7)[4:] {
		if m.Suffix == v3.Solved {
			t.Error("location/solved of a place that is known")
		}
	}
	if len(s.located) != 1 {
		t.Error("a place that is known is told again")
	}
}

// An uplink without a formatter passes no goroutine, and costs nothing.
func TestNothingToDecode(t *testing.T) {
	s := newStand(t, formatter.Options{})
	id := s.device("dev1", session.Formatters{})
	n := 0
	s.o.Publish = func(v3.Message) { n++ }
	m := v3.Message{Application: id.Application, Device: id.Device, Suffix: v3.Up, Payload: []byte("{}")}
	u := v3.Undecoded{FPort: 1, FRMPayload: []byte{1}}
	if allocs := testing.AllocsPerRun(100, func() { s.Publish(m, u) }); allocs != 0 || n != 101 {
		t.Errorf("%v allocations, %d messages", allocs, n)
	}
}

func TestEncode(t *testing.T) {
	const script = `function encodeDownlink(i) {
		if (i.data.fail) return {errors: ["ee"]};
		if (i.data.loop) for (;;);
		return {bytes: i.data.bytes, fPort: i.data.port, warnings: ["ew"]};
	}`
	s := newStand(t, formatter.Options{})
	js, err := formatter.NewJavaScript(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, data string
		f          formatter.Formatter
		port       uint8
		want       string // port, bytes, warnings; or the error
	}{
		{"its own port", `{"bytes":[1,2],"port":9}`, js, 3, "9 0102 [ew]"},
		{"the port of the caller", `{"bytes":[1]}`, js, 3, "3 01 [ew]"},
		{"no port", `{"bytes":[1]}`, js, 0, "1 01 [ew]"},
		{"nothing", `{"bytes":[]}`, js, 3, "3  [ew]"},
		{"port 0", `{"bytes":[1],"port":0}`, js, 3, "no FPort (no_f_port)"},
		{"port 224", `{"bytes":[1],"port":224}`, js, 3, "invalid `downlinks[0].f_port`: value must be inside range [1, 223] (validation)"},
		{"too long", `{"bytes":[` + strings.TrimSuffix(strings.Repeat("1,", 256), ",") + `]}`, js, 3, "invalid `downlinks[0].frm_payload`: value length must be at most 255 bytes (validation)"},
		{"errors", `{"fail":true}`, js, 3, "ee (output_errors)"},
		{"endless", `{"loop":true}`, js, 3, "script timeout: context deadline exceeded (context_deadline_exceeded) (script_timeout)"},
		{"CayenneLPP", `{"value_2":50.5}`, formatter.NewCayenneLPP(false), 3, "3 0213BA []"},
		{
			"no formatter", `{}`,
			formatter.Formatter{},
			3,
			"formatter `FORMATTER_NONE` is not configured (formatter_not_configured)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			items := []session.Item{{FPort: tt.port, Decoded: []byte(tt.data)}, {FPort: 4, FRMPayload: []byte{5}}}
			err := s.Encode(context.Background(), session.ID{}, items, tt.f, "")
			got := fmt.Sprintf("%d %X %v", items[0].FPort, items[0].FRMPayload, items[0].DecodedWarnings)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want || items[1].FPort != 4 {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A client does not wait longer than it may.
func TestEncodeEnds(t *testing.T) {
	s := newStand(t, formatter.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	js, _ := formatter.NewJavaScript(`function encodeDownlink(i) { for (;;); }`)
	if err := s.Encode(ctx, session.ID{}, []session.Item{{Decoded: []byte("{}")}}, js, ""); err == nil {
		t.Error("encoded")
	}
}

func TestLocations(t *testing.T) {
	for _, tt := range []struct {
		decoded string
		want    session.Location
	}{
		{`{"latitude":52.1,"longitude":4.9,"altitude":7.6,"accuracy":12}`, session.Location{Latitude: 52.1, Longitude: 4.9, Altitude: 7, Accuracy: 12}},
		{`{"lat":52.1,"lng":-4.9}`, session.Location{Latitude: 52.1, Longitude: -4.9}},
		{`{"gps":{"lat":52.1,"lon":4.9},"position":{"latitude":1,"longitude":2}}`, session.Location{Latitude: 52.1, Longitude: 4.9}},
		{`{"gps_1":{"altitude":-10,"latitude":42.3519,"longitude":-87.9094}}`, session.Location{Latitude: 42.3519, Longitude: -87.9094, Altitude: -10}},
		{`{"gps_2":{"latitude":2,"longitude":2},"gps_1":{"latitude":1,"longitude":1}}`, session.Location{Latitude: 1, Longitude: 1}},
		{`{"latitude":0,"longitude":0}`, session.Location{}},
		{`{"latitude":"52","longitude":4}`, session.Location{}},
		{`{"latitude":91,"longitude":4}`, session.Location{}},
		{`{"latitude":5}`, session.Location{}},
		{`{"position":{"latitude":1,"longitude":2}}`, session.Location{}},
		{`{"latitude":1,"longitude":2,"altitude":1e300}`, session.Location{Latitude: 1, Longitude: 2}},
		{``, session.Location{}},
	} {
		got, ok := locationIn([]byte(tt.decoded))
		if ok {
			tt.want.Source = "SOURCE_GPS"
		}
		if got != tt.want || ok != (tt.want != session.Location{}) {
			t.Errorf("%s: %+v, %v", tt.decoded, got, ok)
		}
	}
}

// upOf is a frame as far as a message shows it.
func upOf(payload []byte) *radio.Uplink {
	return &radio.Uplink{
		PHYPayload: payload, DataRate: radio.LoRaDataRate(7, 125_000),
		Receptions: make([]radio.Reception, 1),
	}
}
