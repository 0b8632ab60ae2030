package enddevice

import (
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// The fault of an unknown frequency plan names the plan that may be meant.
func TestUnserved(t *testing.T) {
	for plan, want := range map[string]string{
		"EU_863_870_TTN":      "",
		"EU868":               "; the nearest are EU_863_870_TTN, EU_863_870, ",
		"ISM_2400_3CH_DRAFT2": "; plans of 2.4 GHz are left out: no gateway that lorawand serves has such a radio",
		"moon":                `frequency plan "moon"`,
	} {
		d := &session.Device{Version: session.V1_0_3, Plan: plan}
		if got := Unserved(d); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", plan, got, want)
		}
	}
	d := &session.Device{Version: session.V1_0_3, Plan: "EU_863_870", ClassB: true, Multicast: true}
	if Unserved(d) != d.Unserved().Error() {
		t.Errorf("%q", Unserved(d))
	}
}
