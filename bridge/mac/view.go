package mac

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

// View is what people are shown of a device's MAC layer.
type View struct {
	Application string `json:"application_id"`
	Device      string `json:"device_id"`

	// Of the last uplinks at the data rate at hand, since the start. DataRate is "" where
	// none was heard.
	DataRate string `json:"data_rate,omitempty"`
	SNR      string `json:"snr,omitempty"` // dB, the best
	Uplinks  int    `json:"uplinks,omitempty"`
	Lost     uint32 `json:"lost,omitempty"` // of Of
	Of       uint32 `json:"of,omitempty"`

	Power   string   `json:"power,omitempty"`   // that the device is known to send with
	Current []string `json:"current,omitempty"` // what the device is known to use
	Wanted  []string `json:"wanted,omitempty"`  // requests that would bring about what is wanted
	Pending []string `json:"pending,omitempty"` // requests that are not answered
	Refused []string `json:"refused,omitempty"`
	ADR     string   `json:"adr,omitempty"`
	Status  string   `json:"status,omitempty"` // that the device has told
}

// Show returns what people are shown of a device. rx1Delay is the network's, in s.
func Show(d *session.Device, rx1Delay uint8, at time.Time) View {
	v := View{Application: d.ID.Application, Device: d.ID.Device}
	s := d.Session
	plan, err := d.PlanIn(s)
	if s == nil || err != nil {
		return v
	}
	now := Current(d, s, plan)
	if heard := d.History.Link(); heard.Heard > 0 {
		v.DataRate, v.SNR, v.Uplinks = d.History.Rate().String(), heard.Best.String(), heard.Heard
		v.Lost, v.Of = heard.Lost, heard.Of
	}
	v.Power = powerWords(plan, now.ADRTXPower)
	v.Current = currentWords(d, s, plan, &now)
	v.ADR = adrWords(d, s, plan)
	what := d.Clone() // asking notes what it finds
	what.History = d.History
	a := asking{
		UplinkContext: UplinkContext{
			Device: what, Session: what.Session, Plan: plan, FCnt: s.FCntUp, Rate: d.History.Rate(), RX1Delay: rx1Delay, At: at,
		},
		now: now, wish: d.Wish(s), adr: d.History.ADR,
	}
	if a.dataRate, err = plan.UplinkDataRate(a.Rate); err != nil {
		a.dataRate, a.adr = now.ADRDataRate, false
	}
	a.all()
	for _, c := range a.wanted {
		if !s.MAC.HasRefused(c) {
			v.Wanted = append(v.Wanted, Words(c))
		}
	}
	if m := s.MAC; m != nil {
		for i := range m.Asked {
			v.Pending = append(v.Pending, pendingWords(&m.Asked[i]))
		}
		for _, c := range m.Refused {
			v.Refused = append(v.Refused, Words(c))
		}
		v.Status = statusWords(m.Status)
	}
	return v
}

func powerWords(p *region.Plan, index uint8) string {
	below, ok := p.TXPower(index)
	if !ok {
		return fmt.Sprintf("index %d", index)
	}
	return fmt.Sprintf("index %d, %v dBm", index, p.DeviceMaxEIRP()-below)
}

// rateWords names a data rate: "SF7BW125", or "DR9" where the plan has none.
func rateWords(p *region.Plan, index uint8) string {
	if r, err := p.DataRate(index); err == nil {
		return r.String()
	}
	return fmt.Sprintf("DR%d", index)
}

func currentWords(d *session.Device, s *session.Session, p *region.Plan, now *session.Parameters) []string {
	out := []string{
		fmt.Sprintf("RX1 after %d s, data rate offset %d", now.RX1Delay, now.RX1DROffset),
		fmt.Sprintf("RX2 %v %s", now.RX2Frequency, rateWords(p, now.RX2DataRate)),
	}
	if m := s.MAC; m != nil && m.LinkADR {
		out = append(out, fmt.Sprintf("%s, power %s, NbTrans %d, by LinkADRReq",
			rateWords(p, now.ADRDataRate), powerWords(p, now.ADRTXPower), max(now.ADRNbTrans, 1)))
	}
	if n := now.MaxDutyCycle; n != nil && *n > 0 {
		out = append(out, fmt.Sprintf("duty cycle 1/%d", 1<<(*n&0x0f)))
	}
	if p.FixedChannels() {
		used, _ := usedMask(d, s, p)
		return append(out, "channels "+maskWords(used, p))
	}
	var list []string
	for i, c := range channels(d, s, p, nil) {
		if !c.Enabled {
			continue
		}
		text := fmt.Sprintf("%d: %s", i, c.UplinkFrequency.AppendMHz(nil))
		if c.DownlinkFrequency != c.UplinkFrequency && c.DownlinkFrequency != 0 {
			text += fmt.Sprintf(" (RX1 %s)", c.DownlinkFrequency.AppendMHz(nil))
		}
		list = append(list, text)
	}
	return append(out, "channels "+strings.Join(list, ", ")+" MHz")
}

// maskWords names channels by number: "8 to 15, 65".
func maskWords(m region.ChannelMask, p *region.Plan) string {
	var list []string
	for n, all := 0, p.MaxChannels(); n < all; n++ {
		first := n
		for n < all && m.Has(n) {
			n++
		}
		switch {
		case n > first+1:
			list = append(list, fmt.Sprintf("%d to %d", first, n-1))
		case n > first:
			list = append(list, strconv.Itoa(first))
		}
	}
	return strings.Join(list, ", ")
}

func pendingWords(r *macstate.Request) string {
	text := fmt.Sprintf("%s, sent %d of %d times, the last after uplink %d", Words(r.Command), r.Tries, macstate.MaxTries,
		r.FCntUp)
	if r.Rests() {
		text += "; not asked again until something else is wanted"
	}
	return text
}

// adrWords says what ADR has asked for last, and why.
func adrWords(d *session.Device, s *session.Session, p *region.Plan) string {
	switch set := &d.Settings.MAC.ADR; {
	case set.Disabled:
		return "off, by the device's settings"
	case s.MAC == nil || s.MAC.Decision == nil:
		if d.History.Link().Heard > 0 && !d.History.ADR {
			return "nothing asked: the device does not let the network decide (no ADR bit)"
		}
		return "nothing asked"
	}
	x := s.MAC.Decision
	result := fmt.Sprintf("%s, power index %d, NbTrans %d", rateWords(p, x.DataRate), x.Power, x.NbTrans)
	if x.Static {
		return fmt.Sprintf("after uplink %d: as the device's settings lay it down: %s", x.FCntUp, result)
	}
	floor := radio.Decibel(0)
	if r, err := p.DataRate(x.From); err == nil {
		floor, _ = Floor(r)
	}
	text := fmt.Sprintf("after uplink %d: SNR %v dB at %s, %d uplinks, needs %v + %v dB", x.FCntUp, x.SNR,
		rateWords(p, x.From), x.Heard, floor, x.Margin)
	if x.Lost > 0 {
		text += fmt.Sprintf(", %d of %d lost", x.Lost, x.Of)
	}
	return text + ": " + result
}

func statusWords(s *macstate.Status) string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("battery %d %%", (int(s.Battery)-1)*100/253)
	switch s.Battery {
	case 0:
		text = "external power"
	case 255:
		text = "battery not known"
	}
	text += fmt.Sprintf(", margin %d dB, with uplink %d", s.Margin, s.FCntUp)
	if !s.At.IsZero() {
		text += ", " + s.At.UTC().Format(time.DateTime) + " UTC"
	}
	return text
}
