package radio

import (
	"errors"
	"math"
	"testing"
)

func TestFrequencyString(t *testing.T) {
	for f, want := range map[Frequency]string{
		868_100_000: "868.1 MHz", 869_525_000: "869.525 MHz", 868_000_000: "868.0 MHz",
		902_300_001: "902.300001 MHz", 0: "0.0 MHz", math.MaxUint32: "4294.967295 MHz",
	} {
		if got := f.String(); got != want {
			t.Errorf("%d is %q, want %q", uint32(f), got, want)
		}
	}
}

func TestDecibelString(t *testing.T) {
	for d, want := range map[Decibel]string{
		0: "0", 850: "8.5", -6000: "-60", -6050: "-60.5", -7: "-0.07", 925: "9.25", math.MinInt32: "-21474836.48",
	} {
		if got := d.String(); got != want {
			t.Errorf("%d is %q, want %q", int32(d), got, want)
		}
	}
}

func TestDataRateDatr(t *testing.T) {
	for d, want := range map[DataRate]string{
		LoRaDataRate(7, 125_000): `"SF7BW125"`, LoRaDataRate(12, 500_000): `"SF12BW500"`, FSKDataRate(50_000): "50000",
	} {
		if got := string(d.AppendDatr(nil)); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	var e EUI64
	if err := e.UnmarshalText([]byte("0242020000247803")); err != nil || e.String() != "0242020000247803" {
		t.Errorf("EUI %v, %v", e, err)
	}
	if err := e.UnmarshalText([]byte("a1c0ffee00000100")); err != nil || e.String() != "A1C0FFEE00000100" {
		t.Errorf("EUI %v, %v", e, err)
	}
	if got := e.Uint64(); got != 0xA1C0FFEE00000100 {
		t.Errorf("number %x", got)
	}
	var a DevAddr
	if err := a.UnmarshalText([]byte("01da1F15")); err != nil || a.String() != "01DA1F15" || a.Uint32() != 0x01DA1F15 {
		t.Errorf("DevAddr %v, %v", a, err)
	}
	var n NetID
	if err := n.UnmarshalText([]byte("000013")); err != nil || n != (NetID{0, 0, 0x13}) {
		t.Errorf("NetID %v, %v", n, err)
	}
	before := e
	for _, bad := range []string{"", "02420200002478", "024202000024780g", "02420200002478033", "024202 000247803"} {
		if err := e.UnmarshalText([]byte(bad)); !errors.Is(err, ErrID) {
			t.Errorf("%q is taken for an EUI: %v", bad, err)
		}
	}
	if e != before {
		t.Errorf("a refused text has changed the EUI to %v", e)
	}
}

func TestTxResultWords(t *testing.T) {
	for r := TxOK; r <= TxUnknownError; r++ {
		if got := ParseTxResult(r.String()); got != r {
			t.Errorf("%v comes back as %v", r, got)
		}
	}
	if ParseTxResult("") != TxOK || ParseTxResult("too_late") != TxUnknownError ||
		ParseTxResult("NO_ACK") != TxUnknownError {
		t.Error("a word that is not the protocol's is taken for one")
	}
}
