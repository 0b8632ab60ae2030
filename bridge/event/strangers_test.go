package event

import (
	"log/slog"
	"testing"

	"lorawand/radio"
)

// Strangers are counted each by itself; the one that was not heard for longest goes when
// there are too many.
func TestStrangers(t *testing.T) {
	l := NewLog(slog.New(slog.DiscardHandler))
	join := func(dev byte, at radio.HostTime, why JoinRefusal) {
		l.Write(&Event{Kind: JoinRefused, Word: string(why), HasEUIs: true, DevEUI: radio.EUI64{dev, 1}, Host: at})
	}
	for i := range 3 {
		join(1, radio.HostTime(i+1), JoinUnknownDevEUI)
		l.Write(&Event{Kind: GatewayRefused, GatewayEUI: radio.EUI64{9}, Host: radio.HostTime(i + 1)})
	}
	join(2, 5, JoinUnknownJoinEUI)
	join(3, 6, JoinWrongKey) // its owner knows it
	l.Write(&Event{Kind: UplinkDropped, Host: 7})
	gateways, devices := l.Strangers()
	if len(gateways) != 1 || gateways[0].Tries != 3 || gateways[0].First != 1 || gateways[0].Event.Host != 3 {
		t.Errorf("gateways %+v", gateways)
	}
	if len(devices) != 2 || devices[0].Tries != 3 || devices[0].First != 1 ||
		devices[1].Event.DevEUI != (radio.EUI64{2, 1}) {
		t.Errorf("devices %+v", devices)
	}
	for i := range 2 * maxUnknown {
		if join(1, radio.HostTime(10+i), JoinUnknownDevEUI); i%2 == 0 {
			join(byte(10+i), radio.HostTime(10+i), JoinUnknownDevEUI)
		}
	}
	for i := range maxUnknown {
		l.Write(&Event{
			Kind: JoinRefused, Word: string(JoinUnknownDevEUI), HasEUIs: true, DevEUI: radio.EUI64{1, 1},
			JoinEUI: radio.EUI64{byte(i), 2}, Host: 999,
		})
	}
	_, devices = l.Strangers()
	if len(devices) != maxUnknown || devices[maxUnknown-1].Event.JoinEUI != (radio.EUI64{maxUnknown - 1, 2}) {
		t.Errorf("%d devices, at most %d", len(devices), maxUnknown)
	}
	if n := l.DroppedLastHour(8); n != 1 {
		t.Errorf("%d frames were dropped", n)
	}
}

// Watch misses no event between the remembered ones and the new ones.
func TestWatch(t *testing.T) {
	l := NewLog(slog.New(slog.DiscardHandler))
	l.Write(&Event{Kind: DownlinkSent, FCnt: 1})
	before, news, stop, err := l.Watch()
	if err != nil || len(before) != 1 || before[0].FCnt != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	for i := range 2 * followerBuffer {
		l.Write(&Event{Kind: DownlinkSent, FCnt: uint32(2 + i)})
	}
	for i := range followerBuffer {
		if e := <-news; e.FCnt != uint32(2+i) {
			t.Fatalf("%d, want %d", e.FCnt, 2+i)
		}
	}
	stop()
	for i := range maxFollowers + 1 {
		if _, _, stop, err := l.Watch(); (err != nil) != (i == maxFollowers) {
			t.Errorf("%d watch: %v", i, err)
		} else if err == nil {
			defer stop()
		}
	}
}
