package decode

import (
	"strings"
	"testing"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Messages about downlinks tell what their bytes mean, also of a push that is refused
// because it has no FPort.
func TestDecodedDownlinks(t *testing.T) {
	const decoded = `"decoded_payload":{"value_2":25}`
	for _, tt := range []struct {
		name, suffix string
		fPort        uint8
		payload      []byte
		want         bool
	}{
		{"queued", v3.DownQueued, 7, []byte{2, 9, 0xc4}, true},
		{"sent", v3.DownSent, 7, []byte{2, 9, 0xc4}, true},
		{"failed", v3.DownFailed, 7, []byte{2, 9, 0xc4}, true},
		{"refused without FPort", v3.DownFailed, 0, []byte{2, 9, 0xc4}, true},
		{"refused without payload", v3.DownFailed, 0, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t, formatter.Options{NoJavaScript: true})
			id := s.device("dev1", session.Formatters{Set: true, Up: codec.CayenneLPP, Down: codec.CayenneLPP})
			d := v3.Downlink{
				DeviceIDs: v3.DeviceIDs{ID: id}, Err: v3.NoFPort(),
				Item: &session.Item{FPort: tt.fPort, FRMPayload: tt.payload},
			}
			text := s.encoder.AppendDownlink(nil, tt.suffix, &d)
			s.Publish(v3.Message{Application: id.Application, Device: id.Device, Suffix: tt.suffix, Payload: text},
				v3.Undecoded{FPort: tt.fPort, FRMPayload: tt.payload, Places: v3.Places{Decoded: d.Decoded}})
			if got := string(s.wait(1)[0].Payload); strings.Contains(got, decoded) != tt.want {
				t.Errorf("decoded: %v, not %v: %s", !tt.want, tt.want, got)
			}
		})
	}
}
