package admin

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"lorawand/bridge"
)

// Status is the answer of "status".
type Status struct {
	Build
	PID               int     `json:"pid"`
	Uptime            float64 `json:"uptime_s"`
	Clock             string  `json:"clock"` // how far the calendar can be trusted: none, rtc, ntp or gnss
	Devices           int     `json:"devices"`
	APIKeys           int     `json:"api_keys"`
	Gateways          int     `json:"gateways"`
	GatewaysConnected int     `json:"gateways_connected"`
	Clients           int     `json:"mqtt_clients"`
	Sessions          int     `json:"mqtt_sessions"`

	Uplinks      uint64            `json:"uplinks"` // receptions, of all kinds
	Published    uint64            `json:"published"`
	Dropped      map[string]uint64 `json:"dropped"` // by reason
	Joins        uint64            `json:"joins"`
	JoinsRefused uint64            `json:"joins_refused"`

	StoreRecords int    `json:"store_records"`
	StoreWritten int64  `json:"store_written_bytes"`   // since the start
	StoreError   string `json:"store_error,omitempty"` // why it cannot be written now
	Wear
}

// Wear is what the store does to the flash that it lies on.
type Wear struct {
	Written   int64    `json:"flash_written_bytes"`              // whole pages, since the start
	PerUplink *float64 `json:"flash_bytes_per_uplink,omitempty"` // absent before the first that was published
	Endurance int64    `json:"endurance_bytes"`
	// YearsLeft is how long flash that is new would last if it went on like
	// that. Absent: too early to tell.
	YearsLeft *float64 `json:"years_left,omitempty"`
}

// DefaultEndurance is what 8 MB of NOR flash take, which small gateways have:
// each of its blocks can be erased 100 000 times. Bytes.
const DefaultEndurance = 800_000_000_000

// earliest is how long a daemon has to have run before its wear says something.
const earliest = 10 * time.Minute

// mostYears is told where hardly anything is written.
const mostYears = 1000

func wear(written int64, uplinks uint64, uptime time.Duration, endurance int64) Wear {
	w := Wear{Written: written, Endurance: endurance}
	if uplinks > 0 {
		each := float64(written) / float64(uplinks)
		w.PerUplink = &each
	}
	if uptime >= earliest {
		years := float64(mostYears)
		if written > 0 {
			years = min(years, float64(endurance)/float64(written)*uptime.Hours()/(365.25*24))
		}
		w.YearsLeft = &years
	}
	return w
}

// StatusArgs are the arguments of "status".
type StatusArgs struct {
	Endurance int64 `json:"endurance_bytes,omitempty"` // what the flash can take; 0: DefaultEndurance
}

func (a *Admin) status(ctx context.Context, args StatusArgs, r reply) error {
	if args.Endurance < 0 {
		return errors.New("endurance: less than nothing")
	}
	core, err := a.o.Bridge.Stats(ctx)
	if err != nil {
		return err
	}
	now := a.o.Bridge.Now()
	s := Status{
		Build: a.o.Build, PID: os.Getpid(), Uptime: time.Duration(now.Host).Round(time.Millisecond).Seconds(), Clock: now.Wall.Quality.String(),
		Devices: core.Devices, APIKeys: a.o.Keys.Len(), Gateways: core.Gateways, GatewaysConnected: core.Online,
		Uplinks: core.Uplinks, Published: core.Published, Dropped: dropped(&core.CoreStats), Joins: core.Joins, JoinsRefused: core.JoinsRefused,
	}
	stored := a.o.Store.Stats()
	s.StoreRecords, s.StoreWritten = stored.Records, stored.Written
	s.Wear = wear(stored.BytesWritten, core.Published, time.Duration(now.Host), cmp.Or(args.Endurance, DefaultEndurance))
	if b := a.o.Broker; b != nil {
		stats := b.Stats()
		s.Clients, s.Sessions = stats.Clients, stats.Sessions
	}
	if c := a.checkStore(); c.Err != nil {
		s.StoreError = c.Err.Error()
	}
	return r(s)
}

// dropped names the reasons for dropping frames; those that never came are
// left out.
func dropped(s *bridge.CoreStats) map[string]uint64 {
	out := map[string]uint64{}
	for reason, n := range s.Dropped {
		if n > 0 {
			out[bridge.DropReason(reason).String()] = n
		}
	}
	return out
}
