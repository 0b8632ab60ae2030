package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"lorawand/radio"
)

// theirs is what The Things Stack makes of a file of a hand-over: it takes the device, sends it a
// downlink after one more uplink, and exports it.
//
// Source: lorawan-stack 3.32.1, Set in pkg/joinserver/grpc_deviceregistry.go and in
// pkg/networkserver/grpc_deviceregistry.go; the form is that of tts-export.json.
func theirs(t *testing.T, text string) (file string, fCntDown int) {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	part := func(of map[string]any, name string) map[string]any {
		inner, ok := of[name].(map[string]any)
		if !ok {
			t.Fatalf("no %s in\n%s", name, text)
		}
		return inner
	}
	ids, session, state := part(d, "ids"), part(d, "session"), part(d, "mac_state")
	if _, told := ids["dev_addr"]; told && d["supports_join"] == true {
		t.Fatalf("error:pkg/joinserver:field_value (invalid value of field `ids.dev_addr`)\n%s", text)
	}
	if _, named := part(session, "keys")["session_key_id"]; named != (d["supports_join"] == true) {
		t.Fatalf("error:pkg/networkserver:invalid_field_value (field `session.keys.session_key_id`)\n%s", text)
	}
	part(state, "current_parameters")
	part(state, "desired_parameters")
	used, _ := session["last_n_f_cnt_down"].(float64)
	heard, _ := session["last_f_cnt_up"].(float64)
	fCntDown = int(used) + 1
	session["last_n_f_cnt_down"], session["last_a_f_cnt_down"] = fCntDown, fCntDown
	session["last_f_cnt_up"], session["started_at"] = heard+1, "2026-11-22T07:12:19.823818141Z"
	downs, _ := state["recent_downlinks"].([]any)
	state["recent_downlinks"] = append(downs, map[string]any{"payload": map[string]any{
		"m_hdr": map[string]any{"m_type": "UNCONFIRMED_DOWN"}, "mac_payload": map[string]any{"full_f_cnt": fCntDown},
	}})
	state["last_downlink_at"] = "2026-11-22T07:12:27.738832125Z"
	ids["dev_addr"] = session["dev_addr"]
	d["created_at"], d["network_server_address"] = "2026-11-22T07:09:18.033641Z", "127.0.0.1"
	out, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out), fCntDown
}

// sentCounter pushes a downlink, has the device send a frame, and returns the FCntDown that the
// answer to it had.
func sentCounter(t *testing.T, s *site, f *forwarder, sent <-chan message, fCntUp uint32) int {
	t.Helper()
	s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef")
	f.send(fCntUp, "x")
	var m struct {
		Sent struct {
			FCnt int `json:"f_cnt"`
		} `json:"downlink_sent"`
	}
	if err := json.Unmarshal(next(t, sent).payload, &m); err != nil {
		t.Fatal(err)
	}
	return m.Sent.FCnt
}

// at starts a daemon with the device of a file, and returns what its next downlinks have.
func at(t *testing.T, file string) (s *site, counter func(fCntUp uint32) int) {
	t.Helper()
	s = newSite(t, "")
	s.must("", "device", "import", s.write("devices.json", file), "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	sent := r.watch("app1", key, "v3/app1/devices/dev1/down/sent")
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	return s, func(fCntUp uint32) int { return sentCounter(t, s, f, sent, fCntUp) }
}

// A session goes from here to The Things Stack and back, in files: no FCntDown is used twice, the
// device hears each, and it goes on with its own counter.
func TestThereAndBack(t *testing.T) {
	const gap = 16384 // MAX_FCNT_GAP
	s, counter := at(t, settledDevice("dev1", testAddr.String(), 1))
	first := counter(7)
	file := s.must("", "device", "export", "app1/dev1", "--session")
	s.must("", "device", "delete", "app1/dev1", "--yes")
	back, second := theirs(t, file)
	_, counter = at(t, back)
	third := counter(9)
	if first != 1 || second <= first || second-first >= gap || third != second+1 {
		t.Errorf("FCntDown %d here, %d there, %d here again", first, second, third)
	}
	t.Logf("FCntDown lorawand → TTS → lorawand: %d, %d, %d", first, second, third)
}

// A device that has joined there comes here, goes back, and comes again.
func TestJoinedThereAndBack(t *testing.T) {
	b, err := os.ReadFile("../../bridge/v3/enddevice/testdata/tts-export.json")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "")
	s.must(string(b), "device", "import", "-", "--application", "app1")
	file := s.must("", "device", "export", "app1/dev1", "--session")
	back, fCntDown := theirs(t, file)
	s.must("", "device", "delete", "app1/dev1", "--yes")
	s.must(back, "device", "import", "-", "--application", "app2")
	again := s.must("", "device", "export", "app2/dev1", "--session")
	contains(t, "there and back", again, `"dev_addr":"011165D5"`, `"last_f_cnt_up":3`,
		`"session_key_id":"AaICGS8nuqdwZIoklCk0dA=="`, `"key":"96144C94CADF16E4DDA6FA19F8E7600D"`, `"rx1_delay":5,"rx2_data_rate_index":3`,
		fmt.Sprintf(`"full_f_cnt":%d`, fCntDown))
}
