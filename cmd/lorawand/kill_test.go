package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
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
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// killsEnv asks for more kills than the few that every test run does.
const killsEnv = "LORAWAND_KILLS"

// TestKill kills the daemon at random instants, in real traffic, and starts it again: 25 uplinks a
// second, some of which somebody repeats, and eight applications that push, replace and log in anew. No frame
// counter may carry two plaintexts, nothing that was answered may be lost, no device may have to join
// again, no frame and no DevNonce is taken twice, and each item comes to one end, in its turn.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 50
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		kills = n
	}
	for i := range killSites { // each of its own, as most of the time is waiting
		t.Run(fmt.Sprint("site ", i+1), func(t *testing.T) {
			t.Parallel()
			testKill(t, max(1, (kills+i)/killSites))
		})
	}
}

func testKill(t *testing.T, kills int) {
	k, life, starved := newKilled(t), killLife, watchStarvation(t)
	if kills > 100 { // there is time for more items, in the end too
		life, k.most = 2*life, 2*killDevices
	}
	k.start()
	k.traffic()
	k.joined()
	for i := range killClients {
		k.wg.Go(func() { k.pusher(i) })
	}
	k.mu.Lock()
	joined, ups, began := len(k.sent), len(k.ups), time.Now()
	k.mu.Unlock()
	var starts []time.Duration
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for i := range kills {
		time.Sleep(lifetime(rnd, i, life))
		killed := time.Now() // frames of before that can be stored
		k.kill()
		starts = append(starts, k.start())
		k.replay(rnd, killed.Add(-killLag))
	}
	k.mu.Lock()
	ups = len(k.ups) - ups
	ends, repeated := len(k.ends), k.replayed
	k.mu.Unlock()
	lasted := time.Since(began)
	k.drain()
	k.awaitEnds()
	drained := time.Since(began) - lasted
	k.kill()
	k.check()
	slices.Sort(starts)
	slowest, middle := starts[len(starts)-1], starts[len(starts)/2]
	again := k.checkEnds()
	k.checkJoinAccepts(joined)
	k.mu.Lock()
	items := len(k.answered)
	k.mu.Unlock()
	t.Logf("%d kills in %.0f s, serving again after at most %v; %d items answered, %d ended between kills, the last "+
		"within %.0f s; %d of them told of again behind a kill; %d downlinks on the air; %.0f uplinks/s; %d frames repeated",
		kills, lasted.Seconds(), slowest.Round(time.Millisecond), items, ends, drained.Seconds(), again,
		len(k.transmissions()), float64(ups)/lasted.Seconds(), repeated)
	if ends < kills*killEnds {
		t.Errorf("%d items ended between %d kills: that tests little", ends, kills)
	}
	if slowest > time.Second && !starved() || middle > time.Second {
		t.Errorf("serving again after %v, in the middle %v", slowest, middle)
	}
}

// lifetime draws how long the daemon lives until the next kill: every other time for a moment only, so that the
// others have more time for downlinks, which come 1 s behind an uplink.
func lifetime(rnd *rand.Rand, i int, most time.Duration) time.Duration {
	if i%2 == 0 {
		most /= 4
	}
	return time.Duration(rnd.Int64N(int64(most)))
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
	count      int           // of the devices
	most       int           // items that wait, before the application stops to push
	joining    int           // every so many of them joins, but the first
	every      time.Duration // between two frames of a device
	pace       time.Duration // between two frames at the end, at least
	pause      time.Duration // between two pushes
	also       []string      // more servers of the gateways
	gateways   int           // of which each hears as many devices
	settled    bool          // the network has nothing to ask of the devices
	enough     chan struct{} // closed when the application pushes no more
	stop       chan struct{} // closed when devices and applications are to end
	halted     sync.Once     // closes stop
	wg         sync.WaitGroup

	mu       sync.Mutex
	joins    map[string]int
	pushes   int
	answered map[string]string // payload: device
	pushed   map[string]time.Time
	asked    time.Time       // when the last of these was pushed
	heard    map[string]bool // payloads
	missed   map[string]int  // device: transmissions for it that it did not hear
	sent     []air.Transmission
	ups      map[string]bool // device and f_cnt
	twice    []string
	excused  map[string]bool      // payloads that may be replaced
	life     int                  // number of the daemon's start
	ends     map[string]*itemEnd  // payload: what is told of it at last
	order    map[string]int       // device: the item that it has heard last
	hearings map[string]time.Time // payload: when a device has heard it last
	deaf     [][2]time.Time       // from a start until the application heard, where RX1 could be over before
	unturned []string             // items that came behind a later one
	caught   []caughtFrame
	again    func(radio.Uplink) // has the gateway hear a frame
	replayed int
	marked   int // uplinks that another machine may have published too
}

