package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// upMessage has some fields of an "up" message.
type upMessage struct {
	IDs struct {
		Device string `json:"device_id"`
		App    struct {
			ID string `json:"application_id"`
		} `json:"application_ids"`
		DevEUI  string `json:"dev_eui"`
		JoinEUI string `json:"join_eui"`
		DevAddr string `json:"dev_addr"`
	} `json:"end_device_ids"`
	ReceivedAt time.Time `json:"received_at"`
	Up         struct {
		FPort    int    `json:"f_port"`
		Payload  []byte `json:"frm_payload"`
		Settings struct {
			DataRate struct {
				LoRa struct {
					Bandwidth, SF int
					CodingRate    string `json:"coding_rate"`
				} `json:"lora"`
			} `json:"data_rate"`
			Index     int    `json:"data_rate_index"`
			Frequency string `json:"frequency"`
		} `json:"settings"`
		Meta []struct {
			IDs   struct{ ID, EUI string } `json:"gateway_ids"`
			RSSI  int                      `json:"rssi"`
			SNR   float64                  `json:"snr"`
			Token string                   `json:"uplink_token"`
		} `json:"rx_metadata"`
		Airtime string `json:"consumed_airtime"`
	} `json:"uplink_message"`
}

// From a datagram to v3/app1/devices/dev1/up, over a restart.
func TestWholeFlow(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	plain, tenant := r.watch("app1", key, "#"), r.watch("app1@ttn", key, "v3/+/devices/+/up")
	f := r.forwarder(testEUI)
	first := f.send(0, "Temperature = 0.0")
	m := next(t, plain)
	if m.topic != "v3/app1/devices/dev1/up" {
		t.Errorf("topic %s", m.topic)
	}
	var v upMessage
	if err := json.Unmarshal(m.payload, &v); err != nil {
		t.Fatalf("%s: %v", m.payload, err)
	}
	if v.IDs.Device != "dev1" || v.IDs.App.ID != "app1" || v.IDs.DevEUI != "0102030405060708" || v.IDs.JoinEUI != "" ||
		v.IDs.DevAddr != "01ABCDEF" {
		t.Errorf("end_device_ids %+v", v.IDs)
	}
	u := v.Up
	if u.FPort != 15 || string(u.Payload) != "Temperature = 0.0" || u.Settings.Frequency != "868500000" ||
		u.Settings.Index != 5 || u.Settings.DataRate.LoRa.Bandwidth != 125000 || u.Airtime != "0.071936s" {
		t.Errorf("uplink_message %+v", u)
	}
	if len(u.Meta) != 1 || u.Meta[0].RSSI != -35 || u.Meta[0].SNR != 5 {
		t.Fatalf("rx_metadata %+v", u.Meta)
	}
	if tok, err := radio.ParseUplinkToken(u.Meta[0].Token); err != nil || tok.Gateway != testEUI {
		t.Errorf("uplink_token %+v, %v", tok, err)
	}
	if m := next(t, tenant); m.topic != "v3/app1@ttn/devices/dev1/up" || !strings.Contains(string(m.payload), `"application_id":"app1"`) {
		t.Errorf("with the tenant: %s %s", m.topic, m.payload)
	}
	f.again(first)
	none(t, plain, "a frame sent again")
	f.send(1, "two")
	next(t, plain)
	r.stop()

	r = s.start()
	again := r.watch("app1", key, "#")
	f = r.forwarder(testEUI)
	f.again(first)
	none(t, again, "a frame replayed after a restart")
	f.send(2, "three")
	if m := next(t, again); !strings.Contains(string(m.payload), `"f_cnt":2`) {
		t.Errorf("after the restart: %s", m.payload)
	}
}

// A gateway that is not in the configuration is refused, unless all are taken.
func TestUnknownGateway(t *testing.T) {
	stranger := radio.EUI64{9}
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ch := r.watch("app1", key, "#")
	f := r.forwarder(stranger)
	f.send(0, "x")
	f.send(1, "y")
	none(t, ch, "an unknown gateway")
	out := s.until("gateway refused  gateway eui-0900000000000000  at 127.0.0.1:", "events", "--gateway",
		"eui-0900000000000000")
	if !strings.HasSuffix(out, "  not in the configuration;  if it is yours, add to the configuration [[gateway]] with "+
		"eui = \"0900000000000000\"\n") || strings.Count(out, "\n") != 1 {
		t.Errorf("events:\n%s", out)
	}
	out = s.must("", "events", "--json")
	if !strings.Contains(out, `"kind":"gateway_refused"`) || !strings.Contains(out, `"gateway_eui":"0900000000000000","address":"127.0.0.1:`) {
		t.Errorf("events: %s", out)
	}
	if list := s.must("", "gateway", "list"); strings.Contains(list, "09000000") {
		t.Errorf("it is among the gateways:\n%s", list)
	}
	if !strings.Contains(r.logged(), "0900000000000000") {
		t.Errorf("it is not named in the log:\n%s", r.logged())
	}
	r.stop()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "[udp]", "[udp]\naccept_unknown = true", 1))
	r = s.start()
	ch = r.watch("app1", key, "#")
	r.forwarder(stranger).send(0, "x")
	if m := next(t, ch); !strings.Contains(string(m.payload), `"gateway_id":"eui-0900000000000000"`) {
		t.Errorf("%s", m.payload)
	}
}

