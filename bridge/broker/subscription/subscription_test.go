package subscription

import "testing"

func TestNew(t *testing.T) {
	const up, join = "devices/dev1/up", "devices/dev2/join"
	tests := []struct {
		filter     string
		uid, share string
		status     bool
		up, join   bool // what matches
	}{
		{"v3/app1/#", "app1", "", false, true, true},
		{"v3/app1@ttn/#", "app1@ttn", "", false, true, true},
		{"v3/app1/devices/+/up", "app1", "", false, true, false},
		{"v3/app1/devices/dev2/#", "app1", "", false, false, true},
		{"v3/app1/+/+/+", "app1", "", false, true, true},
		{"v3/app1/+/+", "app1", "", false, false, false},
		{"v3/app1", "app1", "", false, false, false},
		{"v3/app1/", "app1", "", false, false, false},
		{"v3/app1/devices/dev1/up/#", "app1", "", false, true, false},
		{"$share/g/v3/app1/#", "app1", "g/v3/app1/#", false, true, true},
		{"$share/g/v3/app1@ttn/devices/+/up", "app1@ttn", "g/v3/app1/devices/+/up", false, true, false},
		{"lorawand/status", "", "", true, false, false},
		{"homeassistant/#", "", "", true, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			s := New(tt.filter, 2, 7, "app1")
			if s.Filter != tt.filter || s.QoS != 2 || s.Identifier != 7 || s.Status != tt.status || s.UID != tt.uid ||
				s.Share != tt.share {
				t.Errorf("%+v", s)
			}
			if s.Matches(up) != tt.up || s.Matches(join) != tt.join {
				t.Errorf("matches %v and %v, want %v and %v", s.Matches(up), s.Matches(join), tt.up, tt.join)
			}
		})
	}
}
