package mac

import (
	"fmt"
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

// asking is what decides what is asked of a device: what it is known to use, and
// what its owner and the frequency plan want.
type asking struct {
	UplinkContext
	now      session.Parameters
	dataRate uint8 // index, of the uplink
	adr      bool  // the network may set the data rate
	wanted   []macstate.Command
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
	wantDevStatus(a)
}

// requestNames are the commands of the network that all asks.
var requestNames = map[cid]string{
	cidDutyCycle: "DutyCycleReq", cidTxParamSetup: "TxParamSetupReq", cidRXParamSetup: "RXParamSetupReq",
	cidNewChannel: "NewChannelReq", cidLinkADR: "LinkADRReq", cidRXTimingSetup: "RXTimingSetupReq",
	cidDlChannel: "DlChannelReq", cidADRParamSetup: "ADRParamSetupReq", cidRejoinParam: "RejoinParamSetupReq",
	cidDevStatus: "DevStatusReq",
}

// requestText says which command is asked: "LinkADRReq 50ff0001".
func requestText(c macstate.Command) string {
	if c.Size == 0 {
		return requestNames[c.CID]
	}
	return fmt.Sprintf("%s %x", requestNames[c.CID], c.Bytes())
}

// due returns the requests that are due after an uplink.
func (ctx *UplinkContext) due(adr bool) []macstate.Command {
	if ctx.Plan == nil {
		return nil
	}
	dr, err := ctx.Plan.UplinkDataRate(ctx.Rate)
	if err != nil {
		return nil
	}
	a := asking{
		UplinkContext: *ctx, now: Current(ctx.Device, ctx.Session, ctx.Plan), dataRate: dr, adr: adr,
	}
	a.all()
	return ctx.Session.MAC.Due(a.wanted, ctx.FCnt)
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
	case next.CID == cidLinkADR: // one for each part of the channel mask
		return next.Payload[3]>>4 == old.Payload[3]>>4
	}
	return true
}

// open returns the requests with an identifier that were sent last, and not answered.
func (ctx *UplinkContext) open(id cid) []macstate.Command {
	if ctx.Session == nil || ctx.Plan == nil {
		return nil
	}
	return ctx.Session.MAC.Open(id)
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
		apply(&p, c.Bytes())
		s.SetParameters(&p)
	}
	s.SetMAC(s.MAC.Answered(c, ok))
	ctx.tell(c, ok)
	return true
}

// tell reports an answer.
func (ctx *UplinkContext) tell(c macstate.Command, ok bool) {
	if ctx.Told != nil {
		ctx.Told(requestText(c), ok)
	}
}

// sticky notes an answer that the device repeats until it hears a downlink: it gets
// one, if only an empty one (LoRaWAN L2 1.0.4, 5.4, 5.7 and 5.8).
func (ctx *UplinkContext) sticky(o *Owed, answered bool) {
	s := ctx.Session
	if !answered && (s == nil || s.MAC == nil || !s.MAC.Sticky) {
		return
	}
	o.Any, o.sticky = true, true
	if !s.MAC.Sticky {
		s.SetMAC(s.MAC.With(func(m *macstate.State) { m.Sticky = true }))
	}
}

// notSticky notes that an uplink has no sticky answer any more.
func (ctx *UplinkContext) notSticky(o *Owed) {
	if m := ctx.Session; m != nil && m.MAC != nil && m.MAC.Sticky && !o.sticky {
		m.SetMAC(m.MAC.With(func(m *macstate.State) { m.Sticky = false }))
	}
}

// Forget notes that a personalised device has begun anew with what it was made
// with: what was asked before does not hold any more.
func Forget(s *session.Session) {
	s.SetParameters(nil)
	if s.MAC != nil {
		s.SetMAC(nil)
	}
}

// appendFrequency appends a frequency in 100 Hz, 24 bits, little-endian.
func appendFrequency(dst []byte, f radio.Frequency) []byte {
	n := uint32(f / 100)
	return append(dst, byte(n), byte(n>>8), byte(n>>16))
}

// readFrequency reads what appendFrequency wrote.
func readFrequency(b []byte) radio.Frequency {
	return radio.Frequency(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16) * 100
}
