// Package airtime has the answers of "gateway.airtime": what gateways have sent.
package airtime

import (
	"time"

	"lorawand/bridge"
	"lorawand/bridge/schedule"
	"lorawand/radio"
)

// Args are the arguments of "gateway.airtime".
type Args struct {
	Gateway string `json:"gateway_id"` // "": all
	Proof   bool   `json:"proof"`      // with every hour and emission
}

// Part is a part of the answer: one of its members is set. After each gateway
// come its hours and emissions.
type Part struct {
	Gateway  *Gateway  `json:"gateway,omitempty"`
	Hour     *Hour     `json:"hour,omitempty"`
	Emission *Emission `json:"emission,omitempty"`
}

// Gateway is how much of its duty cycle a gateway has used.
type Gateway struct {
	ID       string  `json:"gateway_id"`
	Plan     string  `json:"frequency_plan_id"`
	Enforced bool    `json:"enforce_duty_cycle"`
	Dwell    float64 `json:"dwell_time_s,omitempty"` // longest transmission; absent: no limit
	SubBands []Band  `json:"sub_bands"`
}

// Band is how much of its duty cycle a gateway has used in a sub-band. Times
// on the air are in s.
type Band struct {
	Low     radio.Frequency `json:"low"`                // Hz
	High    radio.Frequency `json:"high"`               // Hz
	Allowed float64         `json:"allowed_s"`          // in any hour
	Used    float64         `json:"used_s"`             // in the last hour
	Worst   float64         `json:"worst_s"`            // in the fullest rolling hour that is known
	Ended   *time.Time      `json:"worst_at,omitempty"` // when that ended; absent where it is not known
}

// Hour is what a gateway has sent in an hour. Hours begin with the start of the
// daemon.
type Hour struct {
	Began    *time.Time   `json:"began,omitempty"` // absent where it is not known
	SubBands []BandInHour `json:"sub_bands"`
}

// BandInHour is what a gateway has sent in a sub-band in an hour.
type BandInHour struct {
	Low       radio.Frequency `json:"low"` // Hz
	Emissions uint32          `json:"emissions"`
	Airtime   float64         `json:"airtime_s"`
	Worst     float64         `json:"worst_s"`            // in the fullest rolling hour that ended in it
	Ended     *time.Time      `json:"worst_at,omitempty"` // when that ended
}

// Emission is one that began in the last hour, or is planned. One without a frequency
// stands for all that was sent in a sub-band before the start: nobody knows when, so
// that it counts as sent at the start.
type Emission struct {
	Start     int64           `json:"start_us"`   // of the host's clock
	Counter   int64           `json:"counter_us"` // the same, as the gateway's counter shows it
	Airtime   int64           `json:"airtime_us"`
	Age       float64         `json:"age_s"`    // since its begin
	SubBand   radio.Frequency `json:"sub_band"` // its lower edge, Hz
	Frequency radio.Frequency `json:"frequency,omitempty"`
	Priority  string          `json:"priority,omitempty"`
	Device    string          `json:"device,omitempty"` // application/device
	Window    string          `json:"window,omitempty"`
	What      string          `json:"what"`
}

// Parts calls f for the parts of an answer about a gateway: with proof, each hour and
// emission too.
func Parts(g *bridge.GatewayAirtime, proof bool, now radio.HostTime, f func(any) error) error {
	if err := f(Part{Gateway: gatewayOf(g)}); err != nil || !proof {
		return err
	}
	for i := range g.Hours {
		if err := f(Part{Hour: hourOf(g.Hours[i].Began, g.Hours[i].Bands)}); err != nil {
			return err
		}
	}
	for i := range g.Sent {
		if err := f(Part{Emission: emissionOf(&g.Sent[i], now)}); err != nil {
			return err
		}
	}
	return nil
}

func gatewayOf(g *bridge.GatewayAirtime) *Gateway {
	out := &Gateway{
		ID: g.ID, Plan: g.Plan.ID(), Enforced: g.EnforceDutyCycle, Dwell: radio.Seconds(g.Plan.DwellTime()),
		SubBands: []Band{},
	}
	worst := map[radio.Frequency]BandInHour{}
	for i := range g.Hours {
		for _, b := range hourOf(g.Hours[i].Began, g.Hours[i].Bands).SubBands {
			if b.Worst > worst[b.Low].Worst {
				worst[b.Low] = b
			}
		}
	}
	used := map[radio.Frequency]time.Duration{}
	for _, u := range g.Usage {
		used[u.SubBand.Low] = u.Used
		if _, sent := worst[u.SubBand.Low]; !sent {
			worst[u.SubBand.Low] = BandInHour{} // it is listed all the same
		}
	}
	for _, low := range schedule.Bands(worst) {
		sub, err := g.Plan.SubBand(low)
		if err != nil {
			continue // of the plan that the gateway had before
		}
		out.SubBands = append(out.SubBands, Band{
			Low: sub.Low, High: sub.High, Allowed: radio.Seconds(time.Hour / 1000 * time.Duration(sub.DutyCycle)),
			Used: radio.Seconds(used[low]), Worst: worst[low].Worst, Ended: worst[low].Ended,
		})
	}
	return out
}

// hourOf is an hour that began at a time; zero: nobody knows.
func hourOf(began time.Time, bands []schedule.BandHour) *Hour {
	out := &Hour{SubBands: []BandInHour{}}
	if !began.IsZero() {
		began = began.UTC().Truncate(time.Second)
		out.Began = &began
	}
	for i := range bands {
		b := &bands[i]
		in := BandInHour{Low: b.Low, Emissions: b.Emissions, Airtime: radio.Seconds(b.Airtime), Worst: radio.Seconds(b.Worst)}
		if out.Began != nil {
			at := began.Add(time.Duration(b.WorstAt) % time.Hour).Truncate(time.Second)
			in.Ended = &at
		}
		out.SubBands = append(out.SubBands, in)
	}
	return out
}

func emissionOf(s *schedule.Sent, now radio.HostTime) *Emission {
	out := &Emission{
		Start: time.Duration(s.Start).Microseconds(), Counter: int64(s.Counter), Airtime: s.Airtime.Microseconds(),
		Age: radio.Seconds(now.Sub(s.Start).Round(time.Millisecond)), SubBand: s.SubBand, Frequency: s.Frequency,
		Device: s.Why.Device, Window: s.Why.Window, What: s.Why.What.String(),
	}
	if s.Frequency != 0 {
		out.Priority = s.Priority.String()
	}
	return out
}
