package mac

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// asking is what decides what is asked of a device: what it is known to use, and
// what its owner and the frequency plan want.
type asking struct {
	UplinkContext
	now      session.Parameters
	wish     macstate.Wish
	dataRate uint8              // index, of the uplink
	adr      bool               // the device lets the network set the data rate
	ackReq   bool               // the device asks for a downlink, because it has heard none for long
	block    region.ChannelMask // channels that the device is to use, in bands that lay all down
	woken    bool               // a LinkADRReq that was at rest is to be asked once more
	wanted   []macstate.Command
	decision *macstate.Decision // of ADR, which wanted has; nil: none, or not a new one
}

// want asks for a command.
func (a *asking) want(cid cid, payload ...byte) {
	a.wanted = append(a.wanted, macstate.New(cid, payload...))
}

// all asks for what the device lacks, in the order in which requests stand in a frame.
// The functions are called by their names and not from a table: so nothing of this is
// allocated, with each uplink.
//
// Source of the order: The Things Stack 3.32.1, pkg/networkserver.
func (a *asking) all() {
	wantDutyCycle(a)
	wantTxParamSetup(a)
	wantRXParamSetup(a)
	wantNewChannels(a)
	wantLinkADR(a)
	wantRXTimingSetup(a)
	wantDlChannels(a)
	wantADRParamSetup(a)
	wantRejoinParamSetup(a)
	wantForceRejoin(a)
	wantPingSlotChannel(a)
	wantBeaconFreq(a)
	wantDevStatus(a)
}

// due returns the requests that are due after an uplink, and what ADR has newly decided.
// A request whose answer the device repeats until it hears a downlink has to wait: nobody
// could tell the answer to it from that to the one before.
func (ctx *UplinkContext) due(o *Owed, d *frame.Data) ([]macstate.Command, *macstate.Decision) {
	if (ctx.Begun || o.begun) && ctx.Session.MAC.Deaf() {
		return nil, nil
	}
	dr, err := ctx.Plan.UplinkDataRate(ctx.Rate)
	if err != nil {
		return nil, nil
	}
	a := asking{
		UplinkContext: *ctx, now: Current(ctx.Device, ctx.Session, ctx.Plan), wish: ctx.Device.Wish(ctx.Session),
		dataRate: dr, adr: d.ADR, ackReq: d.ADRACKReq,
	}
	ctx.Device.History.NbTrans = max(a.now.ADRNbTrans, 1)
	a.revert()
	a.wake()
	a.all()
	if !a.patient() {
		a.wanted = slices.DeleteFunc(a.wanted, func(c macstate.Command) bool { return c.CID == cidLinkADR })
		a.decision = nil
	}
	if o.sticky != 0 {
		all := len(a.wanted)
		a.wanted = slices.DeleteFunc(a.wanted, func(c macstate.Command) bool { return o.sticky>>c.CID&1 == 1 })
		if len(a.wanted) < all && !o.Any {
			ctx.soothe(o)
		}
	}
	return ctx.Session.MAC.Due(a.wanted, ctx.FCnt, cidLinkADR), a.decision
}

// Current returns the parameters that a device is known to use.
func Current(d *session.Device, s *session.Session, p *region.Plan) session.Parameters {
	q := d.FactoryParameters(p)
	if s != nil && s.Parameters != nil {
		band := q.RX2Frequency
		if q = *s.Parameters; q.RX2Frequency == 0 {
			q.RX2Frequency = band
		}
		q.RX1Delay = max(q.RX1Delay, 1)
	}
	return q
}

// replaces reports whether a request takes the place of an older one, because the
// two are about the same setting. The device answers the newer one.
func replaces(next, old macstate.Command) bool {
	switch {
	case next.CID != old.CID:
		return false
	case next.CID == cidNewChannel, next.CID == cidDlChannel:
		return next.Payload[0] == old.Payload[0]
	}
	return true
}

// open returns the requests with an identifier that were sent last before the uplink,
// and not answered. A device may send a frame several times: it cannot answer what was
// sent in answer to the first of them.
func (ctx *UplinkContext) open(id cid) []macstate.Command {
	if ctx.Session == nil || ctx.Plan == nil {
		return nil
	}
	return ctx.Session.MAC.Open(id, ctx.FCnt)
}

// answered takes the device's answer to the oldest request with an identifier that
// is open, and notes in its parameters what it has accepted. An answer that nobody
// has asked for changes nothing.
func (ctx *UplinkContext) answered(id cid, ok bool, apply func(p *session.Parameters, asked []byte)) bool {
	s, open := ctx.Session, ctx.open(id)
	if len(open) == 0 {
		return false
	}
	c := open[0]
	if ok {
		p := Current(ctx.Device, s, ctx.Plan)
		p.Channels = slices.Clone(p.Channels)
		apply(&p, c.Payload[:])
		s.SetParameters(&p)
	}
	s.SetMAC(s.MAC.Answered(c, ok))
	ctx.tell(c, ok)
	return true
}

// tell reports an answer.
func (ctx *UplinkContext) tell(c macstate.Command, ok bool) {
	if ctx.Told != nil {
		ctx.Told(Words(c), ok)
	}
}

// sticky notes an answer that the device repeats until it hears a downlink: it gets
// one, if only an empty one (LoRaWAN L2 1.0.4, 5.4, 5.7 and 5.8). A device that never
// stops gets as many as a request has tries.
func (ctx *UplinkContext) sticky(o *Owed, id cid, answered bool) {
	s, first := ctx.Session, o.sticky == 0
	if o.sticky |= 1 << id; !answered && (s == nil || s.MAC == nil || s.MAC.Sticky == 0) {
		return
	}
	if first {
		ctx.soothe(o)
	}
}

// soothe owes a downlink to a device that repeats an answer until it hears one.
func (ctx *UplinkContext) soothe(o *Owed) {
	s := ctx.Session
	if s.MAC != nil && s.MAC.Sticky >= macstate.MaxTries {
		return
	}
	s.SetMAC(s.MAC.With(func(m *macstate.State) { m.Sticky++ }))
	o.Any = true
}

// notSticky notes that an uplink has no sticky answer any more.
func (ctx *UplinkContext) notSticky(o *Owed) {
	if m := ctx.Session; m != nil && m.MAC != nil && m.MAC.Sticky > 0 && o.sticky == 0 {
		m.SetMAC(m.MAC.With(func(m *macstate.State) { m.Sticky = 0 }))
	}
}

// Forget notes that a personalised device has begun anew with what it was made
// with: what was asked before does not hold any more. That is also so of what was wished
// for the session alone (mac_state.desired_parameters): as with The Things Stack, which
// makes the MAC state anew, and as with a join. What is to hold longer belongs into the
// device's settings (mac_settings.desired_…), which stay.
func Forget(s *session.Session) {
	s.SetParameters(nil)
	if s.MAC != nil {
		s.SetMAC(s.MAC.Begun())
	}
}

// tellable returns a frequency as appendFrequency can tell it.
func tellable(f radio.Frequency) radio.Frequency { return f / 100 & 0xff_ffff * 100 }

// appendFrequency appends a frequency in 100 Hz, 24 bits, little-endian.
func appendFrequency(dst []byte, f radio.Frequency) []byte {
	n := uint32(f / 100)
	return append(dst, byte(n), byte(n>>8), byte(n>>16))
}

// readFrequency reads what appendFrequency wrote.
func readFrequency(b []byte) radio.Frequency {
	return radio.Frequency(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16) * 100
}
