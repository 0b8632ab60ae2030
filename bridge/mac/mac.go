// Package mac has the rules of LoRaWAN's MAC layer as functions: what a join
// gives, what the MAC commands of an uplink make the network owe the device,
// when and where its receive windows open, and what the next downlink holds.
//
// There is one file for each MAC command. A command of a device is a row in
// the table of commands.go; its file says what it means and what answers it.
package mac

import (
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Owed is what an uplink makes the network owe its device.
type Owed struct {
	ACK    bool // of a confirmed uplink
	Any    bool // some downlink, whatever it holds (ADRACKReq, sticky answers)
	answer [numAnswers]bool
	mode   byte                // with DeviceModeConf
	begun  bool                // the device has gone back to what it was made with; while Uplink reads
	sticky uint32              // sticky answers that the device has sent, by identifier; only while Uplink reads them
	asked  *[]macstate.Command // what the network asks; nil: nothing

	decision *macstate.Decision // of ADR, if it is asked and new
}

// answer is an answer that a device can be owed, in the order in which answers
// stand in a frame.
type answer uint8

const (
	reset answer = iota
	rekey
	linkCheck
	pingSlotInfo
	deviceTime
	deviceMode
	numAnswers
)

// Commands returns the MAC commands of an uplink, in plain: from FOpts, or the
// payload of FPort 0.
func Commands(d *frame.Data, fCnt uint32, c *frame.Cipher) []byte {
	if d.HasFPort && d.FPort == 0 {
		return c.AppendFRMPayload(nil, d, fCnt)
	}
	if len(d.FOpts) == 0 {
		return nil
	}
	return c.AppendFOpts(nil, d, fCnt)
}

// IsZero reports whether nothing is owed.
func (o Owed) IsZero() bool { return o == Owed{} }

// Requests returns what the network asks, in the order in which it stands in the
// frame.
func (o Owed) Requests() []macstate.Command {
	if o.asked == nil {
		return nil
	}
	return *o.asked
}

// maxFOpts is how many bytes of MAC commands a frame carries beside an application's
// payload (LoRaWAN L2 1.0.4, 4.3.1.6).
const maxFOpts = 15

// Alone reports whether the MAC commands are too long for FOpts: then they are the
// payload, on FPort 0, and no item can go with them.
func (o Owed) Alone() bool { return o.size() > maxFOpts }

// size is that of all MAC commands, in bytes.
func (o Owed) size() int {
	n := 0
	for a, owed := range o.answer {
		if owed {
			n += answerSizes[a]
		}
	}
	for _, c := range o.Requests() {
		n += 1 + int(c.Size)
	}
	return n
}

// Trim leaves out the requests for which no window has room: they stay wanted. The
// LinkADRReqs of a frame go together or not at all: the first ones alone may switch the
// channels off that the last one switches on.
func (o *Owed) Trim(windows [2]Window) {
	room := max(windows[0].MaxMACPayload, windows[1].MaxMACPayload) - headerSize + 4
	for o.asked != nil && o.size() > room {
		left := *o.asked
		last := left[len(left)-1]
		left = left[:len(left)-1]
		for n := len(left); n > 0 && last.CID == cidLinkADR && left[n-1].CID == cidLinkADR; n-- {
			left = left[:n-1]
		}
		if o.asked = &left; len(left) == 0 {
			o.asked = nil
		}
	}
}

var answerNames = [numAnswers]string{
	reset: "ResetConf", rekey: "RekeyConf", linkCheck: "LinkCheckAns", deviceTime: "DeviceTimeAns",
	deviceMode: "DeviceModeConf", pingSlotInfo: "PingSlotInfoAns",
}

// answerSizes are those of answers with their identifier, in bytes.
var answerSizes = [numAnswers]int{reset: 2, rekey: 2, linkCheck: 3, pingSlotInfo: 1, deviceTime: 6, deviceMode: 2}

// Answers returns the MAC commands that are owed, and those that are asked, in
// words.
func (o Owed) Answers() []string {
	var out []string
	for a, owed := range o.answer {
		if owed {
			out = append(out, answerNames[a])
		}
	}
	for _, c := range o.Requests() {
		out = append(out, Words(c))
	}
	return out
}

// Circumstances are what answers tell: known when the frame is built, and not
// before.
type Circumstances struct {
	Margin   uint8 // dB above the demodulation floor, of the best gateway
	Gateways uint8 // that have heard the uplink
	// Time is the end of the uplink. Owe no DeviceTimeAns where it is not known.
	Time radio.GPSTime
}

// UplinkContext is what decides what an uplink makes the network owe.
type UplinkContext struct {
	Device    *session.Device
	Session   *session.Session // that the uplink is in
	TimeKnown bool             // the calendar can be trusted

	// What decides what the network asks. Plan is the device's; nil: nothing is
	// asked, and no answer is taken.
	Plan     *region.Plan
	FCnt     uint32                              // of the uplink
	Rate     radio.DataRate                      // of the uplink
	At       time.Time                           // the zero time where the calendar is not known
	Begun    bool                                // the device has begun anew with the uplink
	RX1Delay uint8                               // s, that the network wants; 0: any
	Told     func(request string, accepted bool) // is called with each answer; may be nil

	contradicts bool // the uplink's answers to LinkADRReq are not alike
}

// Uplink returns what an uplink makes the network owe its device, and notes in
// the session what the device tells of itself. commands are the MAC commands,
// in plain.
func Uplink(d *frame.Data, commands []byte, ctx UplinkContext) Owed {
	o := Owed{ACK: d.Confirmed(), Any: d.ADRACKReq}
	ctx.classB(d.ClassB)
	if len(commands) > 0 {
		ctx.contradicts = contradicts(commands)
		o = o.after(commands, ctx)
	}
	if ctx.Plan == nil {
		o.sticky, o.begun = 0, false
		return o
	}
	ctx.notSticky(&o)
	if h := &ctx.Device.History; d.ADR != h.ADR {
		h.ADR = d.ADR
		if !h.New() {
			h.DecideAnew() // nothing was decided without
		}
	}
	if due, decision := ctx.due(&o, d); len(due) > 0 {
		asked := due
		o.asked, o.decision = &asked, decision
	}
	o.sticky, o.begun = 0, false
	return o
}

// after returns what is owed after the MAC commands of an uplink.
func (o Owed) after(commands []byte, ctx UplinkContext) Owed {
	for c, rest, ok := next(commands); ok; c, rest, ok = next(rest) {
		if handle := fromDevice[c.cid].handle; handle != nil {
			handle(&o, c.payload, ctx)
		}
	}
	return o
}

// appendAnswers appends the answers that are owed.
func (o Owed) appendAnswers(dst []byte, c Circumstances) []byte {
	if o.answer[reset] {
		dst = appendResetConf(dst)
	}
	if o.answer[rekey] {
		dst = appendRekeyConf(dst)
	}
	if o.answer[linkCheck] {
		dst = appendLinkCheckAns(dst, c.Margin, c.Gateways)
	}
	if o.answer[pingSlotInfo] {
		dst = appendPingSlotInfoAns(dst)
	}
	if o.answer[deviceTime] {
		dst = appendDeviceTimeAns(dst, c.Time)
	}
	if o.answer[deviceMode] {
		dst = appendDeviceModeConf(dst, o.mode)
	}
	for _, r := range o.Requests() {
		dst = r.Append(dst)
	}
	return dst
}

// Receive is when and where a device listens.
type Receive struct {
	Delay       time.Duration // from the end of the uplink to RX1; RX2 opens a second later
	RX1DROffset uint8
	RX2         region.Window
	told        *session.Parameters // that name channels; nil: none
}

// WindowsAfter returns the windows that a device opens after an uplink in a session.
func WindowsAfter(d *session.Device, s *session.Session, up *radio.Uplink) (w [2]Window, err error) {
	p, err := d.PlanIn(s)
	if err != nil {
		return w, err
	}
	return Windows(d, s, p).After(p, up.Frequency, up.DataRate)
}

// RX1Delay returns how long after the end of a frame RX1 opens. s is the session of the frame, nil
// for a join-request.
func RX1Delay(d *session.Device, s *session.Session) time.Duration {
	p, err := d.FrequencyPlan()
	if err != nil {
		return 0 // of a device without a plan, which is not served
	}
	return Windows(d, s, p).Delay
}

// Windows returns the receive windows of a session: what the device is known to
// use, else what session.Device.FactoryParameters says. With s nil they are those
// after a join-request, whose RX1 knows no settings.
func Windows(d *session.Device, s *session.Session, p *region.Plan) Receive {
	q := d.FactoryParameters(p)
	if s != nil && s.Parameters != nil {
		known := s.Parameters
		q.RX1Delay, q.RX1DROffset, q.RX2DataRate = max(known.RX1Delay, 1), known.RX1DROffset, known.RX2DataRate
		if known.RX2Frequency != 0 {
			q.RX2Frequency = known.RX2Frequency
		}
	}
	r := Receive{
		Delay: time.Duration(q.RX1Delay) * time.Second, RX1DROffset: q.RX1DROffset,
		RX2: region.Window{Frequency: q.RX2Frequency, DataRate: q.RX2DataRate},
	}
	if s != nil && s.Parameters != nil && len(s.Parameters.Channels) > 0 {
		r.told = s.Parameters
	}
	if s == nil {
		r.Delay, r.RX1DROffset = p.Delays().JoinAccept1, 0
	}
	return r
}
