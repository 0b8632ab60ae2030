package bridge

import (
	"log/slog"
	"testing"

	"lorawand/bridge/session"
)

// Whoever sends forged join-requests or frames cannot wash a decision away.
func TestStrangersDoNotWashDecisionsAway(t *testing.T) {
	l := newEventLog(slog.New(slog.DiscardHandler))
	dev := session.ID{Application: "app1", Device: "dev1"}
	l.write(&Event{Kind: DownlinkSent, Device: dev, CorrelationIDs: []string{"mine"}})
	for range 2 * keptDecisions {
		l.write(&Event{Kind: JoinRefused, Device: dev, Word: string(JoinWrongKey)})
		l.write(&Event{Kind: JoinRefused, Word: string(JoinUnknownDevEUI)})
		l.write(&Event{Kind: UplinkDropped, Reason: DropMIC})
	}
	if got := l.About("mine"); len(got) != 1 || got[0].Kind != DownlinkSent {
		t.Errorf("remembered %+v", got)
	}
	if n := len(l.Recent(nil)); n != 1+2*keptNoise {
		t.Errorf("%d events remembered", n)
	}
}
