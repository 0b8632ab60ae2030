package admin

import (
	"context"
	"fmt"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/schedule"
	"lorawand/radio"
)

// AirtimeArgs are the arguments of "gateway.airtime".
type AirtimeArgs struct {
	Gateway string `json:"gateway_id"` // "": all
	Proof   bool   `json:"proof"`      // with every hour and emission
}

// Airtime is a part of the answer: one of its members is set. After each gateway
// come its hours and emissions.
type Airtime struct {
	Gateway  *GatewayAirtime `json:"gateway,omitempty"`
	Hour     *HourAirtime    `json:"hour,omitempty"`
	Emission *Emission       `json:"emission,omitempty"`
}

// GatewayAirtime is how much of its duty cycle a gateway has used.
type GatewayAirtime struct {
	ID       string        `json:"gateway_id"`
	Plan     string        `json:"frequency_plan_id"`
	Enforced bool          `json:"enforce_duty_cycle"`
	Dwell    float64       `json:"dwell_time_s,omitempty"` // longest transmission; absent: no limit
	SubBands []BandAirtime `json:"sub_bands"`
}

// BandAirtime is how much of its duty cycle a gateway has used in a sub-band. Times
// on the air are in s.
type BandAirtime struct {
	Low     radio.Frequency `json:"low"`                // Hz
	High    radio.Frequency `json:"high"`               // Hz
	Allowed float64         `json:"allowed_s"`          // in any hour
	Used    float64         `json:"used_s"`             // in the last hour
	Worst   float64         `json:"worst_s"`            // in the fullest rolling hour that is known
	Ended   *time.Time      `json:"worst_at,omitempty"` // when that ended; absent where it is not known
}

// HourAirtime is what a gateway has sent in an hour. Hours begin with the start of the
// daemon.
type HourAirtime struct {
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

// airtime answers with what gateways have sent.
func (a *Admin) airtime(ctx context.Context, args AirtimeArgs, r reply) error {
	found := false
	now := a.o.Bridge.Now().Host
	err := a.o.Bridge.Airtime(ctx, args.Gateway, func(g *bridge.GatewayAirtime) error {
		found = true
		if err := r(Airtime{Gateway: gatewayAirtime(g)}); err != nil || !args.Proof {
			return err
		}
		for i := range g.Hours {
			if err := r(Airtime{Hour: hourAirtime(g.Hours[i].Began, g.Hours[i].Bands)}); err != nil {
				return err
			}
		}
		for i := range g.Sent {
			if err := r(Airtime{Emission: emissionOf(&g.Sent[i], now)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !found && args.Gateway != "" {
		err = fmt.Errorf("gateway %.40q: no such gateway", args.Gateway)
	}
	return err
}

func gatewayAirtime(g *bridge.GatewayAirtime) *GatewayAirtime {
	out := &GatewayAirtime{
		ID: g.ID, Plan: g.Plan.ID(), Enforced: g.EnforceDutyCycle, Dwell: g.Plan.DwellTime().Seconds(),
		SubBands: []BandAirtime{},
	}
	worst := map[radio.Frequency]BandInHour{}
	for i := range g.Hours {
		for _, b := range hourAirtime(g.Hours[i].Began, g.Hours[i].Bands).SubBands {
			if b.Worst > worst[b.Low].Worst {
				worst[b.Low] = b
			}
		}
	}
	used := map[radio.Frequency]time.Duration{}
	for _, u := range g.Usage {
		used[u.SubBand.Low] = u.Used
		worst[u.SubBand.Low] = worst[u.SubBand.Low] // at least zero
	}
	for _, low := range schedule.Bands(worst) {
		sub, err := g.Plan.SubBand(low)
		if err != nil {
			continue // of the plan that the gateway had before
		}
		out.SubBands = append(out.SubBands, BandAirtime{
			Low: sub.Low, High: sub.High, Allowed: (time.Hour / 1000 * time.Duration(sub.DutyCycle)).Seconds(),
			Used: used[low].Seconds(), Worst: worst[low].Worst, Ended: worst[low].Ended,
		})
	}
	return out
}

// hourAirtime is an hour that began at a time; zero: nobody knows.
func hourAirtime(began time.Time, bands []schedule.BandHour) *HourAirtime {
	out := &HourAirtime{SubBands: []BandInHour{}}
	if !began.IsZero() {
		began = began.UTC().Truncate(time.Second)
		out.Began = &began
	}
	for i := range bands {
		b := &bands[i]
		in := BandInHour{Low: b.Low, Emissions: b.Emissions, Airtime: b.Airtime.Seconds(), Worst: b.Worst.Seconds()}
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
		Age: now.Sub(s.Start).Round(time.Millisecond).Seconds(), SubBand: s.SubBand, Frequency: s.Frequency,
		Device: s.Why.Device, Window: s.Why.Window, What: s.Why.What.String(),
	}
	if s.Frequency != 0 {
		out.Priority = s.Priority.String()
	}
	return out
}
