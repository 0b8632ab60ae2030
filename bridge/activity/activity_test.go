package activity

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

func id(app, dev string) session.ID { return session.ID{Application: app, Device: dev} }

// up is an uplink as the broker gets it.
func up(of session.ID, fCnt int, more string) v3.Message {
	return v3.Message{Application: of.Application, Device: of.Device, Suffix: v3.Up, Payload: []byte(fmt.Sprintf(
		`{"end_device_ids":{"device_id":%q},"received_at":"2026-11-29T01:02:03.5Z","uplink_message":{"f_port":7,"f_cnt":%d,`+
			`"frm_payload":"aGk=","decoded_payload":{"t":21.5},"rx_metadata":[{"gateway_ids":{"gateway_id":"far"},"rssi":-110,"snr":-7.5},`+
			`{"gateway_ids":{"gateway_id":"near"},"rssi":-60,"snr":9.25}],"settings":{"data_rate":{"lora":{"bandwidth":125000,`+
			`"spreading_factor":7,"coding_rate":"4/5"}},"frequency":"868100000"},"received_at":"2026-11-29T01:02:03.25Z",`+
			`"consumed_airtime":"0.046336s","network_ids":{"net_id":"000000"}%s}}`, of.Device, fCnt, more))}
}

const second = radio.HostTime(time.Second)

func TestSummary(t *testing.T) {
	l := New(0)
	dev := id("app1", "dev1")
	if s := l.Summary(dev, 0); s != nil {
		t.Fatalf("an unknown device: %+v", s)
	}
	l.Message(up(dev, 4, ""), 10*second)
	l.Message(up(dev, 5, ""), 12*second)
	made := up(dev, 99, "")
	made.Payload = append(made.Payload[:len(made.Payload)-1], `,"simulated":true}`...)
	l.Message(made, 13*second)
	l.Message(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.DownSent, Payload: []byte("{}")}, 14*second)
	s := l.Summary(dev, 15*second)
	if s == nil || s.Uplink == nil || s.Join != nil || s.Uplinks != 2 {
		t.Fatalf("%+v", s)
	}
	u := s.Uplink
	if u.Age != 3 || u.FCnt != 5 || u.FPort != 7 || u.Text != "hi" || string(u.FRMPayload) != "hi" || string(u.Decoded) != `{"t":21.5}` ||
		u.RSSI != -60 || u.SNR != 9.25 || u.DataRate != "SF7BW125" || u.Frequency != 868_100_000 ||
		u.Airtime != "0.046336s" ||
		len(u.Gateways) != 2 || u.Gateways[0].Gateway != "near" ||
		u.ReceivedAt.Format(time.RFC3339Nano) != "2026-11-29T01:02:03.25Z" {
		t.Errorf("%+v", u)
	}
	l.Event(&event.Event{
		Kind: event.JoinRefused, Device: dev, Host: 16 * second, Word: "wrong_key", Err: errors.New("wrong MIC"),
		Hint: "see the key", Gateway: "near",
	})
	if j := l.Summary(dev, 18*second).Join; j == nil || j.Accepted || j.Age != 2 || j.Reason != "wrong_key" ||
		j.Error != "wrong MIC" ||
		j.Hint != "see the key" || j.Gateway != "near" {
		t.Errorf("%+v", j)
	}
	l.Event(&event.Event{Kind: event.JoinAccepted, Device: dev, Host: 17 * second})
	if j := l.Summary(dev, 18*second).Join; j == nil || !j.Accepted || j.Age != 1 {
		t.Errorf("%+v", j)
	}
	l.Forget(dev, id("app1", "nobody"))
	if l.Summary(dev, 0) != nil || l.size != 0 || len(l.shares) != 0 {
		t.Errorf("%d bytes are left of a device that is gone", l.size)
	}
}

func TestReadable(t *testing.T) {
	for payload, want := range map[string]string{
		"21.5 °C": "21.5 °C", "": "", "a\x00": "", "\xff\xfe": "", "a\nb": "", "\x1b[2J": "", "a\u202eb": "",
	} {
		if got := readable([]byte(payload)); got != want {
			t.Errorf("%q is read as %q", payload, got)
		}
	}
}

