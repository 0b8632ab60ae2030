package enddevice

import (
	"testing"

	"lorawand/bridge/session"
)

// A session that goes from home to home, and back, is heard by its device,
// which has heard nothing since.
func TestHandOvers(t *testing.T) {
	for _, v := range []session.Version{session.V1_0_3, session.V1_1} {
		entries, err := Parse([]byte(otaaSession), Options{Application: "app1", AssumePlanDefaults: true})
		if err != nil {
			t.Fatal(err)
		}
		d := entries[0].Device
		d.Version = v
		d.RootKeys.NwkKey = d.RootKeys.AppKey
		d.Session.Keys.SNwkSIntKey, d.Session.Keys.NwkSEncKey = d.Session.Keys.FNwkSIntKey, d.Session.Keys.FNwkSIntKey
		sent := uint32(100)
		d.Session.NFCntDown, d.Session.AFCntDown, d.Session.NStored, d.Session.AStored = sent, sent, sent, sent
		last := sent
		for i := range 12 {
			d.SkipAhead()
			text, err := Append(nil, d, Form{Keys: true, Session: true})
			if err != nil {
				t.Fatal(err)
			}
			if entries, err = Parse(text, opts); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			d = entries[0].Device
			if m := d.Session.LastSent(); m != (session.Marks{N: sent, A: sent}) {
				t.Fatalf("hand-over %d: the last one that was sent is %v, want %d\n%s", i+1, m, sent, text)
			}
			for _, app := range []bool{false, true} {
				if next, _ := d.Session.NextFCntDown(v, app); next <= last || next-sent >= 16384 {
					t.Fatalf("hand-over %d: the next FCntDown is %d, %d was sent, %d the last home's", i+1, next, sent, last)
				}
			}
			last, _ = d.Session.NextFCntDown(v, true)
		}
	}
}

// The last downlinks in a device of The Things Stack count for its FCntDown.
func TestLastSent(t *testing.T) {
	for _, tt := range []struct {
		name, version, state string
		want                 session.Marks
	}{
		{"none", "MAC_V1_0_3", `{}`, session.Marks{N: 20, A: 20}},
		{"a join-accept only", "MAC_V1_0_3", `{"recent_downlinks":[{"payload":{"m_hdr":{"m_type":"JOIN_ACCEPT"}}}]}`, session.Marks{N: 20, A: 20}},
		{"the first", "MAC_V1_0_3", `{"recent_downlinks":[{"payload":{"mac_payload":{}}}]}`, session.Marks{}},
		{"some", "MAC_V1_0_3", `{"recent_downlinks":[{"payload":{"mac_payload":{"full_f_cnt":7}}},{"payload":{"mac_payload":{"f_port":1,"full_f_cnt":"8"}}}]}`, session.Marks{N: 8, A: 8}},
		{"above what was used", "MAC_V1_0_3", `{"recent_downlinks":[{"payload":{"mac_payload":{"full_f_cnt":4294967295}}}]}`, session.Marks{N: 20, A: 20}},
		{"apart", "MAC_V1_1", `{"recent_downlinks":[{"payload":{"mac_payload":{"full_f_cnt":7}}},{"payload":{"mac_payload":{"f_port":1,"full_f_cnt":9}}}]}`, session.Marks{N: 7, A: 9}},
		{"of one of both", "MAC_V1_1", `{"recent_downlinks":[{"payload":{"mac_payload":{"f_port":1,"full_f_cnt":9}}}]}`, session.Marks{N: 20, A: 9}},
	} {
		entries, err := Parse([]byte(`{"ids":{"device_id":"dev1"},"lorawan_version":"`+tt.version+`","frequency_plan_id":"EU_863_870_TTN",`+
			`"session":{"dev_addr":"01ABCDEF","keys":{"f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},"s_nwk_s_int_key":{"key":"11111111111111111111111111111111"},`+
			`"nwk_s_enc_key":{"key":"11111111111111111111111111111111"},"app_s_key":{"key":"22222222222222222222222222222222"}},`+
			`"last_n_f_cnt_down":20,"last_a_f_cnt_down":20},"mac_state":`+tt.state+`}`), opts)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := entries[0].Device.Session.LastSent(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Two homes hand a session to each other, and use it: no counter comes twice,
// and the device hears each downlink.
func TestHandOversInUse(t *testing.T) {
	entries, err := Parse([]byte(otaaSession), Options{Application: "app1", AssumePlanDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	homes := [2]*session.Device{entries[0].Device}
	used, last := map[uint32]bool{}, uint32(0)
	send := func(d *session.Device) {
		t.Helper()
		s := d.Session
		m, _ := s.Reserve(d.Version)
		s.Reserved(m, true)
		fCnt, ok := s.NextFCntDown(d.Version, true)
		if !ok || used[fCnt] || fCnt-last >= 16384 {
			t.Fatalf("FCntDown %d after %d, twice: %v", fCnt, last, used[fCnt])
		}
		used[fCnt], last = true, fCnt
		s.UseFCntDown(d.Version, true)
		s.Sent(d.Version, true, fCnt)
	}
	for i, n := range []int{3, 0, 0, 100, 0, 0, 0, 1, 0, 0} { // downlinks of the home that has it
		d := homes[i%2]
		for range n {
			send(d)
		}
		out := d.Clone()
		out.SkipAhead()
		text, err := Append(nil, out, Form{Keys: true, Session: true})
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			send(d) // before the device is deleted here
		}
		if entries, err = Parse(text, opts); err != nil {
			t.Fatal(err)
		}
		next := entries[0].Device
		if old := homes[(i+1)%2]; old != nil {
			next.Succeed(old)
		}
		homes[(i+1)%2] = next
	}
	send(homes[0])
}
