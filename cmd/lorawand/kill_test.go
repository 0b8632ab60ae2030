package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// killsEnv asks for more kills than the few that every test run does.
const killsEnv = "LORAWAND_KILLS"

// TestKill kills the daemon at random instants, in real traffic, and starts it
// again. No frame counter may carry two plaintexts, nothing that was answered
// may be lost, no device may have to join again.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 20
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		kills = n
	}
	k := newKilled(t)
	k.start()
	k.traffic()
	k.joined()
	k.wg.Go(k.application)
	var slowest time.Duration
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for range kills {
		time.Sleep(time.Duration(rnd.Int64N(int64(2 * time.Second))))
		k.kill()
		slowest = max(slowest, k.start())
	}
	k.drain()
	k.kill()
	k.check()
	t.Logf("%d kills, serving again after at most %v; %d items answered, %d downlinks on the air", kills,
		slowest.Round(time.Millisecond), len(k.answered), len(k.sent))
	if slowest > time.Second {
		t.Errorf("serving again after %v", slowest)
	}
}

// killed is a daemon that is killed, with what goes on around it.
type killed struct {
	*site
	binary     string
	mqtt, port string
	key        string
	cmd        *exec.Cmd
	client     paho.Client
	devices    []*air.Device
	stop       chan struct{}
	wg         sync.WaitGroup

	mu       sync.Mutex
	joins    map[string]int
	pushes   int
	answered map[string]string // payload: device
	heard    map[string]bool   // payloads
	missed   map[string]int    // device: transmissions for it that it did not hear
	sent     []air.Transmission
	ups      map[string]bool // device and f_cnt
	twice    []string
}

const killDevices = 8

