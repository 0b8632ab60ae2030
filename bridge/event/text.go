package event

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// errFollowers is the reason for refusing a follower when there are too many.
var errFollowers = errors.New("bridge: too many clients follow the events already")

// Text returns the event as one line.
func (e *Event) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", ClockText(e.At, e.Host), e.Kind)
	if e.Kind == UplinkDropped {
		fmt.Fprintf(&b, " (%v)", e.Reason)
	} else if e.Word != "" {
		fmt.Fprintf(&b, " (%s)", e.Word)
	}
	if e.Device != (session.ID{}) {
		fmt.Fprintf(&b, "  %v", e.Device)
	}
	if e.HasEUIs {
		fmt.Fprintf(&b, "  DevEUI %v JoinEUI %v", e.DevEUI, e.JoinEUI)
	}
	if e.HasDevAddr {
		fmt.Fprintf(&b, "  DevAddr %v", e.DevAddr)
	}
	if e.FCnt != 0 {
		fmt.Fprintf(&b, "  f_cnt %d", e.FCnt)
	}
	if e.Gateway != "" {
		fmt.Fprintf(&b, "  gateway %s", e.Gateway)
	}
	e.Client.appendText(&b)
	told := e.Kind == GatewayDropped || e.Kind == PageLoggedIn || e.Client != (Client{})
	if e.Kind == GatewayRefused || told && e.Address != "" {
		fmt.Fprintf(&b, "  at %s", e.Address)
	}
	for _, part := range []string{errText(e.Err), e.Hint} {
		if part != "" {
			fmt.Fprintf(&b, "  %s;", part)
		}
	}
	if e.Decision != nil {
		fmt.Fprintf(&b, "  %s", e.Decision.Text())
	}
	return strings.TrimSuffix(b.String(), ";")
}

