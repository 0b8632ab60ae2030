package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// both runs a test without a daemon and with one that runs.
func both(t *testing.T, f func(t *testing.T, s *site)) {
	t.Run("without a daemon", func(t *testing.T) { f(t, newSite(t, "")) })
	t.Run("with a daemon", func(t *testing.T) {
		s := newSite(t, "")
		s.start()
		f(t, s)
	})
}

// fails runs a command line that is to fail, and returns what it says.
func (s *site) fails(stdin string, args ...string) string {
	s.Helper()
	status, out, errOut := s.cli(stdin, args...)
	if status != 1 || out != "" {
		s.Errorf("%v: exit status %d\n%s%s", args, status, out, errOut)
	}
	return errOut
}

func contains(t testing.TB, what, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is not in\n%s", what, w, text)
		}
	}
}

// A device from its sticker, through its life.
func TestDeviceLife(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		key := "00112233445566778899AABBCCDDEEFF"
		createDevices(t, s, key)
		list := s.must("", "device", "list")
		if strings.Count(list, "\n") != 5 {
			t.Errorf("list:\n%s", list)
		}
		contains(t, "list", list, "70B3D57ED0000001", "1.0.4 A ABP", "US_902_928_FSB_2", "1.0.3 B OTAA", "01ABCDF0", "Third")
		if list := s.must("", "device", "list", "--application", "app2", "--json"); strings.Count(list, "\n") != 2 ||
			strings.Contains(list, key) || strings.Contains(list, testApp) {
			t.Errorf("list --json:\n%s", list)
		}

		s.must("", "device", "set", "dev1", "--application", "app1", "--name", "Kitchen <1>", "--description", "left",
			"--plan", "EU_863_870")
		get := s.must("", "device", "get", "dev1", "--application", "app1")
		contains(t, "get", get, "Kitchen <1>", "left", "EU_863_870\n", "OTAA", "none: it has not joined yet",
			"last JoinNonce 0")
		if strings.Contains(get, key) {
			t.Errorf("a key is shown:\n%s", get)
		}
		contains(t, "get of ABP", s.must("", "device", "get", "dev2", "--application", "app1"),
			"DevAddr 01ABCDEF, last frame counters: up 0, down 0")
		contains(t, "set of another's EUI", s.fails("", "device", "set", "dev3", "--application", "app2", "--dev-eui",
			"70B3D57ED0000001", "--join-eui", "0000000000000000"), "same join_eui and dev_eui")
		contains(t, "a session for one that joins", s.fails("", "device", "set", "dev1", "--application", "app1",
			"--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk, "--app-s-key", testApp), "its session from a join")

		export := s.must("", "device", "export", "--application", "app1")
		contains(t, "export", export, key, testNwk, `"name":"Kitchen <1>"`, `"rx1_delay":2`)
		if strings.Count(export, "\n") != 2 || strings.Count(s.must("", "device", "export"), "\n") != 4 {
			t.Errorf("export:\n%s", export)
		}
		contains(t, "export of one", s.must("", "device", "export", "dev4", "--application", "app2"), `"dev_addr":"01ABCDF0"`, "MAC_V1_1")

		contains(t, "delete", s.fails("", "device", "delete", "dev1", "nobody", "--application", "app1"),
			"app1/nobody: no such device")
		s.must("", "device", "delete", "dev1", "dev2", "--application", "app1")
		if list := s.must("", "device", "list", "--application", "app1", "--json"); list != "" {
			t.Errorf("after delete:\n%s", list)
		}
		// What was exported comes back.
		if out := s.must(export, "device", "import", "-", "--application", "app1"); out != "Imported 2 devices into app1.\n" {
			t.Errorf("import: %s", out)
		}
		contains(t, "again", s.must("", "device", "get", "dev2", "--application", "app1"), "down 0")
	})
}

