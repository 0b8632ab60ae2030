package event

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Decision is the record of how the receive windows of an uplink were used: the
// frame to send, every option with the reasons for and against it, and the result.
type Decision struct {
	Device   session.ID
	Uplink   radio.HostTime // arrival of the uplink
	UplinkAt time.Time      // Uplink as calendar time; the zero time where the calendar is not known
	FCntUp   uint32
	Join     bool
	Always   bool // no uplink: the device listens at all times

	Content  string // as text: "acknowledgement, 4 bytes on f_port 15"
	Size     int    // PHYPayload, bytes
	FCntDown uint32
	Options  []Option
	Blocked  []string      // gateways that have heard the uplink but cannot answer it, each with the reason
	Chosen   int           // index in Options, or -1
	Lead     time.Duration // how long before its start the frame was handed over
}

// Option is one way to answer an uplink.
type Option struct {
	Window    string // "RX1" or "RX2"
	Gateway   string
	Frequency radio.Frequency
	DataRate  radio.DataRate
	Delay     time.Duration // from the end of the uplink
	Airtime   time.Duration
	Priority  radio.Priority
	WithItem  bool // with the item of the application
	Verdict   schedule.Verdict
	Answer    radio.TxResult // with schedule.Refused: the answer of the gateway
	Fault     string         // with schedule.NoPath: the reason as text; "" where it is not known
}

// maxOptions bounds a Decision: 2 payloads, 2 windows, and some gateways.
const maxOptions = 64

// Consider records an option. It replaces the same option of an earlier call,
// unless that was tried.
func (d *Decision) Consider(o Option) {
	d.Options = slices.DeleteFunc(d.Options, func(p Option) bool {
		same := p.Window == o.Window && p.Gateway == o.Gateway && p.WithItem == o.WithItem
		return same && p.Verdict.Reason < schedule.NoPath
	})
	if len(d.Options) >= maxOptions {
		d.Options = slices.Delete(d.Options, 0, 1)
	}
	d.Options = append(d.Options, o)
}

// Last returns the option that was considered last.
func (d *Decision) Last() *Option { return &d.Options[len(d.Options)-1] }

// Choose records that a frame is sent by the last considered option.
func (d *Decision) Choose(content string, size int, fCntDown uint32) {
	d.Content, d.Size, d.FCntDown, d.Chosen = content, size, fCntDown, len(d.Options)-1
}

// HandOver records how long before its start the frame was handed over by the last
// considered option.
func (d *Decision) HandOver(lead time.Duration) {
	d.Chosen, d.Lead = len(d.Options)-1, lead
}

// Refuse records that the last considered option has failed, and the reason.
func (d *Decision) Refuse(why schedule.Reason, answer radio.TxResult, fault string) {
	o := d.Last()
	o.Verdict.Reason, o.Answer, o.Fault = why, answer, fault
	d.Chosen = -1
}

// Event returns an event with a copy of the decision as it is now.
func (d *Decision) Event(kind Kind, ids []string) Event {
	now := *d
	now.Options = slices.Clone(d.Options)
	e := Event{Kind: kind, Device: d.Device, FCnt: d.FCntDown, CorrelationIDs: ids, Decision: &now}
	if len(d.Options) > 0 {
		e.Gateway = d.Last().Gateway
	}
	return e
}

