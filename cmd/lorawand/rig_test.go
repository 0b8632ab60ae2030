package main

// The rig of whole flows has two stages. A new test takes the smaller one that
// shows what it is about.
//
//   - site (this file) is a folder with a configuration and a store. start makes
//     it a running daemon, with real sockets and the real clock: running.watch is
//     an MQTT client, running.forwarder a packet forwarder whose send hands a
//     frame of the device dev1 (deviceJSON) over. next and none look at what the
//     client gets. TestWorkedExample below is the shortest whole flow.
//   - world (rigworld_test.go) is devices on an air, gateways and the bridge in the
//     fake time of a synctest bubble, without sockets, broker and disk: days pass
//     in seconds. TestAirClock in world_test.go shows its use.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
	"lorawand/cmd/lorawand/demo"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// patience is how long a test waits for what has to come: the machine may be slow and loaded.
const patience = 30 * time.Second

var (
	testEUI  = radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 0, 1}
	testNwk  = "11111111111111111111111111111111"
	testApp  = "22222222222222222222222222222222"
	testAddr = radio.DevAddr{0x01, 0xAB, 0xCD, 0xEF}
)

// deviceJSON is an ABP device as The Things Stack writes it.
func deviceJSON(id, addr string) string {
	return fmt.Sprintf(`{"ids":{"device_id":%q,"dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3",`+
		`"lorawan_phy_version":"PHY_V1_0_3_REV_A","frequency_plan_id":"EU_863_870_TTN","session":{"dev_addr":%q,"keys":{"f_nwk_s_int_key":{"key":%q},"app_s_key":{"key":%q}}}}`,
		id, addr, testNwk, testApp)
}

// settledSettings are those of a device that is asked for nothing: it has what the plan
// and its owner want. The first of two numbers is its RX1 delay, s, and so the second.
const settledSettings = `"mac_settings":{"rx1_delay":%d,"desired_rx1_delay":%d,"desired_rx2_data_rate_index":0,` +
	`"status_count_periodicity":0,"status_time_periodicity":"0s","factory_preset_frequencies":["868100000","868300000",` +
	`"868500000","867100000","867300000","867500000","867700000","867900000"]},"session"`

// settledDevice is a device of deviceJSON with these: its first downlink is what a test
// has pushed.
func settledDevice(id, addr string, rx1Delay int) string {
	return strings.Replace(deviceJSON(id, addr), `"session"`, fmt.Sprintf(settledSettings, rx1Delay, rx1Delay), 1)
}

// site is a folder with a configuration and a store.
type site struct {
	testing.TB
	dir, conf string
}

func newSite(t testing.TB, more string) *site {
	t.Helper()
	s := &site{TB: t, dir: t.TempDir()}
	s.conf = filepath.Join(s.dir, "lorawand.toml")
	s.write("lorawand.toml", fmt.Sprintf(`
[store]
path = %q
ephemeral = true
[control]
socket = %q
[mqtt]
listen = ["127.0.0.1:0"]
[http]
listen = ""
[udp]
listen = "127.0.0.1:0"
[[gateway]]
eui = %q
%s
`, filepath.Join(s.dir, "store"), filepath.Join(s.dir, "control.sock"), testEUI, more))
	return s
}

func (s *site) write(name, text string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// cli runs a command line of the site.
func (s *site) cli(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	status = run(context.Background(), append(args, "-c", s.conf), strings.NewReader(stdin), &out, &errOut)
	return status, out.String(), errOut.String()
}

// must runs a command line that is to succeed, and returns what it printed.
func (s *site) must(stdin string, args ...string) string {
	s.Helper()
	status, out, errOut := s.cli(stdin, args...)
	if status != 0 {
		s.Fatalf("%v: exit status %d\n%s%s", args, status, out, errOut)
	}
	return out
}

// running is a daemon at work.
type running struct {
	testing.TB
	d    *daemon
	log  *lockedWriter
	text *bytes.Buffer
	stop func()
}

func (s *site) start() *running { return s.startOn(newOpener(), nil) }

// startOn is start with the way to open boards, and with what the store writes
// to; nil is its folder.
func (s *site) startOn(open opener, disk store.FS) *running {
	s.Helper()
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	r := &running{TB: s.TB, text: &bytes.Buffer{}}
	r.log = &lockedWriter{w: r.text}
	d, err := newDaemonOn(c, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), open,
		disk)
	if err != nil {
		s.Fatal(err)
	}
	r.d = d
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				s.Errorf("the daemon ends with %v", err)
			}
		case <-time.After(5 * time.Second):
			s.Error("the daemon does not stop within 5 s")
		}
	})
	s.Cleanup(r.stop)
	return r
}