// createDevices creates two devices in app1 and two in app2: OTAA and ABP, with and
// without LoRaWAN 1.1, and one of Class C.
func createDevices(t *testing.T, s *site, key string) {
	t.Helper()
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-eui", "70b3d57ed0000001", "--join-eui",
		"0000000000000000", "--app-key", key)
	s.must("", "device", "create", "dev2", "--application", "app1", "--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk,
		"--app-s-key", testApp, "--version", "1.0.4", "--rx1-delay", "2")
	if status, _, errOut := s.cli("", "device", "create", "dev3", "--application", "app2", "--dev-eui",
		"70B3D57ED0000003", "--join-eui", "70B3D57ED0000000", "--app-key", key,
		"--plan", "US_902_928_FSB_2", "--class", "b", "--name", "Third"); status != 0 ||
		strings.Contains(errOut, "not served") {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	s.must("", "device", "create", "dev4", "--application", "app2", "--version", "1.1", "--dev-addr", "01ABCDF0",
		"--app-s-key", testApp,
		"--f-nwk-s-int-key", testNwk, "--s-nwk-s-int-key", testNwk, "--nwk-s-enc-key", testNwk)
	contains(t, "twice", s.fails("", "device", "create", "dev1", "--application", "app1", "--dev-addr", "01ABCDEF",
		"--nwk-s-key", testNwk, "--app-s-key", testApp),
		"lorawand: app1/dev1: exists already; device set changes it\n")
	contains(t, "the EUIs of another", s.fails("", "device", "create", "dev9", "--application", "app1", "--dev-eui",
		"70B3D57ED0000001", "--join-eui", "0000000000000000", "--app-key", key),
		"app1/dev1 has the same join_eui and dev_eui")
}

// All that can be wrong with files stands there with its line, and changes nothing.
func TestImportLive(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		csv := s.write("devices.csv", "id;dev_eui;join_eui;lorawan_version;frequency_plan_id;app_key\n"+
			"one;1111111111111111;0000000000000000;MAC_V1_0_3;EU_863_870_TTN;"+testApp+"\n"+
			"two;2222222222222222;0000000000000000;MAC_V1_0_3;EU_863_870_TTN;"+testApp+"\n")
		plain := s.write("plain.csv", "dev_eui,app_eui,app_key\n3333333333333333,0000000000000000,"+testApp+"\n")
		if out := s.must("", "device", "import", csv, "--application", "app1",
			"--dry-run"); out != "Would import 2 devices into app1.\n" {
			t.Errorf("dry run: %s", out)
		}
		if list := s.must("", "device", "list", "--json"); list != "" {
			t.Errorf("a dry run leaves\n%s", list)
		}
		contains(t, "no version", s.fails("", "device", "import", plain, "--application", "app1"),
			plain+": line 2: eui-3333333333333333: lorawan_version: missing")
		s.must("", "device", "import", csv, plain, "--application", "app1", "--version", "1.0.2", "--plan", "EU_863_870")
		contains(t, "list", s.must("", "device", "list"), "eui-3333333333333333", "1.0.2 A OTAA", "one ", "two ")
		more := s.write("more.csv", "id;dev_eui;join_eui;lorawan_version;app_key\n"+
			"three;4444444444444444;0000000000000000;1.0.3;"+testApp+"\n"+
			"two;2222222222222222;0000000000000000;1.0.3;"+testApp+"\n"+
			"four;1111111111111111;0000000000000000;1.0.3;"+testApp+"\n")
		errOut := s.fails("", "device", "import", more, "--application", "app1")
		contains(t, "faults", errOut, more+": line 3: app1/two: exists already; --update replaces it\n",
			more+": line 4: app1/four: exists already: app1/one has the same join_eui and dev_eui\n")
		if strings.Count(errOut, "\n") != 2 {
			t.Errorf("%s", errOut)
		}
		contains(t, "with --update", s.fails("", "device", "import", more, "--application", "app1", "--update"),
			"line 4: app1/four")
		if list := s.must("", "device", "list", "--json"); strings.Count(list, "\n") != 3 {
			t.Errorf("an import that was refused leaves\n%s", list)
		}
		b, err := os.ReadFile("../../bridge/v3/enddevice/testdata/tts-export.json")
		if err != nil {
			t.Fatal(err)
		}
		if out := s.must(string(b), "device", "import", "-", "--application",
			"app2"); out != "Imported 7 devices into app2.\n" {
			t.Errorf("import: %s", out)
		}
		handed := s.must("", "device", "export", "dev1", "--application", "app2", "--session")
		contains(t, "hand-over", handed, `"last_n_f_cnt_down":8194`, `"last_f_cnt_up":2`, `"current_parameters"`, `"last_join_nonce":69631`)
		if strings.Contains(s.must("", "device", "export", "dev1", "--application", "app2"), "mac_state") {
			t.Error("a session comes without --session")
		}
		session := strings.Replace(otaaJSON, "DEVICE", "dev8", 1)
		session = session[:len(session)-1] + `,"session":{"dev_addr":"01ABCDEF","keys":{"f_nwk_s_int_key":{"key":"` + testNwk + `"},"app_s_key":{"key":"` + testApp + `"}}}}`
		contains(t, "no mac_state", s.fails(session, "device", "import", "-", "--application", "app3"),
			"-: line 1: dev8: session without mac_state", "--assume-plan-defaults")
		s.must(session, "device", "import", "-", "--application", "app3", "--assume-plan-defaults")
	})
}

