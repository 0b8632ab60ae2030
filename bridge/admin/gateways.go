package admin

import (
	"context"
	"time"

	"lorawand/bridge"
	"lorawand/radio"
)

// Gateway is what "gateway.list" tells of a gateway. Times are ages in s, so that
// they need no calendar; a time is absent if its event has not happened since the
// start.
type Gateway struct {
	ID         string      `json:"gateway_id"`
	EUI        radio.EUI64 `json:"eui"`
	Plan       string      `json:"frequency_plan_id"`
	Connected  bool        `json:"connected"`
	Since      *float64    `json:"since_s,omitempty"` // connected, or not any more
	Address    string      `json:"address,omitempty"`
	Fault      string      `json:"fault,omitempty"` // why it does not work
	LastUplink *float64    `json:"last_uplink_s,omitempty"`
	LastPull   *float64    `json:"last_pull_data_s,omitempty"`
	LastTxAck  *float64    `json:"last_tx_ack_s,omitempty"`
	// Confirmed says that the gateway answers downlinks. If a gateway never does,
	// nobody knows whether it has sent them.
	Confirmed bool    `json:"confirmed"`
	RoundTrip float64 `json:"round_trip_s,omitempty"` // 90th percentile
	Lead      float64 `json:"lead_s"`                 // how early downlinks are handed over
	// Clock is what keeps the calendar of a gateway on this host right: gnss, ntp, rtc
	// (nothing) or none (not set); that of others is not known. ClockError is how far it is
	// off at most.
	Clock      string  `json:"clock,omitempty"`
	ClockError float64 `json:"clock_error_s,omitempty"`
	// GPS says that the gateway tells GPS time, by which Class B works, and GNSS what keeps a
	// satellite receiver on this host from telling it.
	GPS  bool   `json:"gps_time,omitempty"`
	GNSS string `json:"gnss_fault,omitempty"`

	SubBands []SubBandUsage `json:"sub_bands"` // those that something was sent in
}

// SubBandUsage is the duty cycle of the last hour.
type SubBandUsage struct {
	Low     radio.Frequency `json:"low"`     // Hz
	High    radio.Frequency `json:"high"`    // Hz
	Used    float64         `json:"used"`    // share of the hour
	Allowed float64         `json:"allowed"` // share of the hour; 1: no limit
}

// gateways answers with every Gateway, sorted by id.
func (a *Admin) gateways(ctx context.Context, _ struct{}, r reply) error {
	states, err := a.o.Bridge.Gateways(ctx)
	if err != nil {
		return err
	}
	present := a.o.Bridge.Now()
	links, receivers, now, calendar := a.o.Links(), a.o.GNSS(), present.Host, present.Wall
	for i := range states {
		g := gatewayOf(&states[i], now)
		if states[i].Local {
			g.Clock, g.ClockError = calendar.Quality.String(), radio.Seconds(a.o.Bridge.ClockError())
		}
		g.GNSS = receivers[g.EUI]
		if l, ok := links[g.EUI]; ok {
			g.LastPull = ago(now, l.Pulled)
		}
		if err := r(g); err != nil {
			return err
		}
	}
	return nil
}

func gatewayOf(s *bridge.GatewayState, now radio.HostTime) Gateway {
	g := Gateway{
		ID: s.ID, EUI: s.EUI, Plan: s.Plan.ID(), Connected: s.Online, Since: ago(now, s.Since),
		Address: s.Address, Fault: s.Fault,
		LastUplink: ago(now, s.LastUplink), LastTxAck: ago(now, s.LastAck), Confirmed: s.Answers,
		RoundTrip: radio.Seconds(s.Trip), Lead: radio.Seconds(s.Lead), GPS: s.HasClock && s.GPS != 0,
		SubBands: []SubBandUsage{},
	}
	for _, u := range s.Usage {
		g.SubBands = append(g.SubBands, SubBandUsage{
			Low: u.SubBand.Low, High: u.SubBand.High,
			Used: u.Used.Hours(), Allowed: float64(u.SubBand.DutyCycle) / 1000,
		})
	}
	return g
}

// ago returns the age of a time in s, rounded to ms; nil for the zero time.
func ago(now, t radio.HostTime) *float64 {
	if t == 0 {
		return nil
	}
	s := radio.Seconds(max(now.Sub(t), 0).Round(time.Millisecond))
	return &s
}
