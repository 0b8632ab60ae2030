package mac

import (
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// A device that ADR could not decide about, or could not tell what it has decided, does not rest:
// what it lacks is asked once that can be.
func TestADRBeginsLate(t *testing.T) {
	for _, tt := range []struct {
		name      string
		set, over func(*endDevice) // before the uplinks, and after them
		uplinks   int
	}{
		{
			"the ADR bit is set late", func(e *endDevice) { e.noADR = true }, func(e *endDevice) { e.noADR = false }, 41,
		},
		{
			"the same, after a year", func(e *endDevice) { e.noADR = true }, func(e *endDevice) { e.noADR = false }, 8760,
		},
		{
			"heard by gateways alone that cannot answer", func(e *endDevice) { e.strange = true },
			func(e *endDevice) { e.strange = false }, 41,
		},
		{
			"no LinkADRReq could be sent", func(e *endDevice) { e.busy = true }, func(e *endDevice) { e.busy = false }, 41,
		},
		{"the same for long", func(e *endDevice) { e.busy = true }, func(e *endDevice) { e.busy = false }, 500},
		{"a device that rested, and no LinkADRReq could be sent", func(e *endDevice) {
			for range 100 {
				e.uplink()
			}
			e.asked, e.busy = nil, true
			e.link = link{0, 0, 1} // it was reset
		}, func(e *endDevice) { e.busy = false }, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, yearPlan, session.V1_0_4, link{0, 0, 1})
			e.heard = snrAt(700)
			tt.set(e)
			for range tt.uplinks {
				e.uplink()
			}
			if len(e.asked) > 0 {
				t.Fatalf("asked %s", hexOf(e.asked))
			}
			tt.over(e)
			for range 45 {
				e.uplink()
			}
			other := newEndDevice(t, yearPlan, session.V1_0_4, link{0, 0, 1})
			other.heard = e.heard
			other.goOn(45)
			if e.link != other.link || e.dataRate == 0 {
				t.Errorf("%+v after 45 uplinks, asked %s; another one %+v", e.link, hexOf(e.asked), other.link)
			}
		})
	}
}

// A request that asks for what the device has is not sent: what the channels have not is not wanted.
func TestADRWithinTheChannels(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mask  string
		set   func(*session.Device)
		start link
		want  link
	}{
		{"a static data rate above all", "fsb2", func(d *session.Device) { static(d, 5) }, link{3, 0, 1}, link{4, 0, 1}},
		{
			"a static data rate of other channels", "wide2", func(d *session.Device) { static(d, 2) },
			link{4, 0, 1},
			link{4, 0, 1},
		},
		{
			"a limit below the channels", "wide2", func(d *session.Device) { d.Settings.MAC.ADR.MaxDataRate = new(uint8(2)) },
			link{4, 0, 1},
			link{4, 0, 1},
		},
		{"no limit", "wide2", func(*session.Device) {}, link{4, 0, 1}, link{4, 0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "US_902_928_FSB_2", session.V1_0_4, tt.start)
			e.mask = maskNamed(t, e.plan, tt.mask)
			e.d.Session.MAC = &macstate.State{Masked: true, Mask: new(e.mask), Wish: &macstate.Wish{Mask: new(e.mask)}}
			e.heard = snrAt(-200)
			tt.set(e.d)
			e.goOn(60)
			if e.dataRate != tt.want.dataRate {
				t.Errorf("data rate %d, want %d", e.dataRate, tt.want.dataRate)
			}
			if e.requests > 3 {
				t.Errorf("asked with %d of 60 uplinks: %s", e.requests, hexOf(e.asked))
			}
		})
	}
}

func static(d *session.Device, dataRate uint8) {
	d.Settings.MAC.ADR.Static = &macstate.Static{DataRate: dataRate, NbTrans: 1}
}