// Each device has its own messages, and no other application sees them.
func TestMessages(t *testing.T) {
	l := New(0)
	a, b, foreign := id("app1", "dev1"), id("app1", "dev2"), id("app2", "dev1")
	for i := range perDevice + 5 {
		l.Message(up(a, i, ""), radio.HostTime(i))
	}
	l.Message(up(b, 1, ""), 0)
	l.Message(up(foreign, 2, ""), 0)
	l.Message(v3.Message{Suffix: "lorawand/status", Payload: []byte("{}")}, 0)
	if m := l.Messages(a, v3.Up); len(m) != perDevice || !strings.Contains(string(m[0].Payload), `"f_cnt":5,`) {
		t.Errorf("%d messages, the first %s", len(m), m[0].Payload)
	}
	m := l.Messages(id("app1", ""), v3.Up)
	if len(m) != perDevice+1 || m[perDevice].Device != b {
		t.Errorf("%d messages of the application, want %d, the last of dev2", len(m), perDevice+1)
	}
	if m := l.Messages(id("app1", ""), v3.Join); len(m) != 0 {
		t.Errorf("%d join messages", len(m))
	}
	for of, want := range map[session.ID]int{
		foreign: 1, id("app2", ""): 1, id("app3", ""): 0, {}: 0,
		id("app2", "dev2"): 0,
	} {
		if m := l.Messages(of, v3.Up); len(m) != want {
			t.Errorf("%v has %d messages, want %d", of, len(m), want)
		}
	}
}

func TestEvents(t *testing.T) {
	l := New(0)
	dev := id("app1", "dev1")
	l.Event(&event.Event{Kind: event.GatewayConnected, Gateway: "gw"})
	l.Event(&event.Event{Kind: event.UplinkRepeated, Device: dev})
	if l.Events(dev) != nil {
		t.Error("events that are no news of a device")
	}
	for i := range perDevice + 3 {
		l.Event(&event.Event{Kind: event.DownlinkSent, Device: dev, FCnt: uint32(i)})
	}
	if e := l.Events(dev); len(e) != perDevice || e[0].FCnt != 3 {
		t.Errorf("%d events, the first %+v", len(e), e[0])
	}
	for range 1000 { // somebody replays a frame
		l.Event(&event.Event{Kind: event.UplinkDropped, Reason: event.DropReplay, Device: dev})
	}
	if e := l.Events(dev); len(e) != perDevice || e[perDevice-2].Kind != event.DownlinkSent {
		t.Errorf("a replay pushes out %d events", len(e))
	}
}

// When room is short the histories go first, and the oldest of them.
func TestOldestGoes(t *testing.T) {
	one := New(0)
	one.Message(up(id("app1", "dev00"), 1000, ""), 0)
	cost := one.size
	l := New(20 * cost)
	for i := range 10 {
		for n := range 10 {
			l.Message(up(id("app1", fmt.Sprintf("dev%02d", i)), 1000+n, ""), 0)
		}
	}
	if l.size > l.limit {
		t.Errorf("%d bytes, at most %d", l.size, l.limit)
	}
	for i := range 10 {
		if s := l.Summary(id("app1", fmt.Sprintf("dev%02d", i)), 0); s == nil || s.Uplink.FCnt != 1009 {
			t.Errorf("dev%02d has lost its last uplink: %+v", i, s)
		}
	}
	if n := len(l.Messages(id("app1", "dev00"), v3.Up)); n != 1 {
		t.Errorf("%d messages of the quiet device, want its last", n)
	}
	for i := range 1000 { // more devices than there is room for
		l.Message(up(id("app1", fmt.Sprintf("new%03d", i)), 1000, ""), 0)
	}
	if l.size > l.limit || len(l.devices) > 20 || l.Summary(id("app1", "new999"), 0) == nil ||
		l.Summary(id("app1", "dev00"), 0) != nil {
		t.Errorf("%d bytes of %d for %d devices", l.size, l.limit, len(l.devices))
	}
}