// The daemon sees what changes at once.
func TestLiveChanges(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--name", "first"))
	ch := r.watch("app1", key, "#")
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	f.send(0, "unknown")
	none(t, ch, "an unknown device")
	s.must(settledDevice("dev1", testAddr.String(), 1), "device", "import", "-", "--application", "app1")
	f.send(1, "x")
	contains(t, "uplink", string(next(t, ch).payload), `"device_id":"dev1"`, `"f_cnt":1`)

	checkPushes(t, s, ch)
	// One that is sent, and why.
	id := strings.TrimSpace(s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef"))
	next(t, ch)
	f.send(2, "y")
	text := s.until("; sent", "why", id)
	contains(t, "why", text, "pushed ", "uplink f_cnt 2 heard", "2 bytes on f_port 7",
		"chosen; handed to gateway eui-a1c0ffee00000001")
	for range 2 { // up and down/sent
		next(t, ch)
	}

	checkNewCounters(t, s, f, ch)

	// All of it outlives the daemon.
	s.must("", "device", "create", "dev2", "--application", "app1", "--dev-addr", testAddr.String(), "--nwk-s-key",
		testNwk, "--app-s-key", testApp, "--resets-f-cnt")
	r.stop()
	r = s.start()
	ch = r.watch("app1", key, "#")
	f = r.forwarder(testEUI)
	f.send(9, "z")
	contains(t, "after a restart", string(next(t, ch).payload), `"device_id":"dev2"`)

	// One that begins its counter anew, as it was said that it may.
	for _, text := range []string{"a", "b"} {
		f.send(0, text)
		contains(t, "a counter that begins anew", string(next(t, ch).payload), `"device_id":"dev2"`)
	}
	s.must("", "device", "set", "dev2", "--application", "app1", "--resets-f-cnt=false")
	f.send(0, "c")
	none(t, ch, "a counter that begins anew and must not")
}

// checkPushes pushes, replaces and clears downlinks, with the messages of MQTT clients.
func checkPushes(t *testing.T, s *site, ch <-chan message) {
	t.Helper()
	id := strings.TrimSpace(s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef", "--priority",
		"normal", "--correlation-id", "mine"))
	if m := next(t, ch); m.topic != "v3/app1/devices/dev1/down/queued" || !strings.Contains(string(m.payload), id) ||
		!strings.HasPrefix(id, "as:downlink:") {
		t.Errorf("%q: %s %s", id, m.topic, m.payload)
	}
	s.must(`{"downlinks":[{"f_port":8,"frm_payload":"AQ==","confirmed":true},{"f_port":9,"frm_payload":"Ag=="}]}`, "downlink", "push", "app1", "dev1", "-")
	next(t, ch)
	next(t, ch)
	list := s.must("", "downlink", "list", "app1", "dev1")
	if strings.Count(list, "\n") != 3 || !strings.HasPrefix(list, "waiting      f_port 7, 2 bytes: BEEF, NORMAL, "+id) {
		t.Errorf("queue:\n%s", list)
	}
	var item struct {
		State    string
		Downlink struct {
			FPort int `json:"f_port"`
		}
	}
	if err := json.Unmarshal([]byte(strings.Split(s.must("", "downlink", "list", "app1", "dev1", "--json"), "\n")[1]),
		&item); err != nil || item.State != "waiting" || item.Downlink.FPort != 8 {
		t.Errorf("%+v, %v", item, err)
	}
	if out := s.must("", "downlink", "replace", "app1", "dev1", "--f-port", "10", "--frm-payload", "Aw==", "--json"); !strings.Contains(out, `"correlation_ids":["as:downlink:`) {
		t.Errorf("replace: %s", out)
	}
	next(t, ch)
	if list := s.must("", "downlink", "list", "app1", "dev1"); strings.Count(list, "\n") != 1 ||
		!strings.Contains(list, "f_port 10") {
		t.Errorf("queue:\n%s", list)
	}
	contains(t, "a bad one", s.fails(`{"downlinks":[{"frm_payload":"AQ=="}]}`, "downlink", "push", "app1", "dev1", "-"), "no FPort (no_f_port)")
	if m := next(t, ch); m.topic != "v3/app1/devices/dev1/down/failed" {
		t.Errorf("%s", m.topic)
	}
	s.must("", "downlink", "clear", "app1", "dev1")
	if list := s.must("", "downlink", "list", "app1", "dev1"); list != "" {
		t.Errorf("queue:\n%s", list)
	}
}