func newKilled(t *testing.T) *killed {
	t.Helper()
	k := &killed{
		mqtt: freeTCP(t), port: freeUDP(t), stop: make(chan struct{}),
		joins: map[string]int{}, answered: map[string]string{}, heard: map[string]bool{}, missed: map[string]int{},
		ups: map[string]bool{},
	}
	k.site = newSite(t, "")
	conf, err := os.ReadFile(k.conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`, fmt.Sprintf("listen = [%q]", k.mqtt), 1)
	text = strings.Replace(text, `listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", k.port), 1)
	text += "enforce_duty_cycle = false\n"
	text = strings.Replace(text, "[store]", "[network]\nrx1_delay = \"1s\"\n[store]\ncommit_interval = \"500ms\"", 1)
	k.write("lorawand.toml", text)
	k.binary = filepath.Join(k.dir, "lorawand")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var devices strings.Builder
	for i := range killDevices {
		if i%2 == 0 {
			d := deviceJSON(killName(i), fmt.Sprintf("010000%02X", i))
			fmt.Fprintln(&devices, strings.Replace(d, `"session"`, `"mac_settings":{"rx2_data_rate_index":3},"session"`, 1))
			continue
		}
		fmt.Fprintf(&devices, `{"ids":{"device_id":%q,"dev_eui":"00000000000000%02X","join_eui":"0000000000000007"},"lorawan_version":"MAC_V1_0_4",`+
			`"lorawan_phy_version":"PHY_V1_0_4","frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":%q}}}`+"\n", killName(i), i, testApp)
	}
	k.must(devices.String(), "device", "import", "-", "--application", "app1")
	k.key = strings.TrimSpace(k.must("", "api-key", "create", "--application", "app1"))
	return k
}

func killName(i int) string { return fmt.Sprintf("dev%02d", i) }

func freeTCP(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func freeUDP(t testing.TB) string {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().String()
}

// start starts the daemon and returns how long it takes until a client is
// logged in and subscribed.
func (k *killed) start() time.Duration {
	k.Helper()
	begin := time.Now()
	k.cmd = exec.Command(k.binary, "run", "-c", k.conf)
	log, err := os.OpenFile(filepath.Join(k.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.Fatal(err)
	}
	defer log.Close()
	k.cmd.Stdout, k.cmd.Stderr = log, log
	if err := k.cmd.Start(); err != nil {
		k.Fatal(err)
	}
	for {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
			k.mqtt).SetClientID("app").SetUsername("app1").SetPassword(k.key).
			SetAutoReconnect(false).SetOrderMatters(false).SetConnectTimeout(time.Second).SetWriteTimeout(time.Second))
		if token := c.Connect(); token.WaitTimeout(2*time.Second) && token.Error() == nil {
			if token := c.Subscribe("#", 1, k.message); token.WaitTimeout(2*time.Second) && token.Error() == nil {
				k.mu.Lock()
				k.client = c
				k.mu.Unlock()
				return time.Since(begin)
			}
		}
		if time.Since(begin) > 10*time.Second {
			text, _ := os.ReadFile(filepath.Join(k.dir, "log"))
			k.Fatalf("the daemon does not serve:\n%s", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kill ends the daemon as a power cut would, but that the disk lives on.
func (k *killed) kill() {
	k.Helper()
	if err := k.cmd.Process.Kill(); err != nil {
		k.Fatal(err)
	}
	_ = k.cmd.Wait()
	k.mu.Lock()
	c := k.client
	k.client = nil
	k.mu.Unlock()
	c.Disconnect(0)
}

// message looks at what comes over MQTT: an uplink may come once only; an item
// that has failed is not lost, since the application knows.
func (k *killed) message(_ paho.Client, m paho.Message) {
	_, rest, _ := strings.Cut(string(m.Payload()), `"frm_payload":"`)
	text, _, _ := strings.Cut(rest, `"`)
	payload, _ := base64.StdEncoding.DecodeString(text)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case strings.HasSuffix(m.Topic(), "/down/failed"):
		k.heard[string(payload)] = true
		return
	case !strings.HasSuffix(m.Topic(), "/up"):
		return
	}
	if id := m.Topic() + string(payload); k.ups[id] {
		k.twice = append(k.twice, id)
	} else {
		k.ups[id] = true
	}
}

// traffic begins: devices on the air, a packet forwarder, an application.
func (k *killed) traffic() {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		k.Fatal(err)
	}
	ether := air.New(3)
	ether.Log(func(tx air.Transmission) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.sent = append(k.sent, tx)
	})
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{EUI: testEUI, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) }})
	if f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: k.port, EUI: testEUI, KeepAlive: 100 * time.Millisecond,
		Transmit: receiver.Transmit,
	}); err != nil {
		k.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	wg.Go(func() { _ = ether.Run(ctx) })
	k.Cleanup(func() { cancel(); wg.Wait() })
	for i := range killDevices {
		o := air.DeviceOptions{
			Name: killName(i), Plan: plan, DataRate: 5, RSSI: -7000, SNR: 800, Heard: k.deviceHeard, Missed: k.deviceMissed,
			Version: air.V1_0_4,
		}
		if i%2 == 0 {
			o.DevAddr, o.Keys, o.Version = radio.DevAddr{1, 0, 0, byte(i)}, testKeys(k.TB), air.V1_0_3
			o.RX2 = region.Window{Frequency: 869_525_000, DataRate: 3}
		} else {
			o.DevEUI, o.JoinEUI = radio.EUI64{7: byte(i)}, radio.EUI64{7: 7}
			_ = o.RootKeys.AppKey.UnmarshalText([]byte(testApp))
		}
		v, err := ether.Device(o)
		if err != nil {
			k.Fatal(err)
		}
		k.devices = append(k.devices, v)
		k.wg.Go(func() { k.live(v) })
	}
}

// joined waits until every device that joins has joined.
func (k *killed) joined() {
	k.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		k.mu.Lock()
		n := len(k.joins)
		k.mu.Unlock()
		if n == killDevices/2 {
			return
		}
		if time.Now().After(end) {
			k.Fatalf("%d of %d devices have joined", n, killDevices/2)
		}
	}
}

func (k *killed) deviceHeard(h air.Heard) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.JoinAccept != nil {
		k.joins[h.Device]++
	}
	if h.Data != nil && h.Data.FPort > 0 {
		k.heard[string(h.Data.FRMPayload)] = true
	}
}

func (k *killed) deviceMissed(m air.Missed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missed[m.Device]++
}

