package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// transmitter is a packet forwarder that sends what it is asked to.
func (r *running) transmitter(eui radio.EUI64, transmit func(radio.Downlink) radio.TxResult) *forwarder {
	r.Helper()
	f, err := udp.NewForwarder(udp.ForwarderOptions{Server: r.d.udp.Addr().String(), EUI: eui, Transmit: transmit})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	r.Cleanup(func() { cancel(); wg.Wait() })
	return &forwarder{f, r.TB}
}

// until repeats a command line until its output has what is wanted.
func (s *site) until(want string, args ...string) string {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status, out, errOut := s.cli("", args...)
		if strings.Contains(out, want) {
			return out
		}
		if time.Now().After(end) {
			s.Fatalf("%v: exit status %d, no %q in\n%s%s", args, status, want, out, errOut)
		}
	}
}

// Commands that ask the daemon say clearly that none runs.
func TestNoDaemon(t *testing.T) {
	s := newSite(t, "")
	for _, args := range []string{"events", "events -f", "why as:downlink:X", "gateway list", "status", "status --json"} {
		status, out, errOut := s.cli("", strings.Fields(args)...)
		if status != 1 || out != "" || !strings.HasPrefix(errOut,
			"lorawand: the daemon is not running: no daemon answers on "+s.dir) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit status %d\n%s%s", args, status, out, errOut)
		}
	}
}

// The reason for a refused join, with what to do about it.
func TestEventsOfJoins(t *testing.T) {
	s := newSite(t, "")
	s.must(strings.Replace(otaaJSON, "DEVICE", "dev1", 1), "device", "import", "-", "--application", "app1")
	r := s.start()
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	join := func(eui radio.EUI64, key frame.Key, nonce uint16) {
		phy, err := frame.BuildJoinRequest(frame.JoinRequest{JoinEUI: radio.EUI64{1}, DevEUI: eui, DevNonce: nonce}, key)
		if err != nil {
			t.Fatal(err)
		}
		f.again(phy)
	}
	known, stranger := radio.EUI64{1, 2, 3, 4, 5, 6, 7, 9}, radio.EUI64{7, 7, 7, 7, 7, 7, 7, 7}
	var right, wrong frame.Key
	if err := right.UnmarshalText([]byte(testApp)); err != nil {
		t.Fatal(err)
	}
	join(stranger, right, 1)
	join(known, wrong, 1)
	join(known, right, 1)
	s.until("join accepted", "events")
	join(known, right, 1)
	text := s.until("used_dev_nonce", "events")
	for _, want := range []string{
		"join refused (unknown_dev_eui)  DevEUI 0707070707070707 JoinEUI 0100000000000000  gateway " + "eui-a1c0ffee00000001",
		"join refused (wrong_key)  app1/dev1", "join refused (used_dev_nonce)  app1/dev1", "join accepted  app1/dev1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "join refused") && !strings.Contains(line, ";") {
			t.Errorf("no hint in %q", line)
		}
	}
	if out := s.must("", "events", "--device", "0707070707070707"); strings.Count(out, "\n") != 1 {
		t.Errorf("of one DevEUI:\n%s", out)
	}
	if out := s.must("", "events", "--device", "dev1"); strings.Contains(out, "0707070707070707") ||
		strings.Count(out, "\n") < 3 {
		t.Errorf("of one device:\n%s", out)
	}
	out := s.must("", "events", "--json", "--gateway", "eui-a1c0ffee00000001")
	for line := range strings.Lines(out) {
		var e struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Kind == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
	if !strings.Contains(out, `"kind":"join_refused","reason":"unknown_dev_eui"`) {
		t.Errorf("%s", out)
	}
}

// otaaJSON is a device that joins.
const otaaJSON = `{"ids":{"device_id":"DEVICE","dev_eui":"0102030405060709","join_eui":"0100000000000000"},"lorawan_version":"MAC_V1_0_3",` +
	`"lorawan_phy_version":"PHY_V1_0_3_REV_A","frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":"22222222222222222222222222222222"}}}`

// An acknowledgement, from the uplink to its decision.
func TestWhy(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	r := s.start()
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.ConfirmedUp, DevAddr: testAddr, HasFPort: true, FPort: 1,
		FRMPayload: []byte("x"),
	}, 0, testKeys(t))
	if err != nil {
		t.Fatal(err)
	}
	f.again(phy)
	out := s.until("downlink_sent", "events", "--json")
	var e struct {
		IDs []string `json:"correlation_ids"`
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "downlink_sent") {
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(e.IDs) == 0 {
		t.Fatalf("no correlation ids in\n%s", out)
	}
	for _, id := range e.IDs[1:] {
		text := s.must("", "why", id)
		for _, want := range []string{
			"uplink f_cnt 0 heard", "acknowledgement", "RX1 868.5 MHz SF7BW125",
			"chosen; handed to gateway eui-a1c0ffee00000001", "sent",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", id, want, text)
			}
		}
	}
	if out := s.must("", "why", "--json", e.IDs[0]); !strings.Contains(out, `"options":[{"window":"RX1"`) {
		t.Errorf("%s", out)
	}
	if status, _, errOut := s.cli("", "why", "as:downlink:NONE"); status != 1 ||
		!strings.Contains(errOut, `"as:downlink:NONE": no event about it is remembered`) {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	checkOneGateway(t, s)
}

