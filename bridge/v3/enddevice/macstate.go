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
func (m *macStateJSON) state(r *reader, status *statusJSON, d *session.Device, rx1Delay uint8) *macstate.State {
	s := macstate.State{
		Wish: m.Desired.wish(r, m.Current, d, rx1Delay), Asked: m.asked(r, d.Session.FCntUp),
		Status: status.status(uint32(r.number("mac_state.last_dev_status_f_cnt_up", m.LastStatus, math.MaxUint32))),
	}
	wish := cmp.Or(m.Desired, &parametersJSON{})
	m.rejectedJSON.read(r, &s, wish.Channels)
	m.classes(r, &s)
	m.masks(&s, d)
	if c := m.Current; c != nil && c.RejoinCount != "" { // a device need not keep to the time
		period := cmp.Or(c.RejoinTimePeriod, wish.RejoinTimePeriod).exponent()
		s.Rejoin, s.RejoinTold = nibbles(*zeroOr(period), *zeroOr(c.RejoinCount.exponent())), true
	}
	told := s.Masked || s.RejoinTold || s.Ping != nil || s.ClassB || s.ClassC
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
	if s.RejoinTold && m.Current != nil {
		m.Current.RejoinCount = wordOf[rejoinCounts](new(s.Rejoin & 0x0f))
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

// wish reads what the owner, or another server, wants of the device beyond what it would be asked
// without: that may change with the plan, and is no wish. What else is told is one even where the
// device has it already: without it, it would be asked to go back. Data rate, power and number of
// transmissions are ADR's, and are left to it. The Things Stack leaves out what is 0: where a delay
// and a frequency are told, all is.
func (j *parametersJSON) wish(r *reader, current *parametersJSON, d *session.Device, rx1Delay uint8) *macstate.Wish {
	if j == nil {
		return nil
	}
	was, p := cmp.Or(current, &parametersJSON{}), j.parameters(r)
	if r.err != nil {
		return nil
	}
	now, own := session.Parameters{}, planChannels(d)
	if d.Session.Parameters != nil {
		now = *d.Session.Parameters
	}
	without := unwished(d, d.Session, rx1Delay)
	whole := j.RX1Delay.set && j.RX2Frequency.set
	w, any := macstate.Wish{}, false
	wished(&any, &w.RX1Delay, j.RX1Delay.set, &p.RX1Delay, &now.RX1Delay, &without.RX1Delay)
	wished(&any, &w.RX1DROffset, j.RX1DROffset.set || whole, &p.RX1DROffset, &now.RX1DROffset, &without.RX1DROffset)
	wished(&any, &w.RX2DataRate, j.RX2DataRate.set || whole, &p.RX2DataRate, &now.RX2DataRate, &without.RX2DataRate)
	wished(&any, &w.RX2Frequency, j.RX2Frequency.set, &p.RX2Frequency, &now.RX2Frequency, &without.RX2Frequency)
	wished(&any, &w.MaxEIRP, j.MaxEIRP > 0, &p.MaxEIRP, &now.MaxEIRP, &without.MaxEIRP)
	wished(&any, &w.MaxDutyCycle, p.MaxDutyCycle != nil || whole,
		zeroOr(p.MaxDutyCycle), zeroOr(now.MaxDutyCycle), zeroOr(without.MaxDutyCycle))
	wished(&any, &w.UplinkDwell, p.UplinkDwell != nil, p.UplinkDwell, now.UplinkDwell, without.UplinkDwell)
	wished(&any, &w.DownlinkDwell, p.DownlinkDwell != nil, p.DownlinkDwell, now.DownlinkDwell, without.DownlinkDwell)
	wished(&any, &w.ADRAckLimit, p.ADRAckLimitExp != nil, p.ADRAckLimitExp, now.ADRAckLimitExp, without.ADRAckLimitExp)
	wished(&any, &w.ADRAckDelay, p.ADRAckDelayExp != nil, p.ADRAckDelayExp, now.ADRAckDelayExp, without.ADRAckDelayExp)
	if j.RejoinCount != "" || j.RejoinTimePeriod != was.RejoinTimePeriod && p.RejoinTimePeriod != nil ||
		whole && (j.RejoinTimePeriod != was.RejoinTimePeriod || was.RejoinCount != "") {
		w.RejoinTime, w.RejoinCount, any = zeroOr(p.RejoinTimePeriod), zeroOr(j.RejoinCount.exponent()), true
	}
	others := !slices.Equal(p.Channels, own)
	differ := !slices.Equal(j.Channels, was.Channels) || len(own) > 0 && len(p.Channels) > 0 && others
	if differ && len(p.Channels) <= maxWishedChannels && (len(p.Channels) > 0 || whole) {
		if any = true; others {
			w.Channels = p.Channels
		}
	}
	if !j.wishPing(r, was, &w, &d.Settings.MAC) && !any {
		return nil
	}
	return &w
}

// wished notes a value that is told, if the device would not be asked for it without, and whether
// anything is told that is not so now. Values that nobody knows are nil.
func wished[T comparable](any *bool, to **T, told bool, p, now, without *T) {
	same := func(q *T) bool { return q != nil && *p == *q }
	if !told || same(now) && same(without) {
		return
	}
	if *any = true; !same(without) {
		*to = p
	}
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

// unwished returns what a device is asked in a session for which nothing is wished: by its settings,
// else by the network, whose RX1 delay, in s, is told, and by the plan. The rest stays as it is.
func unwished(d *session.Device, s *session.Session, rx1Delay uint8) session.Parameters {
	p := factoryParameters(d)
	if s.Parameters != nil {
		p = *s.Parameters
	}
	p = *known(d, p)
	p.RX1Delay = cmp.Or(rx1Delay, joinDelay)
	if plan, err := d.PlanIn(s); err == nil {
		rx2 := plan.RX2()
		p.RX2DataRate, p.RX2Frequency = rx2.DataRate, rx2.Frequency
		if !plan.FixedChannels() {
			p.Channels = nil // those of the plan
		}
		if plan.TxParamSetup() && d.Version >= session.V1_0_2 {
			limits := plan.DwellLimits()
			p.UplinkDwell, p.DownlinkDwell, p.MaxEIRP = &limits.Uplink, &limits.Downlink, plan.MaxEIRP()
		}
	}
	w := d.Wish(&session.Session{})
	setWish(&p, &w)
	return p
}

// setWish makes parameters what is wished.
func setWish(p *session.Parameters, w *macstate.Wish) {
	set(&p.RX1Delay, w.RX1Delay)
	set(&p.RX1DROffset, w.RX1DROffset)
	set(&p.RX2DataRate, w.RX2DataRate)
	if f := w.RX2Frequency; f != nil && *f != 0 {
		p.RX2Frequency = *f
	}
	set[radio.Decibel](&p.MaxEIRP, w.MaxEIRP)
	p.MaxDutyCycle, p.RejoinTimePeriod = cmp.Or(w.MaxDutyCycle, p.MaxDutyCycle), cmp.Or(w.RejoinTime, p.RejoinTimePeriod)
	p.UplinkDwell, p.DownlinkDwell = cmp.Or(w.UplinkDwell, p.UplinkDwell), cmp.Or(w.DownlinkDwell, p.DownlinkDwell)
	p.ADRAckLimitExp, p.ADRAckDelayExp = cmp.Or(w.ADRAckLimit, p.ADRAckLimitExp), cmp.Or(w.ADRAckDelay, p.ADRAckDelayExp)
	if len(w.Channels) > 0 {
		p.Channels = w.Channels
	}
}

// desiredOf returns what is wanted of a device, which its current parameters may not be
// yet: what its owner wishes, else what it is asked without.
func desiredOf(d *session.Device, s *session.Session, rx1Delay uint8) *parametersJSON {
	p, w := unwished(d, s, rx1Delay), d.Wish(s)
	setWish(&p, &w)
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
