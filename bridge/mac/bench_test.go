package mac

import (
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio/frame"
)

// settled is a device that needs nothing any more, and an uplink of it.
func settled(t testing.TB) (*frame.Data, UplinkContext) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{5, 0, 1})
	e.heard = snrAt(850)
	for range 100 {
		e.uplink()
	}
	rate, err := e.plan.DataRate(e.dataRate)
	if err != nil {
		t.Fatal(err)
	}
	f := dataUp()
	f.ADR = true
	return f, UplinkContext{Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: e.fCnt, Rate: rate}
}

// BenchmarkSettled is what ADR and all requests cost with an uplink of a device that
// needs nothing.
func BenchmarkSettled(b *testing.B) {
	f, ctx := settled(b)
	b.ReportAllocs()
	for b.Loop() {
		Uplink(f, nil, ctx)
	}
}

// An uplink of a device that needs nothing costs no allocation.
func TestSettledAllocations(t *testing.T) {
	f, ctx := settled(t)
	if n := testing.AllocsPerRun(100, func() {
		if o := Uplink(f, nil, ctx); !o.IsZero() {
			t.Fatalf("asked %s", hexOf(o.Requests()))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