// checkNewCounters lets a device begin its counter again, and gives it another key, and
// so another session, in which only the counter of downlinks continues: the AppSKey is
// the same.
func checkNewCounters(t *testing.T, s *site, f *forwarder, ch <-chan message) {
	t.Helper()
	f.send(1, "replayed")
	none(t, ch, "a replay")
	s.must("", "device", "set", "dev1", "--application", "app1", "--reset-fcnt")
	f.send(1, "anew")
	contains(t, "after --reset-fcnt", string(next(t, ch).payload), `"f_cnt":1`)
	contains(t, "counters", s.must("", "device", "get", "dev1", "--application", "app1"), "up 1, down ")
	s.must("", "device", "set", "dev1", "--application", "app1", "--nwk-s-key", "33333333333333333333333333333333")
	f.send(3, "the old key")
	none(t, ch, "the old key")
	contains(t, "the new session", s.must("", "device", "get", "dev1", "--application", "app1"), "up 0, down 65")
	s.must("", "device", "delete", "dev1", "--application", "app1")
	contains(t, "gone", s.fails("", "downlink", "list", "app1", "dev1"), "no such device")
}

// A device that joins with what was typed in, and its session on the way to
// another gateway.
func TestHandOver(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-eui", "0102030405060709", "--join-eui",
		"0100000000000000", "--app-key", testApp)
	var key frame.Key
	if err := key.UnmarshalText([]byte(testApp)); err != nil {
		t.Fatal(err)
	}
	phy, err := frame.BuildJoinRequest(frame.JoinRequest{
		JoinEUI: radio.EUI64{1},
		DevEUI:  radio.EUI64{1, 2, 3, 4, 5, 6, 7, 9}, DevNonce: 7,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	f.again(phy)
	s.until("join accepted", "events")
	contains(t, "nonces", s.must("", "device", "get", "dev1", "--application", "app1"),
		"1 used ones remembered; last JoinNonce 65536")
	contains(t, "renamed while the session is offered", s.must("", "device", "set", "dev1", "--application", "app1", "--name", "x")+s.must("", "device", "list", "--json"), `"used_dev_nonces":[7]`)
	f.again(phy)
	s.until("used_dev_nonce", "events")
	s.must("", "device", "set", "dev1", "--application", "app1", "--reset-join-nonces")
	contains(t, "nonces", s.must("", "device", "get", "dev1", "--application", "app1"),
		"0 used ones remembered; last JoinNonce 65536")
}

// A key that is revoked ends its connections at once.
func TestRevoke(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	first := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--name", "first", "--expires",
		"2100-01-01"))
	second := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--name", "second", "--rights",
		"all"))
	r.watch("app1", first, "#")
	r.watch("app1", second, "#")
	list := s.must("", "api-key", "list")
	contains(t, "list", list, "app1", strings.Split(first, ".")[1], "2100-01-01T00:00:00Z", "never", "second",
		"traffic-read,traffic-down-write,traffic-up-write,devices-read,devices-write,gateways-read")
	if strings.Contains(list, strings.Split(first, ".")[2]) || s.must("", "api-key", "list", "--application", "app2",
		"--json") != "" {
		t.Errorf("list:\n%s", list)
	}
	clients := func() int { return r.d.broker.Stats().Clients }
	if clients() != 2 {
		t.Fatalf("%d clients", clients())
	}
	if out := s.must("", "api-key", "revoke", strings.Split(first,
		".")[1]); out != "Revoked a key of app1; connections and sessions that have ended: 1.\n" {
		t.Errorf("%s", out)
	}
	if clients() != 1 {
		t.Errorf("%d clients", clients())
	}
	var key struct{ ID, Name string }
	if err := json.Unmarshal([]byte(s.must("", "api-key", "list", "--json")), &key); err != nil || key.Name != "second" {
		t.Errorf("%+v, %v", key, err)
	}
	r.stop()
	r = s.start()
	if r.d.state.Keys.Len() != 1 {
		t.Errorf("%d keys after a restart", r.d.state.Keys.Len())
	}
	r.watch("app1", second, "#")
}