// live is a device: it joins until it has joined, and then sends for ever.
func (k *killed) live(v *air.Device) {
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
	for n := 0; ; n++ {
		d := frame.Data{
			MType: frame.UnconfirmedUp, HasFPort: true, FPort: 2,
			FRMPayload: fmt.Appendf(nil, "%s %d", v.Name(), n),
		}
		if n%3 == 0 {
			d.MType = frame.ConfirmedUp
		}
		// At random, lest two devices meet in their windows for ever.
		wait := time.Duration(2500+rand.IntN(1000)) * time.Millisecond
		if _, err := v.Send(d); errors.Is(err, air.ErrDevice) {
			_, err = v.Join()
			if err != nil {
				k.Error(err)
			}
			wait = 7 * time.Second
		}
		select {
		case <-k.stop:
			return
		case <-time.After(max(wait, v.Busy())):
		}
		for v.Busy() > 0 { // it still receives
			time.Sleep(v.Busy())
		}
	}
}

// application pushes, one after the other, and keeps what it has a PUBACK for.
func (k *killed) application() {
	for {
		select {
		case <-k.stop:
			return
		case <-time.After(250 * time.Millisecond):
		}
		k.mu.Lock()
		c := k.client
		k.pushes++
		n := k.pushes
		k.mu.Unlock()
		if c == nil || len(k.missing()) > 5*killDevices { // more than the air can carry between kills
			continue
		}
		device := killName(n % killDevices)
		payload := fmt.Sprintf("item %d", n)
		body := fmt.Sprintf(`{"downlinks":[{"f_port":5,"frm_payload":%q,"confirmed":%v}]}`, base64.StdEncoding.EncodeToString([]byte(payload)), n%4 == 0)
		token := c.Publish("v3/app1/devices/"+device+"/down/push", 1, false, body)
		if token.WaitTimeout(3*time.Second) && token.Error() == nil {
			k.mu.Lock()
			k.answered[payload] = device
			k.mu.Unlock()
		}
	}
}

// drain lets traffic go on without new items until all that were answered are
// heard.
func (k *killed) drain() {
	close(k.stop)
	k.wg.Wait()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end) && len(k.missing()) > 0; {
		for _, v := range k.devices {
			if v.Busy() == 0 {
				_, _ = v.Send(frame.Data{HasFPort: true, FPort: 3, FRMPayload: fmt.Appendf(nil, "drain %d", time.Now().UnixNano())})
			}
			time.Sleep(time.Duration(250+rand.IntN(200)) * time.Millisecond)
		}
	}
}

// missing returns the items that were answered and that no device has heard.
func (k *killed) missing() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for payload, device := range k.answered {
		if !k.heard[payload] {
			out = append(out, device+" "+payload)
		}
	}
	slices.Sort(out)
	return out
}

// lost returns the items that were answered and neither heard nor failed, but for as
// many of a device as it missed on the air: a frame that asks for no acknowledgement
// is sent once, and whether it is heard depends on how fast the machine is.
func (k *killed) lost() (out []string) {
	k.mu.Lock()
	missed := maps.Clone(k.missed)
	k.mu.Unlock()
	for _, item := range k.missing() {
		var n int
		device, payload, _ := strings.Cut(item, " ")
		_, _ = fmt.Sscanf(payload, "item %d", &n)
		if confirmed := n%4 == 0; confirmed || missed[device] == 0 {
			out = append(out, item)
			continue
		}
		missed[device]--
	}
	return out
}

func (k *killed) check() {
	if lost := k.lost(); len(lost) > 0 {
		k.Errorf("%d of %d items that were answered are lost: %v", len(lost), len(k.answered), lost[:min(len(lost), 10)])
	}
	for i, v := range k.devices {
		if i%2 == 1 && k.joins[v.Name()] != 1 {
			k.Errorf("%s has joined %d times", v.Name(), k.joins[v.Name()])
		}
	}
	if len(k.answered) < 10 || len(k.sent) < 10 {
		k.Errorf("%d items, %d downlinks: that tests little", len(k.answered), len(k.sent))
	}
	if len(k.twice) > 0 {
		k.Errorf("published twice: %v", k.twice)
	}
	checkCounters(k.TB, k.sent)
}
