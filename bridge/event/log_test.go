package event

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Forged join-requests and frames cannot push out a decision.
func TestStrangersDoNotWashDecisionsAway(t *testing.T) {
	l := NewLog(slog.New(slog.DiscardHandler))
	dev := session.ID{Application: "app1", Device: "dev1"}
	l.Write(&Event{Kind: DownlinkSent, Device: dev, CorrelationIDs: []string{"mine"}})
	for range 2 * maxDecisions {
		l.Write(&Event{Kind: JoinRefused, Device: dev, Word: string(JoinWrongKey)})
		l.Write(&Event{Kind: JoinRefused, Word: string(JoinUnknownDevEUI)})
		l.Write(&Event{Kind: UplinkDropped, Reason: DropMIC})
		l.Write(&Event{Kind: GatewayDropped, Word: "malformed"})
		l.Write(&Event{Kind: ClientRefused, Word: "wrong_key"})
	}
	if got := l.About("mine"); len(got) != 1 || got[0].Kind != DownlinkSent {
		t.Errorf("remembered %+v", got)
	}
	if n := len(l.Recent(nil)); n != 1+4*maxNoise {
		t.Errorf("%d events remembered", n)
	}
}

// An application that has many events loses its own oldest, and no other loses one that has few.
func TestApplicationsShareEvents(t *testing.T) {
	l := NewLog(slog.New(slog.DiscardHandler))
	written := map[string][]string{}
	for i := range 10 * maxDecisions {
		for application, each := range map[string]int{"app1": 2048, "app2": 1, "app3": 3, "": 4} {
			if i%each == 0 {
				id := fmt.Sprint(application, i)
				l.Write(&Event{Kind: DownlinkSent, Device: session.ID{Application: application}, CorrelationIDs: []string{id}})
				written[application] = append(written[application], id)
			}
		}
	}
	left := map[string][]string{}
	for _, e := range l.Recent(nil) {
		left[e.Device.Application] = append(left[e.Device.Application], e.CorrelationIDs...)
	}
	const third = maxDecisions/3 - 3
	sum := 0
	for application, least := range map[string]int{"app1": 5, "app2": third, "app3": third, "": third} {
		got, all := left[application], written[application]
		if n := len(got); n < least || !slices.Equal(got, all[len(all)-n:]) {
			t.Errorf("%q: %d events are left, the newest of which there should be at least %d", application, n, least)
		}
		sum += len(got)
	}
	if sum != maxDecisions {
		t.Errorf("%d events are left", sum)
	}
}

// Logins and refusals of an application drive out none of another; nor do those of strangers, whatever application
// they name.
func TestApplicationsShareClientEvents(t *testing.T) {
	for _, kind := range []Kind{ClientLoggedIn, PageLoggedIn, SubscribeRefused, PacketRefused} {
		l := NewLog(slog.New(slog.DiscardHandler))
		l.Write(&Event{Kind: kind, Word: "mine", Client: Client{Application: "app1", LoggedIn: true}})
		for i := range 2 * maxNoise {
			l.Write(&Event{Kind: kind, Client: Client{Application: "app2", LoggedIn: true}})
			l.Write(&Event{Kind: kind, Client: Client{Application: fmt.Sprint("made-up", i)}})
		}
		mine := l.Recent(func(e *Event) bool { return e.Word == "mine" })
		if len(mine) != 1 {
			t.Errorf("%s: %d of one are left", kind, len(mine))
		}
	}
}

// A gateway that is refused again and again is one line, which tells of the last
// time, and any number of them wash nothing else away.
func TestRefusedGateways(t *testing.T) {
	var logged bytes.Buffer
	l := NewLog(slog.New(slog.NewTextHandler(&logged, nil)))
	refused := func(eui radio.EUI64, address string) {
		l.Write(&Event{Kind: GatewayRefused, GatewayEUI: eui, Gateway: gateway.DefaultID(eui), Address: address})
	}
	l.Write(&Event{Kind: JoinRefused, Word: string(JoinUnknownDevEUI)})
	mine, other := radio.EUI64{1}, radio.EUI64{2}
	refused(mine, "192.0.2.1:1000")
	refused(other, "192.0.2.2:1000")
	refused(mine, "192.0.2.1:2000")
	is := func(e *Event) bool { return e.Kind == GatewayRefused }
	if got := l.Recent(is); len(got) != 2 || got[0].GatewayEUI != other || got[1].GatewayEUI != mine ||
		got[1].Address != "192.0.2.1:2000" {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(logged.String(), "gateway_eui=0100000000000000"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &logged)
	}
	for i := range 2 * maxUnknown {
		refused(radio.EUI64{3, byte(i >> 8), byte(i)}, "192.0.2.3:1")
	}
	if n := len(l.Recent(is)); n != maxUnknown {
		t.Errorf("%d remembered, want %d", n, maxUnknown)
	}
	if n := len(l.Recent(nil)); n != maxUnknown+1 {
		t.Errorf("%d events, want the refused join among them", n)
	}
}

