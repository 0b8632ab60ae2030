package activity

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

func TestFCntOf(t *testing.T) {
	for payload, want := range map[string]uint32{
		string(up(id("app1", "dev1"), 4711, "").Payload):                                           4711,
		`{"uplink_message":{"f_port":1,"f_cnt":7,"frm_payload":"","decoded_payload":{"f_cnt":9}}}`: 7,
		`{"uplink_message":{"f_port":1,"frm_payload":"","decoded_payload":{"f_cnt":9}}}`:           0,
		`{"uplink_message":{"f_cnt":4294967295}}`:                                                  4294967295,
		`{"uplink_message":{"f_cnt":99999999999}}`:                                                 4294967295,
		`{"uplink_message":{"f_cnt":`:                                                              0,
		`{"correlation_ids":["\"f_cnt\":3"],"uplink_message":{"f_cnt":5,`:                          5,
		"": 0,
	} {
		if got := fCntOf([]byte(payload)); got != want {
			t.Errorf("%s: %d, want %d", payload, got, want)
		}
	}
}

func TestHabit(t *testing.T) {
	dev := id("app1", "dev1")
	minute := radio.HostTime(time.Minute)
	for _, tt := range []struct {
		name     string
		fCnts    []int
		minutes  []int
		lost     int
		interval time.Duration
	}{
		{"nothing", nil, nil, 0, 0},
		{"too few", []int{1, 2, 3}, []int{10, 20, 30}, 0, 0},
		{"regular", []int{1, 2, 3, 4}, []int{10, 20, 30, 40}, 0, 10 * time.Minute},
		{"some are lost", []int{1, 2, 5, 6, 7}, []int{10, 20, 50, 60, 70}, 2, 10 * time.Minute},
		{"one is late", []int{1, 2, 3, 4}, []int{10, 20, 90, 100}, 0, 10 * time.Minute},
		{"a new session", []int{100, 101, 0, 1, 2}, []int{10, 20, 22, 32, 42}, 0, 10 * time.Minute},
		{"a jump is no loss", []int{1, 50000, 50001, 50002, 50003}, []int{1, 11, 21, 31, 41}, 0, 10 * time.Minute},
	} {
		l := New(0)
		for i, f := range tt.fCnts {
			l.Message(up(dev, f, ""), radio.HostTime(tt.minutes[i])*minute)
		}
		h := l.Habit(dev)
		if h.Heard != len(tt.fCnts) || h.Lost != tt.lost || h.Interval != tt.interval {
			t.Errorf("%s: %+v", tt.name, h)
		}
		// The frames of up have an SNR of 9.25 dB at SF7.
		if len(tt.fCnts) > 0 && (h.Margin == nil || *h.Margin != 16.75) {
			t.Errorf("%s: margin %v", tt.name, h.Margin)
		}
	}
}

func TestStateOf(t *testing.T) {
	dev := id("app1", "dev1")
	hour := radio.HostTime(time.Hour)
	join := func(at radio.HostTime, kind event.Kind) func(*Log) {
		return func(l *Log) {
			l.Event(&event.Event{Kind: kind, Device: dev, Host: at, Word: "wrong_key", Err: errors.New("wrong MIC")})
		}
	}
	heard := func(hours ...int) func(*Log) {
		return func(l *Log) {
			for i, h := range hours {
				l.Message(up(dev, i+1, ""), radio.HostTime(h)*hour)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		do      []func(*Log)
		session bool
		now     int // h
		want    State
	}{
		{"nothing", nil, false, 100, Never},
		{"a session, and nothing since the start", nil, true, 23, Alive},
		{"the same for long", nil, true, 25, Silent},
		{"heard", []func(*Log){heard(1)}, true, 24, Alive},
		{"heard once, long ago", []func(*Log){heard(1)}, true, 26, Silent},
		{"within three intervals", []func(*Log){heard(1, 2, 3, 4)}, true, 7, Alive},
		{"longer", []func(*Log){heard(1, 2, 3, 4)}, true, 8, Silent},
		{"refused", []func(*Log){join(hour, event.JoinRefused)}, false, 2, Refused},
		{"refused after it was heard", []func(*Log){heard(1, 2), join(3*hour, event.JoinRefused)}, true, 4, Refused},
		{"heard after it was refused", []func(*Log){join(hour, event.JoinRefused), heard(2)}, true, 4, Alive},
		{"joined, and not heard yet", []func(*Log){join(hour, event.JoinAccepted)}, false, 2, Alive},
	} {
		l := New(0)
		for _, do := range tt.do {
			do(l)
		}
		h, now := l.Habit(dev), radio.HostTime(tt.now)*hour
		if got := h.StateOf(&Summary{Join: l.LastJoin(dev, now)}, tt.session, now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A habit is kept until there are more messages to read it from.
func TestHabitKept(t *testing.T) {
	l := New(0)
	dev := id("app1", "dev1")
	for i := range perDevice + 5 {
		l.Message(up(dev, i, ""), radio.HostTime(i)*second)
		if h := l.Habit(dev); h.Last != radio.HostTime(i)*second || h.Heard != min(i+1, perDevice) {
			t.Fatalf("after %d: %+v", i, h)
		}
	}
	if n := testing.AllocsPerRun(10, func() { l.Habit(dev) }); n > 0 {
		t.Errorf("it is read again: %v allocations", n)
	}
	l.Forget(dev)
	if h := l.Habit(dev); h != (Habit{}) {
		t.Errorf("of a device that is gone: %+v", h)
	}
}

// All devices are told to who asks for all, with what is remembered of them before.
func TestUplinks(t *testing.T) {
	l := New(0)
	l.Message(up(id("app1", "dev1"), 1, ""), second)
	before, items, stop, err := l.Uplinks()
	if err != nil || len(before) != 1 || before[0].At != second || before[0].Read(2*second).Age != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	defer stop()
	l.Message(up(id("app2", "dev9"), 2, ""), 3*second)
	l.Message(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.DownSent, Payload: []byte("{}")}, 4*second)
	for _, want := range []string{"app2/dev9 3s", "app1/dev1 4s"} {
		if i := <-items; fmt.Sprint(i.Device, " ", time.Duration(i.At)) != want {
			t.Errorf("%v at %v, want %s", i.Device, i.At, want)
		}
	}
	if n := l.UplinksLastHour(10 * second); n != 2 {
		t.Errorf("%d uplinks", n)
	}
	if n := l.UplinksLastHour(10*second + radio.HostTime(2*time.Hour)); n != 0 {
		t.Errorf("%d uplinks after two hours", n)
	}
}