// The store of a daemon that does not answer is left alone.
func TestLockedStore(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	if err := os.Remove(s.dir + "/control.sock"); err != nil {
		t.Fatal(err)
	}
	contains(t, "locked", s.fails("", "device", "list"),
		"in use by another process, and no daemon answers on the control socket "+s.dir)
	r.stop()
	if out := s.must("", "device", "list", "--json"); out != "" {
		t.Errorf("%s", out)
	}
}

// An import of many is quick, and what devices do meanwhile goes by: a frame is
// answered in RX1, a second after it, of a device that is imported anew as well.
func TestImportMany(t *testing.T) {
	const devices = 5000
	s := newSite(t, "")
	r := s.start()
	var downs atomic.Int64
	f := r.transmitter(testEUI, func(d radio.Downlink) radio.TxResult {
		if d.Frequency == 868_500_000 {
			downs.Add(1)
		}
		return radio.TxOK
	})
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-addr", testAddr.String(), "--nwk-s-key",
		testNwk, "--app-s-key", testApp)
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	ch := r.watch("app1", key, "v3/app1/devices/dev1/up")
	var csv strings.Builder
	csv.WriteString("id;dev_eui;join_eui;lorawan_version;app_key\n")
	for i := range devices {
		fmt.Fprintf(&csv, "dev-%04d;%016X;0000000000000000;1.0.3;%s\n", i, i+1, testApp)
	}
	starved := watchStarvation(t)
	fCnt, sent := uint32(0), int64(0)
	during := func(input, application string) {
		t.Helper()
		done := make(chan string, 1)
		go func() {
			_, out, errOut := s.cli(input, "device", "import", "-", "--application", application, "--update")
			done <- out + errOut
		}()
		worst := time.Duration(0)
		for out := ""; out == ""; {
			select {
			case out = <-done:
				if !strings.HasPrefix(out, "Imported ") {
					t.Errorf("%s", out)
				}
			default:
				begin := time.Now()
				f.sendAs(frame.ConfirmedUp, fCnt, "x")
				fCnt++
				sent++
				next(t, ch)
				worst = max(worst, time.Since(begin))
				time.Sleep(1100 * time.Millisecond) // past RX1
			}
		}
		t.Logf("the slowest of %d uplinks took %v", fCnt, worst)
		if n := downs.Load(); n != sent && starved() { // then windows can be missed
			t.Logf("%d of %d uplinks were answered in RX1", n, sent)
		} else if n != sent {
			t.Errorf("%d of %d uplinks were answered in RX1\n%s", n, sent, s.must("", "events"))
		}
	}
	during(csv.String(), "app2")
	if list := s.must("", "device", "list", "--application", "app2", "--json"); strings.Count(list, "\n") != devices {
		t.Errorf("%d devices", strings.Count(list, "\n"))
	}
	during(s.must("", "device", "export", "--application", "app2"), "app2")
	during(s.must("", "device", "export", "--application", "app1"), "app1")
}

// Commands that only look write nothing: flash wears out.
func TestLookingWritesNothing(t *testing.T) {
	s := newSite(t, "")
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk,
		"--app-s-key", testApp)
	s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef")
	before := s.must("", "backup", "-") + s.storeFiles()
	s.must("", "device", "list")
	s.must("", "device", "export", "--session")
	s.must("", "api-key", "list")
	s.must("", "downlink", "list", "app1", "dev1")
	s.fails("", "device", "delete", "nobody", "--application", "app1")
	if after := s.must("", "backup", "-") + s.storeFiles(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	// The downlink lasts until its device goes.
	s.must("", "device", "delete", "dev1", "--application", "app1")
	if text := s.must("", "backup", "-"); strings.Contains(text, "dev1") {
		t.Errorf("something is left of it:\n%s", text)
	}
}

// storeFiles lists the files of the store with their sizes.
func (s *site) storeFiles() (out string) {
	s.Helper()
	files, err := os.ReadDir(s.dir + "/store")
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			s.Fatal(err)
		}
		out += fmt.Sprintln(f.Name(), info.Size())
	}
	return out
}
