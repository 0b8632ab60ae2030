package air

import (
	"fmt"
	"strings"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Tolerance is how far from the opening of a window a transmission may begin. Real
// devices open their windows earlier and forgive more, but a server that relies on
// that is faulty.
const Tolerance = 20 * time.Microsecond

// behind is how late Run may be and still know which windows were open.
const behind = 5 * time.Second

// afterRX2 is how long a device waits in RX2 for a preamble.
const afterRX2 = 100 * time.Millisecond

// uplink is a frame of a device, with the receptions in its windows.
type uplink struct {
	Sent
	begin     time.Time
	closed    time.Time  // when the device sent its next frame; zero: not yet
	before    *uplink    // the uplink before, whose windows this one has closed
	receiving *reception // a reception that has begun in a window and not ended
	taken     int        // the window that has brought a frame for the device; 0: none
	passed    bool       // no reception can begin in RX2 any more
}

// windows returns the receive windows after an uplink. A join-request is answered
// with the settings of the band, a rejoin-request as late. The caller holds the lock.
func (v *Device) windows(s *Sent) (rx1, rx2 Window, err error) {
	p := v.opts.Plan
	delay, offset, second := v.rx1Delay, v.rx1Offset, v.rx2
	if s.Join {
		delay, offset, second = p.Delays().JoinAccept1, 0, p.BandRX2()
	}
	if s.Rejoin != frame.Join {
		delay = p.Delays().JoinAccept1
	}
	first, err := p.RX1(s.Frequency, v.dataRate, offset)
	if err != nil {
		return rx1, rx2, err
	}
	if rx1, err = windowOf(p, first, delay); err != nil {
		return rx1, rx2, err
	}
	rx2, err = windowOf(p, second, delay+p.Delays().Between)
	return rx1, rx2, err
}

func windowOf(p *region.Plan, w region.Window, delay time.Duration) (Window, error) {
	dr, err := p.DataRate(w.DataRate)
	return Window{Delay: delay, Frequency: w.Frequency, DataRate: dr}, err
}

// begin sends a frame: the receivers hear it when it has ended, and its windows
// replace those of the frame before. The caller holds the lock.
func (v *Device) begin(s *Sent) {
	u := &uplink{Sent: *s, begin: s.End.Add(-s.Airtime), before: v.last}
	if u.before != nil {
		u.before.closed = u.begin
		u.forget()
	}
	v.last = u
	v.air.at(s.End, v.order, func() { v.air.deliver(v, u) })
	if v.opts.Silent != nil {
		v.air.at(s.End.Add(s.RX2.Delay+afterRX2), v.order, func() { v.pass(u) })
	}
}

// forget drops uplinks whose windows are too old for any transmission that Run has
// yet to handle.
func (u *uplink) forget() {
	for p := u; p.before != nil; p = p.before {
		if q := p.before; u.begin.Sub(q.End) > q.RX2.Delay+behind {
			p.before = nil
			return
		}
	}
}

// at returns the uplink whose windows count at a time in the near past: the last
// one, or an earlier one if Run is late and the device has sent in between. It
// returns nil if the device had not sent. The caller holds the lock.
func (v *Device) at(t time.Time) *uplink {
	u := v.last
	for u != nil && u.begin.After(t) {
		u = u.before
	}
	return u
}

// Busy returns how long the windows of the device's last frame may still bring a
// frame; 0: the device is free to send. A Class A device must wait for that.
//
// Source: LoRaWAN 1.0.3, 3.3.4.
func (v *Device) Busy() time.Duration {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	u := v.last
	if u == nil || u.taken != 0 {
		return 0
	}
	over := u.End.Add(u.RX2.Delay + afterRX2)
	p := u.receiving
	if p == nil {
		return max(time.Until(over), 0)
	}
	if p.ends.After(over) {
		over = p.ends
	}
	return max(time.Until(over), time.Millisecond) // until Run has looked at what was received
}

// pass ends RX2.
func (v *Device) pass(u *uplink) {
	v.air.mu.Lock()
	u.passed = true
	silent := u.silent() && u.receiving == nil
	v.air.mu.Unlock()
	if silent {
		v.opts.Silent(u.Sent)
	}
}

// brokenOff reports whether the device has sent again before a time.
func (u *uplink) brokenOff(t time.Time) bool { return !u.closed.IsZero() && u.closed.Before(t) }

// silent reports whether the windows have passed without a frame, up to the end of
// RX2.
func (u *uplink) silent() bool {
	return u.taken == 0 && !u.brokenOff(u.End.Add(u.RX2.Delay+afterRX2))
}

// window returns RX1 or RX2.
func (u *uplink) window(n int) *Window {
	if n == 1 {
		return &u.RX1
	}
	return &u.RX2
}

// nearest returns the window that opens closest to the start of a transmission, and
// by how much the transmission is late. The gateway's counter measures both.
func (u *uplink) nearest(t *transmission) (n int, margin time.Duration) {
	m1, m2 := u.margin(1, t), u.margin(2, t)
	if m1.Abs() <= m2.Abs() {
		return 1, m1
	}
	return 2, m2
}

// margin returns by how much a transmission begins after the opening of a
// window.
func (u *uplink) margin(n int, t *transmission) time.Duration {
	return t.Counter.Sub(t.receiver.counter(u.End)) - u.window(n).Delay
}

func within(margin time.Duration) bool { return margin.Abs() <= Tolerance }

// judge returns the window of the device in which a transmission begins, or for
// which it was made, and why the device does not receive it; reason is empty if the
// device does. The caller holds the lock.
func (v *Device) judge(t *transmission) (n int, margin time.Duration, reason string) {
	u := v.at(t.Begin)
	if in, margin, reason := v.inPingSlot(t); in {
		return windowB, margin, reason
	}
	if v.listens() {
		if u == nil {
			return windowC, 0, v.unheardAlways(t)
		}
		if n, margin = u.nearest(t); n != 1 || !within(margin) {
			return windowC, 0, v.unheardAlways(t)
		}
	}
	if u == nil {
		return 0, 0, "no window was opened: the device has not sent yet"
	}
	n, margin = u.nearest(t)
	if within(margin) {
		return n, margin, strings.Join(append(u.shut(n), v.unheard(u, n, t)...), "; ")
	}
	if u.before != nil {
		if n, margin := u.before.nearest(t); within(margin) {
			return n, margin, fmt.Sprintf("RX%d was not opened: the device has sent again", n)
		}
	}
	if other := 3 - n; !u.tuned(n, t) && u.tuned(other, t) {
		n, margin = other, u.margin(other, t)
	}
	why := fmt.Sprintf("%s late for RX%d", micros(margin), n)
	if margin < 0 {
		why = fmt.Sprintf("%s early for RX%d", micros(-margin), n)
	}
	return n, margin, strings.Join(append([]string{why}, v.unheard(u, n, t)...), "; ")
}

// tuned reports whether a window has the frequency and data rate of a transmission.
func (u *uplink) tuned(n int, t *transmission) bool {
	w := u.window(n)
	return t.Frequency == w.Frequency && t.DataRate == w.DataRate
}

// shut returns why a window is not open at its time.
func (u *uplink) shut(n int) []string {
	switch {
	case u.receiving != nil && u.receiving.Window == n || u.taken == n:
		return []string{fmt.Sprintf("RX%d was taken by another frame", n)}
	case u.receiving != nil:
		return []string{"RX2 was not opened: RX1 was still receiving"}
	case u.taken != 0:
		return []string{"RX2 was not opened: RX1 brought a frame"}
	}
	return nil
}

// unheard returns the properties of a transmission that keep it from being heard in
// a window, whatever its time.
func (v *Device) unheard(u *uplink, n int, t *transmission) (why []string) {
	w := u.window(n)
	if t.Frequency != w.Frequency {
		why = append(why, fmt.Sprintf("on %v, RX%d listens on %v", t.Frequency, n, w.Frequency))
	}
	if t.DataRate != w.DataRate {
		why = append(why, fmt.Sprintf("at %v, RX%d listens at %v", t.DataRate, n, w.DataRate))
	}
	if t.DataRate.Modulation == radio.LoRa {
		if t.CodingRate > radio.CodingRate45 {
			why = append(why, fmt.Sprintf("at coding rate %v instead of %v", t.CodingRate, radio.CodingRate45))
		}
		if t.Uplink {
			why = append(why, "plain polarity", "with a CRC")
		}
	}
	if s, err := v.opts.Plan.SubBand(t.Frequency); err == nil {
		if eirp := t.Power + t.receiver.opts.AntennaGain; eirp < 0 || eirp > s.MaxEIRP {
			why = append(why, fmt.Sprintf("with %v dBm EIRP, want 0 to %v", eirp, s.MaxEIRP))
		}
	}
	return why
}

// micros returns a short time in µs as text, a longer one as time.Duration does.
func micros(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return d.String()
}