// The log needs no more memory than it counts.
func TestMemory(t *testing.T) {
	const most = 3 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l := New(0)
	for n := range 5 { // more than there is room for
		for i := range 1000 {
			dev := id("app1", fmt.Sprintf("device-%04d", i))
			l.Message(up(dev, n, strings.Repeat(" ", 200)), 0)
			l.Event(&event.Event{
				Kind: event.JoinRefused, Device: dev, Word: "wrong_key",
				Err: fmt.Errorf("wrong MIC of device %d", i),
			})
		}
	}
	if used := int64(heap()) - int64(before); used > most {
		t.Errorf("1 000 devices cost %d bytes, at most %d", used, most)
	}
	for i := range 1000 {
		if s := l.Summary(id("app1", fmt.Sprintf("device-%04d", i)), 0); s == nil || s.Uplink == nil || s.Join == nil {
			t.Fatalf("device %d: %+v", i, s)
		}
	}
	runtime.KeepAlive(l)
}

// A follower gets what it asked for, and one that does not keep up holds up nobody.
func TestFollow(t *testing.T) {
	l := New(0)
	mine, other, foreign := id("app1", "dev1"), id("app1", "dev2"), id("app2", "dev1")
	all, stopAll, err := l.Follow([]session.ID{id("app1", "")})
	if err != nil {
		t.Fatal(err)
	}
	one, stopOne, err := l.Follow([]session.ID{mine})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * followerBuffer {
		l.Message(up(foreign, 1, ""), 0)
		l.Event(&event.Event{Kind: event.DownlinkSent, Device: foreign})
	}
	l.Message(up(other, 2, ""), 0)
	l.Event(&event.Event{Kind: event.DownlinkSent, Device: mine, FCnt: 3})
	if i := <-all; i.Device != other || i.Event != nil || i.Message.Suffix != v3.Up {
		t.Errorf("%+v", i)
	}
	if i := <-all; i.Device != mine || i.Event == nil || i.Event.FCnt != 3 {
		t.Errorf("%+v", i)
	}
	if i := <-one; i.Device != mine || i.Event == nil || len(one) != 0 {
		t.Errorf("%+v", i)
	}
	for range maxFollowers - 2 {
		if _, _, err := l.Follow(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := l.Follow(nil); !errors.Is(err, ErrFollowers) {
		t.Errorf("one more: %v", err)
	}
	stopAll()
	stopAll()
	stopOne()
	if len(l.followers) != maxFollowers-2 {
		t.Errorf("%d followers", len(l.followers))
	}
}

// An application that has the most loses its own: what it has pushed to devices that are not there, and long uplinks,
// of which each is the last of its device.
func TestShares(t *testing.T) {
	for _, suffix := range []string{v3.DownFailed, v3.Up} {
		t.Run(suffix, func(t *testing.T) {
			l := New(0)
			other := id("app1", "dev1")
			for i := range perDevice {
				l.Message(up(other, i, ""), 0)
			}
			for i := range 10_000 {
				l.Message(v3.Message{
					Application: "app2", Device: fmt.Sprint("dev", i), Suffix: suffix, Payload: make([]byte, i%2*60_000),
				}, 0)
			}
			if n := len(l.Messages(other, v3.Up)); n != perDevice {
				t.Errorf("%d messages of the other application are left", n)
			}
			if l.size > l.limit || len(l.Messages(id("app2", "dev9999"), suffix)) != 1 {
				t.Errorf("%d bytes; the last message is lost", l.size)
			}
			l.Forget(other)
			if l.shares["app1"] != nil || l.size != l.shares["app2"].size {
				t.Error("the share of an application without devices is left")
			}
		})
	}
}

// What an application pushes to one device, even to one that is not there, drives out no other's.
func TestLongMessagesOfOneDevice(t *testing.T) {
	l := New(0)
	other := id("app1", "dev1")
	for i := range perDevice {
		l.Message(up(other, i, ""), 0)
	}
	long := v3.Message{Application: "app2", Device: "nobody", Suffix: v3.DownFailed, Payload: make([]byte, 60_000)}
	for range 2 * perDevice {
		l.Message(long, 0)
	}
	if n := len(l.Messages(other, v3.Up)); n != perDevice {
		t.Errorf("%d messages of the other device are left", n)
	}
	if n := len(l.Messages(id("app2", "nobody"), v3.DownFailed)); n != 3 {
		t.Errorf("%d of the long messages are kept", n)
	}
	long.Payload = make([]byte, DefaultLimit/2)
	l.Message(long, 0)
	if n := len(l.Messages(id("app2", "nobody"), v3.DownFailed)); n != 1 {
		t.Errorf("%d messages are kept, want the last", n)
	}
}