// beside runs something beside the test. It is stopped, and waited for, at the end of the test too, lest that of a
// test that gives up goes on beside others.
func beside[T any](t testing.TB, run func(ctx context.Context) T) (stop context.CancelFunc, ended <-chan T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	result, over := make(chan T, 1), make(chan struct{})
	go func() { defer close(over); result <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case <-over:
		case <-time.After(patience):
			t.Errorf("what ran beside the test does not end in %v", patience)
		}
	})
	return stop, result
}

func (r *running) logged() string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.text.String()
}

// message is what a client has got.
type message struct {
	topic   string
	payload []byte
}

// watch subscribes and returns what comes.
func (r *running) watch(user, key, filter string) <-chan message {
	r.Helper()
	ch := make(chan message, 10_000)
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := demo.Login{Broker: r.d.mqttAddr().String(), User: user, Password: key}.Watch(ctx, filter, func() {
			close(ready)
		}, func(topic string, payload []byte) {
			ch <- message{topic, payload}
		})
		if err != nil && !errors.Is(err, io.EOF) {
			r.Logf("watch: %v", err)
		}
	})
	r.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-ready:
	case <-time.After(patience):
		r.Fatalf("no subscription\n%s", r.logged())
	}
	return ch
}

func next(t testing.TB, ch <-chan message) message {
	t.Helper()
	select {
	case m := <-ch:
		return m
	case <-time.After(patience):
		t.Fatalf("no message in %v", patience)
		return message{}
	}
}

func none(t testing.TB, ch <-chan message, what string) {
	t.Helper()
	select {
	case m := <-ch:
		t.Errorf("%s gives a message on %s: %s", what, m.topic, m.payload)
	case <-time.After(300 * time.Millisecond):
	}
}

// forwarder is a packet forwarder whose frames are made by the test.
type forwarder struct {
	*udp.Forwarder
	testing.TB
}

func (r *running) forwarder(eui radio.EUI64) *forwarder {
	r.Helper()
	f, err := udp.NewForwarder(udp.ForwarderOptions{Server: r.d.udp.Addr().String(), EUI: eui})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	r.Cleanup(func() { cancel(); wg.Wait() })
	return &forwarder{f, r.TB}
}

func testKeys(t testing.TB) (k frame.SessionKeys) {
	t.Helper()
	if err := errors.Join(k.FNwkSIntKey.UnmarshalText([]byte(testNwk)),
		k.AppSKey.UnmarshalText([]byte(testApp))); err != nil {
		t.Fatal(err)
	}
	k.SNwkSIntKey, k.NwkSEncKey = k.FNwkSIntKey, k.FNwkSIntKey
	return k
}

// send forwards a frame of the test device and returns its bytes.
func (f *forwarder) send(fCnt uint32, payload string) []byte {
	f.Helper()
	return f.sendAs(frame.UnconfirmedUp, fCnt, payload)
}

func (f *forwarder) sendAs(m frame.MType, fCnt uint32, payload string) []byte {
	f.Helper()
	phy, err := frame.BuildUplink(frame.Data{
		MType: m, DevAddr: testAddr, HasFPort: true, FPort: 15,
		FRMPayload: []byte(payload),
	}, fCnt, testKeys(f.TB))
	if err != nil {
		f.Fatal(err)
	}
	f.again(phy)
	return phy
}

func (f *forwarder) again(phy []byte) {
	f.Uplink(radio.Uplink{
		PHYPayload: phy, Frequency: 868_500_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Time: radio.ConcentratorTime(uint32(time.Now().UnixMicro())), GatewayTime: time.Now(),
		Receptions: []radio.Reception{{Channel: 2, RSSI: -3500, SNR: 500}},
	})
}

// The worked example: a daemon starts, a device sends a frame, and an MQTT client
// gets its payload. Copy it to begin a test.
func TestWorkedExample(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ups := r.watch("app1", key, "v3/app1/devices/+/up")
	r.forwarder(testEUI).send(1, "hello")
	m := next(t, ups)
	if m.topic != "v3/app1/devices/dev1/up" || !strings.Contains(string(m.payload), `"frm_payload":"aGVsbG8="`) {
		t.Errorf("%s: %s", m.topic, m.payload)
	}
}
