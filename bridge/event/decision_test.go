package event

import (
	"testing"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/radio"
)

// Why an option was not taken is told in words.
func TestAgainst(t *testing.T) {
	for want, o := range map[string]Option{
		"too late: its time had passed 6.556s before": {
			Verdict: schedule.Verdict{Reason: schedule.TooLate, Lead: -6556 * time.Millisecond},
		},
		"too late: its time was only 50ms ahead": {
			Verdict: schedule.Verdict{Reason: schedule.TooLate, Lead: 50 * time.Millisecond},
		},
		"gateway gw-a refused it: CHANNEL_BUSY, somebody else was on the channel": {
			Verdict: schedule.Verdict{Reason: schedule.Refused}, Answer: radio.TxChannelBusy,
		},
		"gateway gw-a refused it: COLLISION_PACKET": {
			Verdict: schedule.Verdict{Reason: schedule.Refused}, Answer: radio.TxCollisionPacket,
		},
		"gateway gw-a cannot be reached": {
			Verdict: schedule.Verdict{Reason: schedule.NoPath},
		},
		"gateway gw-a cannot be reached: it has sent no PULL_DATA yet": {
			Verdict: schedule.Verdict{Reason: schedule.NoPath}, Fault: "it has sent no PULL_DATA yet",
		},
	} {
		o.Gateway = "gw-a"
		if got := o.against(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
