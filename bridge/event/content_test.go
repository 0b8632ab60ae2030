package event

import (
	"testing"

	"lorawand/bridge/mac"
	"lorawand/bridge/session"
)

func TestContent(t *testing.T) {
	tests := []struct {
		name       string
		down       mac.Downlink
		joinAccept bool
		want       string
	}{
		{"nothing", mac.Downlink{}, false, "an empty frame"},
		{"join-accept", mac.Downlink{}, true, "join-accept"},
		{"acknowledgement", mac.Downlink{Owed: mac.Owed{ACK: true}}, false, "acknowledgement"},
		{"item", mac.Downlink{Item: &session.Item{FPort: 15, FRMPayload: []byte("abcd")}}, false, "4 bytes on f_port 15"},
		{"acknowledgement and confirmed item", mac.Downlink{
			Owed: mac.Owed{ACK: true}, Item: &session.Item{FPort: 1, FRMPayload: []byte("a"), Confirmed: true},
		}, false, "acknowledgement, confirmed, 1 bytes on f_port 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Content(&tt.down, tt.joinAccept); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
