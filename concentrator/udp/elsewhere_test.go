package udp

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// A gateway that is not configured here and is on line with another driver is not served, and
// nothing that is told here says that it is off line. When it has come back its state is told anew.
func TestElsewhere(t *testing.T) {
	var there, configured atomic.Bool
	var now atomic.Int64
	b := start(t, Options{
		AcceptUnknown: true, Now: func() radio.HostTime { return radio.HostTime(now.Load()) },
		Elsewhere: func(eui radio.EUI64) (other, online bool) {
			return eui == euiX && (there.Load() || configured.Load()), eui == euiX && there.Load()
		},
	})
	p := b.peer("")
	there.Store(true)
	if p.pull(euiX, 2) || !p.pull(euiA, 2) {
		t.Error("the wrong gateways are taken")
	}
	p.push(euiX, 9, rxpk(1, "spoofed"))
	p.silent("a frame of a gateway that is elsewhere")
	if got := b.sink.kinds(); got != "dropped connected " {
		t.Fatalf("events %s", got)
	}
	if e := b.sink.events[0]; e.Gateway != euiX || e.Cause != "second_address" || !strings.Contains(e.Fault, "extender") {
		t.Errorf("%+v", e)
	}
	there.Store(false)
	if !p.pull(euiX, 2) || !b.d.Online(euiX) || b.d.Online(euiB) {
		t.Fatal("it is not taken when it has come back")
	}
	there.Store(true)
	b.eventually("the other driver has it", func() bool { return !b.d.Online(euiX) })
	p.send(gwmp.Packet{Version: 2, Token: 1, Type: gwmp.TxAck, EUI: euiX})
	now.Add(int64(2 * b.d.opts.Offline))
	b.eventually("euiA is off line", func() bool { return strings.Contains(b.sink.kinds(), "disconnected") })
	time.Sleep(2 * tick)
	if got := b.sink.kinds(); got != "dropped connected connected disconnected " {
		t.Errorf("events %s", got)
	}
	there.Store(false)
	p.pull(euiX, 2)
	b.eventually("it has come back", func() bool {
		return b.sink.kinds() == "dropped connected connected disconnected connected "
	})
	configured.Store(true)
	b.d.SetGateways([]radio.EUI64{euiA}, b.sink)
	if got := b.sink.kinds(); !strings.HasSuffix(got, "connected disconnected ") || p.pull(euiX, 2) {
		t.Errorf("the configuration gives it to another driver: events %s", got)
	}
	configured.Store(false)
	told := func() int { return strings.Count(" "+strings.ReplaceAll(b.sink.kinds(), " ", "  "), " connected ") }
	before := told()
	p.pull(euiX, 2)
	b.eventually("it is back once more", func() bool { return told() == before+1 })
	there.Store(true)
	b.d.SetGateways([]radio.EUI64{euiA, euiX}, b.sink)
	there.Store(false) // the other driver has told that it has gone
	p.pull(euiX, 2)
	b.eventually("the configuration gives it to this driver", func() bool { return told() == before+2 })
	if ups, _ := b.sink.count(); ups != 0 || b.d.accepted != 0 {
		t.Errorf("%d frames, %d accepted", ups, b.d.accepted)
	}
}
