package broker

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Statuses that are retained are bounded, however many gateways come.
func TestStatusesAreBounded(t *testing.T) {
	b := &Broker{sessions: map[string]*session{}, statuses: map[string]v3.Message{}}
	for i := range maxStatuses + 10 {
		m := v3.GatewayStatus(fmt.Sprintf("gw-%d", i), radio.EUI64{}, true, time.Time{})
		b.dispatch(&m)
	}
	m := v3.GatewayStatus("gw-5", radio.EUI64{}, false, time.Time{})
	b.dispatch(&m)
	if len(b.statuses) != maxStatuses || string(b.statuses[m.Suffix].Payload) != string(m.Payload) {
		t.Errorf("%d statuses, %s", len(b.statuses), b.statuses[m.Suffix].Payload)
	}
}
