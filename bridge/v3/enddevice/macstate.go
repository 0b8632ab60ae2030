package enddevice

import (
	"cmp"
	"math"
	"slices"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// state reads what the network has asked of a device in its session, and what the
// device has told. nil: nothing.
func (m *macStateJSON) state(r *reader, status *statusJSON, d *session.Device) *macstate.State {
	s := macstate.State{
		Wish: m.Desired.wish(r, m.Current, planChannels(d)), Asked: m.asked(r, d.Session.FCntUp),
		Status: status.status(uint32(r.number("mac_state.last_dev_status_f_cnt_up", m.LastStatus, math.MaxUint32))),
	}
	wish := m.Desired
	if wish == nil {
		wish = &parametersJSON{}
	}
	m.rejectedJSON.read(r, &s, wish.Channels)
	m.classes(r, &s)
	m.masks(&s, d)
	told := s.Masked || s.Ping != nil || s.ClassB || s.ClassC
	if !told && s.Wish == nil && s.Status == nil && s.Asked == nil && !s.Refuses() {
		return nil
	}
	return &s
}

// tell is the way back.
func (m *macStateJSON) tell(s *macstate.State) {
	if s == nil {
		return
	}
	m.rejectedJSON, m.Pending = rejectedOf(s), pendingOf(s)
	if s.Status != nil {
		m.LastStatus = some(s.Status.FCntUp)
	}
}

// bits reads small numbers, each as one bit.
func (r *reader) bits(field string, list []number) (bits uint16) {
	for _, n := range list {
		bits |= 1 << r.number(field, n, 15)
	}
	return bits
}

func numbersOf(bits uint16) (list []number) {
	for n := range uint64(16) {
		if bits>>n&1 == 1 {
			list = append(list, number{n, true})
		}
	}
	return list
}

// status reads what a device has told of itself; nil: nothing.
func (j *statusJSON) status(fCntUp uint32) *macstate.Status {
	at, err := time.Parse(time.RFC3339Nano, j.At)
	if err != nil {
		return nil
	}
	s := &macstate.Status{FCntUp: fCntUp, At: at.UTC(), Battery: 255}
	switch {
	case j.PowerState == "POWER_EXTERNAL":
		s.Battery = 0
	case j.Battery != nil:
		s.Battery = uint8(math.Round(min(max(float64(*j.Battery), 0), 1)*253)) + 1
	}
	if j.Margin != nil {
		s.Margin = *j.Margin
	}
	return s
}

// wish reads what the owner, or another server, wants of the device beyond what it uses.
// Data rate, power and number of transmissions are ADR's, and are left to it. The Things
// Stack leaves out what is 0: where a delay and a frequency are told, all is.
// Channels of the plan, own, are no wish: it may change. Others are one even where the device has
// them already: without it, it would be told those of the plan.
func (j *parametersJSON) wish(r *reader, current *parametersJSON, own []session.Channel) *macstate.Wish {
	if j == nil {
		return nil
	}
	was := cmp.Or(current, &parametersJSON{})
	p := j.parameters(r)
	if r.err != nil {
		return nil
	}
	whole := j.RX1Delay.set && j.RX2Frequency.set
	w, any := macstate.Wish{}, false
	wished := func(differs, told bool) bool {
		differs = differs && (told || whole)
		any = any || differs
		return differs
	}
	if wished(j.RX1Delay.v != was.RX1Delay.v, j.RX1Delay.set) {
		w.RX1Delay = &p.RX1Delay
	}
	if wished(j.RX1DROffset.v != was.RX1DROffset.v, j.RX1DROffset.set) {
		w.RX1DROffset = &p.RX1DROffset
	}
	if wished(j.RX2DataRate.v != was.RX2DataRate.v, j.RX2DataRate.set) {
		w.RX2DataRate = &p.RX2DataRate
	}
	if wished(j.RX2Frequency.v != was.RX2Frequency.v, j.RX2Frequency.set) {
		w.RX2Frequency = &p.RX2Frequency
	}
	if wished(j.MaxEIRP != was.MaxEIRP, j.MaxEIRP > 0) {
		w.MaxEIRP = &p.MaxEIRP
	}
	if wished(j.MaxDutyCycle != was.MaxDutyCycle, p.MaxDutyCycle != nil) {
		w.MaxDutyCycle = zeroOr(p.MaxDutyCycle)
	}
	if wished(j.UplinkDwell != was.UplinkDwell, j.UplinkDwell.set) {
		w.UplinkDwell = &j.UplinkDwell.v
	}
	if wished(j.DownlinkDwell != was.DownlinkDwell, j.DownlinkDwell.set) {
		w.DownlinkDwell = &j.DownlinkDwell.v
	}
	if wished(j.ADRAckLimitExp != was.ADRAckLimitExp, p.ADRAckLimitExp != nil) {
		w.ADRAckLimit = p.ADRAckLimitExp
	}
	if wished(j.ADRAckDelayExp != was.ADRAckDelayExp, p.ADRAckDelayExp != nil) {
		w.ADRAckDelay = p.ADRAckDelayExp
	}
	if wished(j.RejoinTimePeriod != was.RejoinTimePeriod || j.RejoinCount != was.RejoinCount,
		p.RejoinTimePeriod != nil || j.RejoinCount != "") {
		w.RejoinTime, w.RejoinCount = zeroOr(p.RejoinTimePeriod), zeroOr(j.RejoinCount.exponent())
	}
	others := !slices.Equal(p.Channels, own)
	differ := !slices.Equal(j.Channels, was.Channels) || len(own) > 0 && len(p.Channels) > 0 && others
	if wished(len(p.Channels) <= maxWishedChannels && differ, len(p.Channels) > 0) && others {
		w.Channels = p.Channels
	}
	if !j.wishPing(r, was, &w) && !any {
		return nil
	}
	return &w
}

// maxWishedChannels are as many as a device can be told; where there are more, all are
// laid down (RP002-1.0.4).
const maxWishedChannels = 16

func zeroOr(n *uint8) *uint8 {
	if n == nil {
		return new(uint8)
	}
	return n
}

// desiredOf returns what is wanted of a device, which its current parameters may not be
// yet: what its owner wishes, else what the plan has.
func desiredOf(d *session.Device, s *session.Session) *parametersJSON {
	p := factoryParameters(d)
	if s.Parameters != nil {
		p = *s.Parameters
	}
	p = *known(d, p)
	if plan, err := d.PlanIn(s); err == nil {
		rx2 := plan.RX2()
		p.RX2DataRate, p.RX2Frequency = rx2.DataRate, rx2.Frequency
		if !plan.FixedChannels() {
			p.Channels = nil // those of the plan
		}
	}
	w := d.Wish(s)
	set(&p.RX1Delay, w.RX1Delay)
	set(&p.RX1DROffset, w.RX1DROffset)
	set(&p.RX2DataRate, w.RX2DataRate)
	set[radio.Frequency](&p.RX2Frequency, w.RX2Frequency)
	set[radio.Decibel](&p.MaxEIRP, w.MaxEIRP)
	for _, to := range []struct {
		p    **uint8
		wish *uint8
	}{
		{&p.MaxDutyCycle, w.MaxDutyCycle},
		{&p.ADRAckLimitExp, w.ADRAckLimit},
		{&p.ADRAckDelayExp, w.ADRAckDelay},
		{&p.RejoinTimePeriod, w.RejoinTime},
	} {
		if to.wish != nil {
			*to.p = to.wish
		}
	}
	if len(w.Channels) > 0 {
		p.Channels = w.Channels
	}
	j := parametersOf(d, &p)
	j.RejoinCount = wordOf[rejoinCounts](w.RejoinCount)
	now := s.MAC.Pings()
	j.pingJSON, j.PingRate = pingOf(now), optional(now.DataRate)
	j.tellWish(&w)
	return j
}

// wishOf writes what is wished for a session, and nothing else.
func wishOf(w *macstate.Wish) *parametersJSON {
	if w == nil {
		return nil
	}
	j := &parametersJSON{
		RX1Delay: optional(w.RX1Delay), RX1DROffset: optional(w.RX1DROffset), RX2DataRate: optional(w.RX2DataRate),
		MaxDutyCycle: wordOf[dutyCycleNames](w.MaxDutyCycle), UplinkDwell: boolOf(w.UplinkDwell),
		DownlinkDwell:  boolOf(w.DownlinkDwell),
		ADRAckLimitExp: wordOf[ackLimitNames](w.ADRAckLimit), ADRAckDelayExp: wordOf[ackDelayNames](w.ADRAckDelay),
		RejoinTimePeriod: wordOf[rejoinNames](w.RejoinTime), RejoinCount: wordOf[rejoinCounts](w.RejoinCount),
	}
	if w.RX2Frequency != nil {
		j.RX2Frequency = frequency(*w.RX2Frequency)
	}
	if w.MaxEIRP != nil {
		j.MaxEIRP = float64(*w.MaxEIRP) / 100
	}
	j.tellWish(w)
	for _, c := range w.Channels {
		j.Channels = append(j.Channels, channelOf(c))
	}
	return j
}

func channelOf(c session.Channel) channelJSON {
	return channelJSON{
		UplinkFrequency: frequency(c.UplinkFrequency), DownlinkFrequency: frequency(c.DownlinkFrequency),
		MinDataRate: some(c.MinDataRate), MaxDataRate: some(c.MaxDataRate), EnableUplink: yes(c.Enabled),
	}
}

func set[T any](to *T, wish *T) {
	if wish != nil {
		*to = *wish
	}
}
