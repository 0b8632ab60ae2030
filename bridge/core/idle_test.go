package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
)

// Windows in which nothing is to be sent wake nobody. They are over all the same when their time has
// passed: what is pushed behind them waits for the next ones, and before RX2 it still takes that.
func TestIdleWindows(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // from the uplink to the push
		want  []string
	}{
		{"in front of the decision point of RX1", 4849 * ms, []string{"gw-a " + rx1 + ", 150ms ahead: #1 15:one"}},
		{"behind it", 4851 * ms, []string{"gw-a " + rx2 + ", 150ms ahead: #1 15:one"}},
		{"in front of that of RX2", 5849 * ms, []string{"gw-a " + rx2 + ", 150ms ahead: #1 15:one"}},
		{"behind that of RX2", 5851 * ms, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.answering(gwA)
			s.online(gwA)
			heard := s.now.Host
			s.hear(gwA, s.phy("dev1", 0, payload("x")))
			fired := 0
			for s.arm != 0 && s.arm <= heard.Add(tt.after) {
				fired++
				s.wait(s.arm.Sub(s.now.Host))
			}
			if fired > 0 {
				t.Errorf("woken %d times", fired)
			}
			s.wait(heard.Add(tt.after).Sub(s.now.Host))
			s.push("dev1", item("one"))
			s.wait(time.Minute)
			s.downs(tt.want...)
			if n := s.count(event.DownlinkUnsent); n != 0 || len(s.c.opportunities) != 0 {
				t.Errorf("told %d times that nothing was sent; %d windows are open", n, len(s.c.opportunities))
			}
		})
	}
}
