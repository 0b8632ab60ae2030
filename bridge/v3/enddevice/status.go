package enddevice

import (
	"time"

	"lorawand/bridge/session"
)

// statusJSON is what a device has told of itself with DevStatusAns.
type statusJSON struct {
	At         string   `json:"last_dev_status_received_at,omitempty"`
	PowerState string   `json:"power_state,omitempty"`
	Battery    *float32 `json:"battery_percentage,omitempty"` // 0 to 1
	Margin     *int8    `json:"downlink_margin,omitempty"`    // dB
}

func statusOf(s *session.Session) (j statusJSON) {
	if s == nil || s.MAC == nil || s.MAC.Status == nil {
		return j
	}
	status := s.MAC.Status
	if !status.At.IsZero() {
		j.At = status.At.UTC().Format(time.RFC3339Nano)
	}
	j.Margin = &status.Margin
	switch b := status.Battery; b {
	case 0:
		j.PowerState = "POWER_EXTERNAL"
	case 255:
		j.PowerState = "POWER_UNKNOWN"
	default:
		share := float32(b-1) / 253
		j.PowerState, j.Battery = "POWER_BATTERY", &share
	}
	return j
}
