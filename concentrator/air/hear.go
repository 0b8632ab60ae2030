package air

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Heard is a transmission that a device has accepted, with its content.
type Heard struct {
	Transmission
	Device string
	Window int           // 1 or 2; 3: at any other time, in Class C; 4: a ping slot, in Class B
	Margin time.Duration // from the opening of the window to the start, by the gateway's counter in whole µs

	JoinAccept *frame.JoinAccept // of a join-accept, else nil
	Data       *frame.Data       // of a data frame, with FRMPayload decrypted, else nil
	FCnt       uint32            // of a data frame, all 32 bits
	Answers                      // to requests of the device
}

// Missed is a transmission that was meant for a device but was not accepted.
type Missed struct {
	Transmission
	Device string
	Window int           // the closest window; 0: the device has never sent
	Margin time.Duration // from the opening of the window to the start; negative: before it
	Reason string        // as text: "412 µs late for RX1"
}

// reception is a transmission at one of the devices it was meant for.
type reception struct {
	Missed
	device *Device
	uplink *uplink
	ends   time.Time
	lost   bool // on the air
}

// begin makes the devices receive a transmission that begins now.
func (a *Air) begin(t *transmission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.run != t.receiver.runs || t.cut {
		return // it was lost in a restart, or cancelled
	}
	for _, v := range a.meant(t) {
		p := &reception{device: v, uplink: v.at(t.Begin), ends: t.End}
		p.Device = v.opts.Name
		if p.Window, p.Margin, p.Reason = v.judge(t); p.Reason == "" {
			p.listen(p)
		}
		t.receptions = append(t.receptions, p)
	}
	a.at(t.End, 0, func() { a.end(t) })
}

// end makes the devices read a transmission that has ended, and reports the
// results.
func (a *Air) end(t *transmission) {
	for _, p := range t.receptions {
		deaf := t.receiver.opts.Deaf
		p.lost = p.Reason == "" && deaf != nil && deaf(p.Device)
	}
	a.mu.Lock()
	var tell []func()
	var reasons []string
	for _, p := range t.receptions {
		tell = append(tell, p.end(t)...)
		if p.Reason == "" {
			t.TakenBy = p.Device
		} else {
			reasons = append(reasons, p.Device+": "+p.Reason)
		}
	}
	if t.TakenBy == "" {
		t.Untaken = strings.Join(reasons, "; ")
	}
	if len(t.receptions) == 0 {
		t.Untaken = "meant for no device on this air"
	}
	log := a.log
	a.mu.Unlock()
	for _, f := range tell {
		f()
	}
	if log != nil {
		log(t.Transmission)
	}
}

// end makes the device read the frame that it has received. It returns the calls
// that report the result. The caller holds the lock.
func (p *reception) end(t *transmission) (tell []func()) {
	v, u := p.device, p.uplink
	h := Heard{Device: p.Device, Window: p.Window, Margin: p.Margin}
	silent := false
	if p.Reason == "" {
		p.listen(nil)
		switch {
		case p.lost:
			p.Reason = "lost on the air"
		case t.run != t.receiver.runs:
			p.Reason = "cut off: the gateway was restarted"
		case t.cut:
			p.Reason = "cut off: the gateway has stopped sending"
		case p.beside() && v.sendsWithin(t.Begin, t.End) || !p.beside() && u.brokenOff(t.End):
			p.Reason = "broken off: the device has sent again"
		default:
			p.Reason = v.read(t, &h)
		}
		if p.Reason == "" {
			v.shut = t.End.Add(v.opts.Shut)
		}
		if !p.beside() {
			if p.Reason == "" {
				u.taken = p.Window
			}
			silent = u.passed && u.silent()
		}
	}
	if p.Reason == "" {
		if v.opts.Heard != nil {
			tell = append(tell, func() { h.Transmission = t.Transmission; v.opts.Heard(h) })
		}
		return tell
	}
	if v.opts.Missed != nil {
		tell = append(tell, func() { p.Transmission = t.Transmission; v.opts.Missed(p.Missed) })
	}
	if silent && v.opts.Silent != nil {
		tell = append(tell, func() { v.opts.Silent(u.Sent) })
	}
	return tell
}