const (
	killSites   = 2
	killDevices = 64
	// killEvery is the time between two frames of a device: not much more than its windows take.
	killEvery = 2200 * time.Millisecond
	// killGateways hear them, each one its part: one alone sends too little between two kills.
	killGateways = 4
	killLife     = 3500 * time.Millisecond // at most, from one start to the next kill
	killCommit   = 200 * time.Millisecond  // commit interval
	killDeaf     = 800 * time.Millisecond  // from a start on: then RX1 can be over
	killEnds     = 1                       // items that end between two kills, at least
)

// newTraffic returns what goes on around a daemon that has n devices.
func newTraffic(t *testing.T, n int) *killed {
	return &killed{
		mqtt: freeTCP(t), port: freeUDP(t), stop: make(chan struct{}), enough: make(chan struct{}), count: n, most: 5 * n,
		joining: 2, every: 3 * time.Second, pace: 250 * time.Millisecond, pause: 250 * time.Millisecond, gateways: 1,
		joins: map[string]int{}, answered: map[string]string{}, pushed: map[string]time.Time{}, heard: map[string]bool{},
		missed: map[string]int{}, ups: map[string]bool{}, excused: map[string]bool{}, ends: map[string]*itemEnd{},
		order:    map[string]int{},
		hearings: map[string]time.Time{},
	}
}

func newKilled(t *testing.T) *killed {
	t.Helper()
	k := newTraffic(t, killDevices)
	k.joining, k.most, k.pace, k.every, k.gateways = 8, killDevices, 40*time.Millisecond, killEvery, killGateways
	k.site = newSite(t, "")
	conf, err := os.ReadFile(k.conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`, fmt.Sprintf("listen = [%q]", k.mqtt), 1)
	text = strings.Replace(text, `listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", k.port), 1)
	text += "enforce_duty_cycle = false\n" + k.otherGateways()
	text = strings.Replace(text, "[store]", fmt.Sprintf("[network]\nrx1_delay = \"1s\"\n[store]\ncommit_interval = %q",
		killCommit), 1)
	k.write("lorawand.toml", text)
	k.binary = filepath.Join(k.dir, "lorawand")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k.importDevices()
	k.key = strings.TrimSpace(k.must("", "api-key", "create", "--application", "app1"))
	return k
}

// joinsAir reports whether a device joins over the air.
func (k *killed) joinsAir(i int) bool { return i%k.joining == 1 }

// importDevices adds the devices.
func (k *killed) importDevices() {
	k.Helper()
	var devices strings.Builder
	for i := range k.count {
		if !k.joinsAir(i) {
			d := deviceJSON(killName(i), fmt.Sprintf("0100%04X", i))
			d = strings.Replace(d, "0102030405060708", fmt.Sprintf("%016X", i+1<<20), 1)
			settings := `"mac_settings":{"rx2_data_rate_index":3},"session"`
			if k.settled {
				settings = strings.Replace(fmt.Sprintf(settledSettings, 1, 1), `"desired_rx2_data_rate_index":0`,
					`"rx2_data_rate_index":3,"desired_rx2_data_rate_index":3`, 1)
			}
			fmt.Fprintln(&devices, strings.Replace(d, `"session"`, settings, 1))
			continue
		}
		fmt.Fprintf(&devices, `{"ids":{"device_id":%q,"dev_eui":"%016X","join_eui":"0000000000000007"},"lorawan_version":"MAC_V1_0_4",`+
			`"lorawan_phy_version":"PHY_V1_0_4","frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":%q}}}`+"\n", killName(i), i, testApp)
	}
	k.must(devices.String(), "device", "import", "-", "--application", "app1")
}

func killName(i int) string { return fmt.Sprintf("dev%02d", i) }

// killNumber is the reverse of killName.
func killNumber(name string) int {
	i, _ := strconv.Atoi(strings.TrimPrefix(name, "dev"))
	return i
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
	k.Cleanup(k.abandon(k.cmd))
	k.mu.Lock()
	k.life++
	life := k.life
	k.mu.Unlock()
	message := func(_ paho.Client, m paho.Message) { k.told(life, m) }
	for {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
			k.mqtt).SetClientID("app").SetUsername("app1").SetPassword(k.key).
			SetAutoReconnect(false).SetOrderMatters(false).SetConnectTimeout(time.Second).SetWriteTimeout(time.Second))
		if token := c.Connect(); token.WaitTimeout(2*time.Second) && token.Error() == nil {
			if token := c.Subscribe("#", 1, message); token.WaitTimeout(2*time.Second) && token.Error() == nil {
				k.mu.Lock()
				k.client = c
				if time.Since(begin) > killDeaf {
					k.deaf = append(k.deaf, [2]time.Time{begin, time.Now()})
				}
				k.mu.Unlock()
				return time.Since(begin)
			}
		}
		c.Disconnect(0)
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
	// What the daemon had written before may not be read yet.
	for end := time.Now().Add(time.Minute); c.IsConnectionOpen() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	c.Disconnect(0)
}

// message is told without the number of a life.
func (k *killed) message(_ paho.Client, m paho.Message) { k.told(0, m) }