// checkOneGateway reads what gateway list and status say of a gateway that has heard one
// uplink and has answered it.
func checkOneGateway(t *testing.T, s *site) {
	t.Helper()
	out := s.must("", "gateway", "list")
	for _, want := range []string{"eui-a1c0ffee00000001", "EU_863_870_TTN", "connected ", "868.0–868.6 MHz 0.00 of 1 %"} {
		if !strings.Contains(out, want) {
			t.Errorf("gateway list: %q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "never") || strings.Contains(out, "unconfirmed") {
		t.Errorf("gateway list:\n%s", out)
	}
	for _, name := range []string{"eui-a1c0ffee00000001", "a1c0ffee00000001", "A1C0FFEE00000001"} {
		out = s.must("", "gateway", "get", name)
		for _, want := range []string{
			"gateway:        eui-a1c0ffee00000001\nplan:           EU_863_870_TTN\nstate:          connected ",
			"\nlast TX_ACK:    ", "\nduty cycle:     868.0–868.6 MHz 0.00 of 1 %\naddress:        127.0.0.1:",
		} {
			contains(t, "gateway get "+name, out, want)
		}
	}
	contains(t, "gateway get --json", s.must("", "gateway", "get", "--json", "eui-a1c0ffee00000001"), `"confirmed":true`)
	contains(t, "no gateway", s.fails("", "gateway", "get", "gw9"), `gateway "gw9": no such gateway`)
	out = s.must("", "gateway", "airtime", "--proof", "eui-a1c0ffee00000001")
	for _, want := range []string{
		"868.0–868.6 MHz  36 s", "RX1", "HIGHEST", "network", "1 emission checked: none meets another",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("gateway airtime: %q is not in\n%s", want, out)
		}
	}
	if out := s.must("", "gateway", "airtime", "--json"); !strings.Contains(out, `"allowed_s":36`) ||
		strings.Contains(out, "emission") {
		t.Errorf("gateway airtime --json: %s", out)
	}
	if status, _, errOut := s.cli("", "gateway", "airtime", "gw9"); status != 1 ||
		!strings.Contains(errOut, "no such gateway") {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	var g struct {
		EUI       string
		Confirmed bool
		Pull      *float64 `json:"last_pull_data_s"`
	}
	if err := json.Unmarshal([]byte(s.must("", "gateway", "list", "--json")), &g); err != nil ||
		g.EUI != testEUI.String() || !g.Confirmed || g.Pull == nil {
		t.Errorf("%+v, %v", g, err)
	}
	out = s.must("", "status")
	for _, want := range []string{
		"lorawand development", "gateways:  1, 1 connected", "devices:   1, 0 joins",
		"uplinks:   1 heard, 1 published",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status: %q is not in\n%s", want, out)
		}
	}
}

// A gateway that never answers is "unconfirmed", one that was never there "never connected".
func TestGatewayList(t *testing.T) {
	s := newSite(t, "[[gateway]]\nid = \"roof\"\neui = \"0000000000000002\"\nfrequency_plan = \"US_902_928_FSB_2\"\n")
	r := s.start()
	r.forwarder(testEUI)
	out := s.until("unconfirmed", "gateway", "list")
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "roof") && (!strings.Contains(line, "never connected") ||
			!strings.Contains(line, "US_902_928_FSB_2") || !strings.Contains(line, "nothing sent")) {
			t.Errorf("%s", line)
		}
	}
}

// events -f ends with Ctrl-C, and that is no failure.
func TestFollowEvents(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	follow := func() (cancel func(), ended <-chan string) {
		t.Helper()
		pr, pw := io.Pipe()
		t.Cleanup(func() { _ = pr.Close() })
		cancel, ended = beside(t, func(ctx context.Context) string {
			var errOut bytes.Buffer
			status := run(ctx, []string{"events", "-f", "-c", s.conf}, strings.NewReader(""), pw, &errOut)
			return fmt.Sprint(status, errOut.String())
		})
		line := make([]byte, 200)
		n, err := pr.Read(line)
		if err != nil || !strings.Contains(string(line[:n]), "gateway connected") {
			t.Errorf("%q, %v", line[:n], err)
		}
		go func() { _, _ = io.Copy(io.Discard, pr) }()
		return cancel, ended
	}
	r.forwarder(testEUI)
	cancel, ended := follow()
	cancel()
	select {
	case got := <-ended:
		if got != "0" {
			t.Errorf("exit status %s", got)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
	// One whose daemon ends is told so.
	_, ended = follow()
	r.stop()
	select {
	case got := <-ended:
		if !strings.HasPrefix(got, "1") || !strings.Contains(got, "the daemon stops") {
			t.Errorf("%s", got)
		}
	case <-time.After(patience):
		t.Error("it outlives the daemon")
	}
}