// read accepts a received frame, or returns the reason for not accepting it.
func (v *Device) read(t *transmission, h *Heard) (reason string) {
	if m, err := frame.TypeOf(t.PHYPayload); err == nil && m == frame.TypeJoinAccept {
		return v.readJoinAccept(t.PHYPayload, h)
	}
	d, err := frame.ParseData(t.PHYPayload)
	if err != nil {
		return err.Error()
	}
	fCnt, _, reason := v.counter(d)
	if reason != "" {
		return reason
	}
	*v.lastOf(d) = int64(fCnt)
	if d.Confirmed() {
		v.owesACK, v.confDown = true, uint16(fCnt)
	}
	c := v.cipher()
	d.FOpts = c.AppendFOpts(nil, d, fCnt)
	d.FRMPayload = c.AppendFRMPayload(nil, d, fCnt)
	h.Data, h.FCnt = d, fCnt
	commands := d.FOpts
	if d.HasFPort && d.FPort == 0 {
		commands = d.FRMPayload
	}
	h.Answers = parseAnswers(commands)
	v.rekeyed(&h.Answers)
	v.pings(&h.Answers)
	v.confirms = false
	return ""
}

// counter returns the full frame counter of a downlink if the MIC fits the device's
// session. known says that it fits; reason is why the frame is not accepted.
func (v *Device) counter(d *frame.Data) (fCnt uint32, known bool, reason string) {
	c, last, ctx := v.cipher(), *v.lastOf(d), frame.Context{ConfFCnt: v.confUp}
	if last < math.MaxUint32 {
		next, ok := frame.NextFCnt(uint32(last+1), d.FCnt)
		if ok && c.CheckDownlinkMIC(d, next, ctx) {
			if gap := int64(next) - last; gap > maxFCntGap && v.opts.Version < V1_0_4 {
				return next, true, fmt.Sprintf("FCntDown %d is %d above %d, at most %d", next, gap, last, maxFCntGap)
			}
			return next, true, ""
		}
	}
	const turn = 1 << 16
	before := last&^(turn-1) | int64(d.FCnt)
	if before > last {
		before -= turn
	}
	if last >= 0 && before >= 0 && c.CheckDownlinkMIC(d, uint32(before), ctx) {
		return uint32(before), true, fmt.Sprintf("FCntDown %d not above %d", before, last)
	}
	return 0, false, "wrong MIC"
}

// readJoinAccept begins a session, or returns the reason for not accepting the
// frame.
func (v *Device) readJoinAccept(phy []byte, h *Heard) (reason string) {
	if v.request == nil {
		return "no join-request waits for an answer"
	}
	accept, err := frame.ParseJoinAccept(phy, v.opts.RootKeys, v.request)
	if err != nil {
		return err.Error()
	}
	if v.opts.Version >= V1_0_4 && int64(accept.JoinNonce) <= v.joinNonce {
		return fmt.Sprintf("JoinNonce %d not above %d", accept.JoinNonce, v.joinNonce)
	}
	keys, err := frame.DeriveSessionKeys(*accept, v.opts.RootKeys, v.request)
	if err != nil {
		return err.Error()
	}
	channels, err := v.acceptedChannels(accept)
	if err != nil {
		return err.Error()
	}
	if v.request.Type != frame.Rejoin2 {
		v.channels = channels
	}
	v.begins(accept, keys)
	h.JoinAccept = accept
	return ""
}

// acceptedChannels returns the channels of the device after a join-accept. It
// returns an error if the settings do not fit the plan.
func (v *Device) acceptedChannels(a *frame.JoinAccept) ([]region.Channel, error) {
	plan, channels := v.opts.Plan, defaultChannels(v.opts.Plan)
	if _, err := plan.DownlinkMaxMACPayload(a.RX2DataRate); err != nil {
		return nil, fmt.Errorf("join-accept with RX2 data rate %d: %w", a.RX2DataRate, err)
	}
	if _, err := plan.RX1(channels[0].Frequency, channels[0].MaxDR, a.RX1DROffset); err != nil {
		return nil, fmt.Errorf("join-accept with RX1DROffset %d: %w", a.RX1DROffset, err)
	}
	if a.CFList == nil {
		return channels, nil
	}
	frequencies, masks, err := frame.ParseCFList(a.CFList)
	switch {
	case err != nil:
		return nil, fmt.Errorf("join-accept: %w", err)
	case masks != nil:
		channels = slices.DeleteFunc(channels, func(c region.Channel) bool {
			n, err := plan.UplinkChannel(c.Frequency, c.MinDR)
			return err != nil || n/16 >= len(masks) || masks[n/16]>>(n%16)&1 == 0
		})
		if len(channels) == 0 {
			return nil, fmt.Errorf("join-accept with CFList that leaves no channel of %s", plan.ID())
		}
		return channels, nil
	}
	for _, f := range frequencies {
		if f == 0 {
			continue
		}
		if _, err := plan.SubBand(f); err != nil {
			return nil, fmt.Errorf("join-accept with CFList: %w", err)
		}
		added := channels[0]
		added.Frequency = f
		channels = append(channels, added)
	}
	return channels, nil
}