func (c *Client) appendText(b *strings.Builder) {
	for _, part := range [...]struct{ name, text string }{
		{"application", c.Application}, {"client", c.ID}, {"topic", c.Topic},
	} {
		if part.text != "" {
			fmt.Fprintf(b, "  %s %s", part.name, part.text)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Why explains in plain words what became of a downlink. From the events about it,
// it says when the downlink was pushed, what was decided after each uplink, and how
// it ended.
func Why(events []Event) string {
	var parts []string
	var decision *Decision
	add := func() {
		if decision != nil {
			parts = append(parts, decision.Text())
			decision = nil
		}
	}
	for i := range events {
		e := &events[i]
		if e.Decision != nil {
			// A later decision about the same uplink repeats the earlier refusals.
			if decision != nil && decision.Uplink != e.Decision.Uplink {
				add()
			}
			decision = e.Decision
			continue
		}
		add()
		switch e.Kind {
		case DownlinkQueued:
			parts = append(parts, "pushed "+ClockText(e.At, e.Host))
		case DownlinkSent:
			parts = append(parts, "sent")
		case DownlinkAcked:
			parts = append(parts, "acknowledged by the device "+ClockText(e.At, e.Host))
		case DownlinkNacked:
			parts = append(parts, "not acknowledged by the device "+ClockText(e.At, e.Host))
		case DownlinkFailed:
			parts = append(parts, "failed: "+errText(e.Err))
		case JoinAccepted:
			parts = append(parts, fmt.Sprintf("joined with DevAddr %v", e.DevAddr))
		}
	}
	add()
	return strings.Join(parts, "; ")
}

// eventJSON is the JSON form of an event.
type eventJSON struct {
	Time           *time.Time    `json:"time,omitempty"`
	Uptime         float64       `json:"uptime_s"`
	Kind           string        `json:"kind"`
	Reason         string        `json:"reason,omitempty"`
	Application    string        `json:"application_id,omitempty"`
	Device         string        `json:"device_id,omitempty"`
	DevEUI         *radio.EUI64  `json:"dev_eui,omitempty"`
	JoinEUI        *radio.EUI64  `json:"join_eui,omitempty"`
	DevAddr        string        `json:"dev_addr,omitempty"`
	Gateway        string        `json:"gateway_id,omitempty"`
	GatewayEUI     *radio.EUI64  `json:"gateway_eui,omitempty"`
	Address        string        `json:"address,omitempty"`
	FCnt           uint32        `json:"f_cnt,omitempty"`
	Client         string        `json:"client_id,omitempty"`
	Topic          string        `json:"topic,omitempty"`
	Error          string        `json:"error,omitempty"`
	Hint           string        `json:"hint,omitempty"`
	CorrelationIDs []string      `json:"correlation_ids,omitempty"`
	Decision       *decisionJSON `json:"decision,omitempty"`
}

type decisionJSON struct {
	UplinkFCnt uint32       `json:"uplink_f_cnt"`
	UplinkTime *time.Time   `json:"uplink_time,omitempty"`
	Join       bool         `json:"join,omitempty"`
	Content    string       `json:"content,omitempty"`
	Size       int          `json:"size,omitempty"`
	FCntDown   uint32       `json:"f_cnt_down,omitempty"`
	Options    []optionJSON `json:"options"`
	Blocked    []string     `json:"blocked,omitempty"`
	Chosen     *int         `json:"chosen,omitempty"`
	Lead       float64      `json:"lead_s,omitempty"`
}

type optionJSON struct {
	Window    string          `json:"window"`
	Gateway   string          `json:"gateway_id"`
	Frequency radio.Frequency `json:"frequency"`
	DataRate  string          `json:"data_rate"`
	Delay     float64         `json:"delay_s"`
	Airtime   float64         `json:"airtime_s"`
	Priority  string          `json:"priority"`
	WithItem  bool            `json:"whole"`
	Reason    string          `json:"reason,omitempty"`
	Answer    string          `json:"answer,omitempty"`
	Fault     string          `json:"fault,omitempty"`
	Lead      float64         `json:"lead_s"`
	SubBand   [2]uint32       `json:"sub_band"`
	DutyCycle float64         `json:"duty_cycle"`
	Used      float64         `json:"used_s"`
	Allowed   float64         `json:"allowed_s,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (e Event) MarshalJSON() ([]byte, error) {
	j := eventJSON{
		Time: timePointer(e.At), Uptime: radio.Seconds(time.Duration(e.Host)), Kind: e.Kind.Word(), Reason: e.Word,
		Client: e.Client.ID, Topic: e.Client.Topic,
		Application: cmp.Or(e.Device.Application, e.Client.Application), Device: e.Device.Device,
		Gateway: e.Gateway, Address: e.Address, FCnt: e.FCnt,
		Error: errText(e.Err), Hint: e.Hint, CorrelationIDs: e.CorrelationIDs,
	}
	if e.Kind == UplinkDropped {
		j.Reason = e.Reason.String()
	}
	if e.HasEUIs {
		j.DevEUI, j.JoinEUI = &e.DevEUI, &e.JoinEUI
	}
	if e.Kind == GatewayRefused || !e.GatewayEUI.IsZero() {
		j.GatewayEUI = &e.GatewayEUI
	}
	if e.HasDevAddr {
		j.DevAddr = e.DevAddr.String()
	}
	if e.Decision != nil {
		j.Decision = e.Decision.json()
	}
	return json.Marshal(j)
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (d *Decision) json() *decisionJSON {
	j := &decisionJSON{
		UplinkFCnt: d.FCntUp, UplinkTime: timePointer(d.UplinkAt), Join: d.Join, Content: d.Content, Size: d.Size,
		FCntDown: d.FCntDown, Options: []optionJSON{}, Blocked: d.Blocked, Lead: radio.Seconds(d.Lead),
	}
	if d.Chosen >= 0 {
		j.Chosen = &d.Chosen
	}
	for i := range d.Options {
		o := &d.Options[i]
		v := &o.Verdict
		out := optionJSON{
			Window: o.Window, Gateway: o.Gateway, Frequency: o.Frequency, DataRate: o.DataRate.String(),
			Delay: radio.Seconds(o.Delay), Airtime: radio.Seconds(o.Airtime), Priority: o.Priority.String(),
			WithItem: o.WithItem, Reason: v.Reason.String(), Lead: radio.Seconds(v.Lead),
			SubBand: [2]uint32{uint32(v.SubBand.Low), uint32(v.SubBand.High)}, DutyCycle: float64(v.SubBand.DutyCycle) / 1000,
			Used: radio.Seconds(v.Used), Allowed: radio.Seconds(v.Allowed), Fault: o.Fault,
		}
		if v.Reason == schedule.Refused {
			out.Answer = o.Answer.String()
		}
		j.Options = append(j.Options, out)
	}
	return j
}
