package state

import (
	"maps"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/radio"
)

func TestLedgerBytes(t *testing.T) {
	want := Spent{868_000_000: 1500 * time.Millisecond, 869_400_000: 2 * time.Hour}
	gw := radio.EUI64{0xa}
	r := ledgerRecord(gw, want)
	eui, got, err := parseLedger(r)
	want[869_400_000] = time.Hour
	if err != nil || eui != gw || !maps.Equal(got, want) {
		t.Errorf("%v came back as %v of %v, %v", want, got, eui, err)
	}
	for name, bad := range map[string]store.Record{
		"key":     {Key: "x", Version: recordVersion},
		"version": {Key: r.Key, Version: 9, Data: r.Data},
		"cut off": {Key: r.Key, Version: recordVersion, Data: r.Data[:7]},
	} {
		if _, _, err := parseLedger(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
