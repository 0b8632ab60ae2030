package udp

import (
	"testing"

	"lorawand/radio"
)

// A gateway that is taken out has its end told, and its answers.
func TestGatewayTakenOut(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	if !p.pull(euiA, 2) || p.pull(euiX, 2) {
		t.Fatal("the wrong gateways are taken")
	}
	b.eventually("connected", func() bool { return b.sink.kinds() == "connected refused " })
	if err := b.d.Transmit(radio.Downlink{
		ID: 5, Gateway: euiA, PHYPayload: []byte{1}, Frequency: 868_100_000,
		DataRate: radio.LoRaDataRate(7, 125_000),
	}); err != nil {
		t.Fatal(err)
	}
	p.answer(patience)
	b.d.SetGateways([]radio.EUI64{euiB, euiX}, b.sink)
	if b.sink.kinds() != "connected refused disconnected " {
		t.Errorf("events %s", b.sink.kinds())
	}
	b.sink.mu.Lock()
	acks := b.sink.acks
	b.sink.mu.Unlock()
	if len(acks) != 1 || acks[0].ID != 5 || acks[0].Result != radio.TxNoAck {
		t.Errorf("answers %+v", acks)
	}
	if p.pull(euiA, 2) || !p.pull(euiX, 2) {
		t.Error("the wrong gateways are taken")
	}
	if err := b.d.Transmit(radio.Downlink{ID: 6, Gateway: euiA}); err == nil {
		t.Error("it can still be sent to")
	}
}