// Text returns the decision as plain text.
func (d *Decision) Text() string {
	var b strings.Builder
	switch {
	case d.Always && len(d.Options) > 0 && d.Last().Window == "PING":
		fmt.Fprintf(&b, "Class B, from %s on", ClockText(d.UplinkAt, d.Uplink))
	case d.Always:
		fmt.Fprintf(&b, "Class C, from %s on", ClockText(d.UplinkAt, d.Uplink))
	case d.Join:
		fmt.Fprintf(&b, "join-request heard %s", ClockText(d.UplinkAt, d.Uplink))
	default:
		fmt.Fprintf(&b, "uplink f_cnt %d heard %s", d.FCntUp, ClockText(d.UplinkAt, d.Uplink))
	}
	if d.Content != "" {
		fmt.Fprintf(&b, "; %s", d.Content)
	}
	for i := range d.Options {
		fmt.Fprintf(&b, "; %s", d.Options[i].Text())
		if i == d.Chosen {
			fmt.Fprintf(&b, "; chosen; handed to gateway %s %.2f s ahead", d.Options[i].Gateway, d.Lead.Seconds())
		}
	}
	for _, why := range d.Blocked {
		fmt.Fprintf(&b, "; %s", why)
	}
	if d.Chosen < 0 {
		b.WriteString("; nothing was sent")
	}
	return b.String()
}

// Text returns an option as text: "RX1 868.1 MHz SF7BW125 at +5s: 46ms of air,
// sub-band 868.0–868.6 MHz at 0.31 of 1 %".
func (o *Option) Text() string {
	var b strings.Builder
	airtime := o.Airtime.Round(time.Millisecond)
	when := fmt.Sprintf(" at +%v", o.Delay)
	if o.Window == "RXC" || o.Window == "PING" {
		when = ""
	}
	fmt.Fprintf(&b, "%s %v %v%s: %v of air", o.Window, o.Frequency, o.DataRate, when, airtime)
	if s := o.Verdict.SubBand; s.High != 0 && s.DutyCycle < 1000 {
		used := float64(o.Verdict.Used) / float64(time.Hour) * 100
		share := float64(s.DutyCycle) / 10
		fmt.Fprintf(&b, ", sub-band %s–%s MHz at %.2f of %v %%", s.Low.AppendMHz(nil), s.High.AppendMHz(nil), used, share)
		if o.Priority < radio.PriorityHighest {
			fmt.Fprintf(&b, " (priority %v may use %.2f)", o.Priority, float64(o.Verdict.Allowed)/float64(time.Hour)*100)
		}
	}
	if why := o.against(); why != "" {
		fmt.Fprintf(&b, ": %s", why)
	}
	return b.String()
}

// against returns the reason for not taking an option, as text. It returns "" for
// an option that is possible.
func (o *Option) against() string {
	v := &o.Verdict
	switch v.Reason {
	case schedule.None:
		return ""
	case schedule.Offline:
		return "gateway " + o.Gateway + " is not connected"
	case schedule.NoSubBand:
		return "nothing may be sent on this frequency"
	case schedule.DwellTime:
		return fmt.Sprintf("longer than the %v that the frequency plan allows", v.Limit)
	case schedule.TooLate:
		if v.Lead < 0 {
			return fmt.Sprintf("too late: its time had passed %v before", -v.Lead.Round(time.Millisecond))
		}
		return fmt.Sprintf("too late: its time was only %v ahead", v.Lead.Round(time.Millisecond))
	case schedule.Conflict:
		return "gateway " + o.Gateway + " sends something else then"
	case schedule.DutyCycle:
		return "the duty cycle is used up"
	case schedule.Size:
		return "too long for the data rate"
	case schedule.NoPath:
		text := "gateway " + o.Gateway + " cannot be reached"
		if o.Fault != "" {
			text += ": " + o.Fault
		}
		return text
	case schedule.Refused:
		text := "gateway " + o.Gateway + " refused it: " + o.Answer.String()
		if o.Answer == radio.TxChannelBusy {
			text += ", somebody else was on the channel"
		}
		return text
	case schedule.NoCounter:
		return "no frame counter is reserved, the store cannot be written"
	case schedule.NoLease:
		return "this machine has no lease, another one may have taken its place"
	}
	return v.Reason.String()
}

// ClockText returns the time of day or, where the calendar is not known, the time
// since the start.
func ClockText(t time.Time, host radio.HostTime) string {
	if t.IsZero() {
		return fmt.Sprintf("%.3f s after the start", time.Duration(host).Seconds())
	}
	return t.Format("15:04:05.000")
}