// The lines of The Things Stack's documentation, with the real client.
func TestMosquitto(t *testing.T) {
	sub := tool(t, "mosquitto_sub")
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	host, port, _ := net.SplitHostPort(r.d.mqttAddr().String())
	f := r.forwarder(testEUI)
	fCnt := uint32(0)
	for _, version := range []string{"mqttv311", "mqttv31", "mqttv5"} {
		cmd := exec.Command(sub, "-h", host, "-p", port, "-t", "#", "-u", "app1", "-P", key, "-d", "-C", "1", "-W", "30",
			"-V", version)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		for waiting := true; waiting; { // until it has subscribed and got one
			f.send(fCnt, "hello")
			fCnt++
			select {
			case err = <-ended:
				waiting = false
			case <-time.After(100 * time.Millisecond):
			}
		}
		if err != nil {
			t.Errorf("%s: %v", version, err)
		}
		for _, want := range []string{"'v3/app1/devices/dev1/up'", `"frm_payload":"aGVsbG8="`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %s is not in\n%s", version, want, out.String())
			}
		}
	}
	cmd := exec.Command(sub, "-h", host, "-p", port, "-t", "#", "-u", "app1", "-P", "NNSXS.wrong", "-C", "1", "-W", "5")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not authorised") {
		t.Errorf("wrong key: %v\n%s", err, out)
	}
}

// Devices on the simulated air, through the forwarder: nothing is lost.
func TestManyDevices(t *testing.T) {
	s := newSite(t, "")
	var devices strings.Builder
	const n = 40
	for i := range n {
		devices.WriteString(strings.Replace(deviceJSON(fmt.Sprintf("dev%d", i), fmt.Sprintf("01ABCD%02X", i)), `"dev_eui":"0102030405060708",`, "", 1) + "\n")
	}
	s.must("", "device", "import", s.write("devices.json", devices.String()), "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ch := r.watch("app1", key, "v3/app1/devices/+/up")
	f := r.forwarder(testEUI)
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	a := air.New(1)
	a.Listen(air.ReceiverOptions{EUI: testEUI, Hear: f.Uplink})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	const rounds = 5
	for i := range n {
		dev, err := a.Device(air.DeviceOptions{
			Name: fmt.Sprint(i), DevAddr: radio.DevAddr{0x01, 0xAB, 0xCD, byte(i)},
			Keys: testKeys(t), Plan: plan, DataRate: 5,
		})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for k := range rounds {
				if _, err := dev.Send(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{byte(i), byte(k)}}); err != nil {
					t.Error(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	seen := map[string]bool{}
	for range n * rounds {
		m := next(t, ch)
		var v struct {
			Up struct {
				Payload string `json:"frm_payload"`
			} `json:"uplink_message"`
		}
		if err := json.Unmarshal(m.payload, &v); err != nil || seen[v.Up.Payload] {
			t.Fatalf("%s %s, %v: twice or broken", m.topic, m.payload, err)
		}
		seen[v.Up.Payload] = true
	}
	none(t, ch, "nothing sent")
}

func TestDemo(t *testing.T) { testDemo(t, radioUDP, "9s", `"rssi":-50,`) }

// The level is what the model of the chip tells in steps of 1 dB, on a board with
// an offset of -215.4 dB.
func TestDemoSX1302(t *testing.T) { testDemo(t, radioSX1302, "11s", `"rssi":-50.4`) }

func testDemo(t *testing.T, radio, duration, level string) {
	for tries := 3; ; tries-- {
		starved := watchStarvation(t)
		fault := demoFault(radio, duration, level)
		if fault == "" {
			break
		}
		if tries == 1 || !starved() { // else windows can be missed
			t.Fatal(fault)
		}
	}
}

// demoFault runs the demonstration, and returns what is wrong with it; "": nothing.
func demoFault(radio, duration, level string) string {
	var out, errOut bytes.Buffer
	args := []string{"demo", "--radio", radio, "--duration", duration, "--speed", "4", "--devices", "4", "--json"}
	status := run(context.Background(), args, strings.NewReader(""), &lockedWriter{w: &out}, &lockedWriter{w: &errOut})
	// The chip counts in 1/32 µs, and rounds.
	text := strings.NewReplacer(", 1µs from", ", 0s from", ", -1µs from", ", 0s from").Replace(out.String())
	if status != 0 {
		return fmt.Sprintf("exit status %d\n%s%s", status, text, errOut.String())
	}
	for _, want := range []string{
		"mosquitto_sub -h 127.0.0.1", "v3/app1/devices/dev1/up", "v3/app1/devices/dev4/up", `"uplink_token":"`, level, `"snr":9.5`, `"gateway_id":"eui-0242020000247803"`,
		"v3/app1/devices/dev1/join", "v3/app1/devices/dev2/down/queued", "v3/app1/devices/dev3/down/sent",
		"-- dev1 heard in RX1, 0s from its opening: join-accept",
		"-- dev4 heard in RX1, 0s from its opening: f_cnt 1, acknowledgement, f_port 15: BEEF",
	} {
		if !strings.Contains(text, want) {
			return fmt.Sprintf("%s is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "did not hear") {
		return "a downlink was not heard:\n" + text
	}
	var sent, arrived, heard int
	last := text[strings.LastIndex(text, "Stopped."):]
	if _, err := fmt.Sscanf(last, "Stopped. Uplinks sent: %d, messages arrived: %d, downlinks heard: %d.", &sent, &arrived,
		&heard); err != nil || sent < 8 || arrived < 16 || heard < 8 {
		return fmt.Sprintf("%s%v\n%s", last, err, errOut.String())
	}
	return ""
}
