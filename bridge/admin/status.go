package admin

import (
	"cmp"
	"context"
	"os"
	"time"

	"lorawand/bridge/event"
	"lorawand/radio"
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

	StoreWritten int64    `json:"store_written_bytes"` // since the start
	FlashWritten int64    `json:"flash_written_bytes"` // the same, in whole pages of 4 KiB
	FlashUplinks int64    `json:"flash_written_for_uplinks_bytes"`
	FlashPushes  int64    `json:"flash_written_for_pushes_bytes"`
	Pushes       uint64   `json:"pushes"`                 // downlinks that were pushed
	StoreDamage  []string `json:"store_damage,omitempty"` // what could not be read at the start
	StoreError   string   `json:"store_error,omitempty"`  // why it cannot be written now
}

func (a *Admin) status(ctx context.Context, _ struct{}, r reply) error {
	core, err := a.o.Bridge.Stats(ctx)
	if err != nil {
		return err
	}
	now := a.o.Bridge.Now()
	s := Status{
		Build: a.o.Build, PID: os.Getpid(), Clock: now.Wall.Quality.String(),
		Uptime:  radio.Seconds(time.Duration(now.Host).Round(time.Millisecond)),
		Devices: core.Devices, APIKeys: a.o.Keys.Len(), Gateways: core.Gateways, GatewaysConnected: core.Online,
		Uplinks: core.Uplinks, Published: core.Published, Dropped: dropped(&core.Stats),
		Joins: core.Joins, JoinsRefused: core.JoinsRefused,
	}
	st := a.o.Store.Stats()
	s.StoreWritten, s.FlashWritten, s.StoreDamage = st.Written, st.BytesWritten, st.Damage
	s.FlashUplinks, s.FlashPushes, s.Pushes = core.Wear.Uplinks, core.Wear.Pushes, core.Events[event.DownlinkQueued]
	if b := a.o.Broker; b != nil {
		stats := b.Stats()
		s.Clients, s.Sessions = stats.Clients, stats.Sessions
	}
	if err := a.storeError(); err != nil {
		s.StoreError = err.Error()
	}
	return r(s)
}

// dropped names the reasons for dropping frames; those that never came are
// left out.
func dropped(s *event.Stats) map[string]uint64 {
	out := map[string]uint64{}
	for reason, n := range s.Dropped {
		if n > 0 {
			out[event.DropReason(reason).String()] = n
		}
	}
	return out
}

// storeError is why the store cannot be written now, or nil.
func (a *Admin) storeError() error {
	return cmp.Or(a.o.Bridge.StoreError(), a.o.Store.Health())
}
