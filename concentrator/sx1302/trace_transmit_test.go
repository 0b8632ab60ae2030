package sx1302_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// relevant are the bytes of the block that have to be as recorded. The rest
// keeps what earlier packets left.
func relevant(tx *sx1302.Transmission) []int {
	list := []int{0x09, 0x0C, 0x0D}
	span := func(from, to int) {
		for i := from; i <= to; i++ {
			list = append(list, i)
		}
	}
	span(0x20, 0x2A)
	switch {
	case tx.Carrier:
	case tx.DataRate.Modulation == radio.FSK:
		span(0x40, 0x4E)
	default:
		span(0x05, 0x06)
		span(0x60, 0x6E)
	}
	if tx.Trigger == sx1302.TriggerTime {
		span(0x01, 0x04)
	}
	return list
}

func TestTransmit(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		var now time.Duration
		// The model is told what the emulator's transmitters did.
		status := byte(0x80)
		model, chip := traceChip(t, all[0], sx1302test.Options{
			Now: func() time.Duration { return now },
			Read: func(addr uint16) (byte, bool) {
				return status, addr == sx1302.TxStatusAddr || addr == sx1302.TxStatusAddr+sx1302.TxStride
			},
		}, func(d time.Duration) { now += d })
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		replayTransmit(t, all, model, chip, &status)
	}, sendTrace)
}

func replayTransmit(t *testing.T, all []record, model *sx1302test.Chip, chip *sx1302.Chip, status *byte) {
	last := sx1302.Transmission{}
	refused := false
	for i, r := range all {
		switch {
		case r.K == "call" && r.Fn == "send":
			last = recordedSend(t, r)
			*status = 0x80
			before := len(model.Emissions())
			err := chip.Send(last)
			refused = err != nil
			if refused && (!errors.Is(err, sx1302.ErrTransmission) || len(model.Emissions()) > before) {
				t.Errorf("%+v: %v", last, err)
			}
		case r.K == "ret" && r.Fn == "send" && refused != (r.RC != 0):
			t.Errorf("%+v was refused: %t; the reference returned %d", last, refused, r.RC)
		case r.K == "air":
			compareAir(t, model.Emissions(), &last, r.Tx)
		case r.K == "call" && r.Fn == "status":
			compareStatus(t, all[i:], chip, status)
		case r.K == "call" && r.Fn == "abort":
			*status = 0x80
			if err := chip.Abort(t.Context(), int(last.Chain)); err != nil {
				t.Error(err)
			}
		}
	}
}

func compareStatus(t *testing.T, all []record, chip *sx1302.Chip, status *byte) {
	t.Helper()
	var args struct {
		Chain int `json:"rf_chain"`
	}
	var want struct {
		Status string `json:"tx_status"`
	}
	if err := json.Unmarshal(all[0].Args, &args); err != nil {
		t.Fatal(err)
	}
	*status = sx1302.Unhex(t, all[1].D)[0]
	if err := json.Unmarshal(all[2].Out, &want); err != nil {
		t.Fatal(err)
	}
	if got, err := chip.TxStatus(args.Chain); err != nil || strings.ToUpper(got.String()) != want.Status {
		t.Errorf("status 0x%02x is %s, %v; want %s", *status, got, err, want.Status)
	}
}

func compareAir(t *testing.T, emissions []sx1302test.Emission, tx *sx1302.Transmission, raw json.RawMessage) {
	t.Helper()
	var want struct {
		Block   string `json:"block"`
		Payload string `json:"payload"`
		Mailbox string `json:"agc_mailbox"`
		Chain   int    `json:"rf_chain"`
		Trigger string `json:"trigger"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if len(emissions) == 0 {
		t.Fatalf("%+v: nothing was sent", tx)
	}
	got := emissions[len(emissions)-1]
	block := sx1302.Unhex(t, want.Block)
	for _, i := range relevant(tx) {
		if got.Block[i] != block[i] {
			t.Errorf("%+v: block 0x%02X is 0x%02X, want 0x%02X", tx, i, got.Block[i], block[i])
		}
	}
	if !tx.Carrier && hex.EncodeToString(got.Payload) != want.Payload {
		t.Errorf("%+v: payload %x, want %s", tx, got.Payload, want.Payload)
	}
	if want.Mailbox != "" && hex.EncodeToString(got.Mailbox[:]) != want.Mailbox {
		t.Errorf("%+v: deviation %x, want %s", tx, got.Mailbox, want.Mailbox)
	}
	trigger := map[string]sx1302test.Trigger{
		"immediate": sx1302test.TriggerNow, "timestamp": sx1302test.TriggerTime,
		"gps": sx1302test.TriggerPPS,
	}[want.Trigger]
	if got.Chain != want.Chain || got.Trigger != trigger {
		t.Errorf("%+v: chain %d by trigger %d, want %d by %s", tx, got.Chain, got.Trigger, want.Chain, want.Trigger)
	}
}