// The log does not end with a gateway that is gone when it is back.
func TestLogSaysThatAGatewayIsBack(t *testing.T) {
	var out strings.Builder
	l := NewLog(slog.New(slog.NewTextHandler(&out, nil)))
	for _, kind := range []Kind{
		GatewayConnected, GatewayDisconnected, GatewayConnected, GatewayConnected,
		GatewayDisconnected, GatewayConnected,
	} {
		l.Write(&Event{Kind: kind, Gateway: "gw-a"})
	}
	if connected, gone := strings.Count(out.String(), "gateway connected"), strings.Count(out.String(),
		"gateway disconnected"); connected != 3 || gone != 1 {
		t.Errorf("said %d and %d times:\n%s", connected, gone, out.String())
	}
}

// Pushes to devices that an application makes up do not fill the log, nor do they let what
// was said of other applications be said again.
func TestMadeUpDevicesDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLog(slog.New(slog.NewTextHandler(&out, nil)))
		count := func(application string) int { return strings.Count(out.String(), "application_id="+application+" ") }
		fail := func(application, device string) {
			l.Write(&Event{Kind: DownlinkFailed, Device: session.ID{Application: application, Device: device}})
		}
		const minutes = 5
		for i := range minutes * 60 * 20 { // 20 a second
			fail("app2", fmt.Sprint("made-up", i))
			fail("app1", "dev1")
			time.Sleep(time.Second / 20)
		}
		if n := count("app2"); n < minutes*maxWarnings || n > (minutes+1)*maxWarnings {
			t.Errorf("%d lines about app2", n)
		}
		if n := count("app1"); n < minutes || n > minutes+1 {
			t.Errorf("%d lines about app1", n)
		}
		fail("app1", "dev2")
		if n := strings.Count(out.String(), "device_id=dev2"); n != 1 {
			t.Errorf("%d lines about another device of app1", n)
		}
	})
}

// The same about the same device is said once a minute.
func TestEventLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLog(slog.New(slog.NewTextHandler(&out, nil)))
		count := func() int { n := strings.Count(out.String(), "\n"); out.Reset(); return n }
		dev := session.ID{Application: "app1", Device: "dev1"}
		replay := Event{Kind: UplinkDropped, Reason: DropReplay, Gateway: "gw", Device: dev, FCnt: 7, Err: errors.New("x")}
		for range 100 {
			l.Write(&replay)
		}
		if line := out.String(); !strings.Contains(line, "level=INFO") || !strings.Contains(line, "reason=replay") ||
			!strings.Contains(line, "device_id=dev1") {
			t.Errorf("line %s", line)
		}
		if n := count(); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
		l.Write(&Event{Kind: UplinkDropped, Reason: DropGap, Device: dev})
		l.Write(&Event{Kind: UplinkDropped, Reason: DropReplay, Device: session.ID{Application: "app1", Device: "dev2"}})
		l.Write(&Event{Kind: GatewayDisconnected, Gateway: "gw"})
		l.Write(&Event{Kind: UplinkDropped, Reason: DropDevAddr, Gateway: "gw"}) // a neighbour's: debug
		if n := count(); n != 3 {
			t.Errorf("said %d times, want 3", n)
		}
		time.Sleep(61 * time.Second)
		l.Write(&replay)
		if n := count(); n != 1 {
			t.Errorf("a minute later: said %d times, want once", n)
		}
		for i := range 5000 {
			l.Write(&Event{Kind: UplinkDropped, Reason: DropMIC, Device: session.ID{Application: "app1", Device: fmt.Sprint(i)}})
		}
		if len(l.said) > maxEventKeys {
			t.Errorf("%d keys are kept", len(l.said))
		}
	})
}