// told looks at what comes over MQTT in a life of the daemon: an uplink may come once only; an item
// that has failed is not lost, since the application knows.
func (k *killed) told(life int, m paho.Message) {
	_, rest, _ := strings.Cut(string(m.Payload()), `"frm_payload":"`)
	text, _, _ := strings.Cut(rest, `"`)
	payload, _ := base64.StdEncoding.DecodeString(text)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case strings.HasSuffix(m.Topic(), "/down/failed"):
		k.heard[string(payload)] = true
		k.ended(life, string(payload))
		return
	case strings.HasSuffix(m.Topic(), "/down/sent"):
		k.ended(life, string(payload))
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
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range k.gateways {
		for _, f := range k.gateway(ether, plan, i) {
			wg.Go(func() { _ = f.Run(ctx) })
		}
	}
	wg.Go(func() { _ = ether.Run(ctx) })
	k.Cleanup(func() { k.halt(); cancel(); wg.Wait() })
	for i := range k.count {
		o := air.DeviceOptions{
			Name: killName(i), Plan: plan, DataRate: 5, RSSI: -7000, SNR: 800, Heard: k.deviceHeard, Missed: k.deviceMissed,
			Version: air.V1_0_4,
		}
		if !k.joinsAir(i) {
			o.DevAddr, o.Keys, o.Version = radio.DevAddr{1, 0, byte(i >> 8), byte(i)}, testKeys(k.TB), air.V1_0_3
			o.RX2 = region.Window{Frequency: 869_525_000, DataRate: 3}
		} else {
			o.DevEUI, o.JoinEUI = radio.EUI64{6: byte(i >> 8), 7: byte(i)}, radio.EUI64{7: 7}
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
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		k.mu.Lock()
		n := len(k.joins)
		k.mu.Unlock()
		want := 0
		for i := range k.count {
			if k.joinsAir(i) {
				want++
			}
		}
		if n == want {
			return
		}
		if time.Now().After(end) {
			k.Fatalf("%d of %d devices have joined", n, want)
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
		k.inTurn(h.Device, string(h.Data.FRMPayload))
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
	wait := time.Duration(rand.Int64N(int64(k.every)))
	for n := rand.IntN(3); k.free(v, wait); n++ {
		d := frame.Data{
			MType: frame.UnconfirmedUp, HasFPort: true, FPort: 2,
			FRMPayload: fmt.Appendf(nil, "%s %d", v.Name(), n),
		}
		if n%3 == 0 {
			d.MType = frame.ConfirmedUp
		}
		// At random, lest two devices meet in their windows for ever.
		wait = k.every*5/6 + time.Duration(rand.Int64N(int64(k.every/3)))
		if _, err := v.Send(d); errors.Is(err, air.ErrDevice) {
			_, err = v.Join()
			if err != nil {
				k.Error(err)
			}
			wait = 7 * time.Second
		}
	}
}

// free waits for some time, and as long as a device still receives. It reports whether the traffic goes on.
func (k *killed) free(v *air.Device, wait time.Duration) bool {
	for ; wait > 0; wait = v.Busy() {
		select {
		case <-k.stop:
			return false
		case <-time.After(wait):
		}
	}
	return true
}

// application pushes, one after the other, and keeps what it has a PUBACK for.
func (k *killed) application() {
	for {
		select {
		case <-k.stop:
			return
		case <-k.enough:
			return
		case <-time.After(k.pause):
		}
		k.mu.Lock()
		c := k.client
		k.pushes++
		n := k.pushes
		k.mu.Unlock()
		if c == nil || len(k.missing()) > k.most { // more than the air can carry between kills
			continue
		}
		device := killName(n % k.count)
		payload := fmt.Sprintf("item %d", n)
		body := fmt.Sprintf(`{"downlinks":[{"f_port":5,"frm_payload":%q,"confirmed":%v}]}`,
			base64.StdEncoding.EncodeToString([]byte(payload)), isConfirmed(payload))
		begin := time.Now()
		token := c.Publish("v3/app1/devices/"+device+"/down/push", 1, false, body)
		if token.WaitTimeout(3*time.Second) && token.Error() == nil {
			k.mu.Lock()
			k.answered[payload], k.pushed[payload], k.asked = device, begin, begin
			k.mu.Unlock()
		}
	}
}

// drain lets traffic go on without new items until all that were answered are
// heard.
func (k *killed) drain() {
	k.halt()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end) && len(k.lost()) > 0; {
		waiting := strings.Join(k.missing(), "\n")
		for _, v := range k.devices {
			if !strings.Contains(waiting, v.Name()+" ") {
				continue
			}
			if v.Busy() == 0 {
				_, _ = v.Send(frame.Data{HasFPort: true, FPort: 3, FRMPayload: fmt.Appendf(nil, "drain %d", time.Now().UnixNano())})
			}
			time.Sleep(k.pace + time.Duration(rand.Int64N(int64(k.pace))))
		}
	}
	for _, item := range k.lost() {
		device, _, _ := strings.Cut(item, " ")
		k.Logf("%s is not heard; still queued for its device: %q", item, k.must("", "downlink", "list", "app1", device))
	}
}
