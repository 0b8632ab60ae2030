package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// newChipSite is a site whose gateway has a chip on board and no EUI in the
// configuration.
func newChipSite(t testing.TB, keys string) *site {
	t.Helper()
	s := newSite(t, "")
	s.write("lorawand.toml", fmt.Sprintf(`
[store]
path = %q
ephemeral = true
[control]
socket = %q
[network]
rx1_delay = "1s"
[mqtt]
listen = ["127.0.0.1:0"]
[http]
listen = ""
[udp]
listen = ""
[[gateway]]
driver = "sx1302"
enforce_duty_cycle = false
[gateway.sx1302]
board = "rak2287"
%s
`, s.dir+"/store", s.dir+"/control.sock", keys))
	return s
}

// concentrator returns what the site's configuration says of its chip.
func (s *site) concentrator() *config.Concentrator {
	s.Helper()
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	out, err := c.Gateways[0].SX1302.Concentrator(c.Gateways[0].FrequencyPlan)
	if err != nil {
		s.Fatal(err)
	}
	return &out
}

var chipEUI = radio.EUI64{0x00, 0x16, 0xC0, 0x01, 0xF1, 0x23, 0x45, 0x67}

// eventually waits for something.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}

// TestOnboard has the whole daemon work on a model of the chip: devices join by
// way of the radio, an application hears them with their level, and what is
// answered begins within a microsecond of RX1 and RX2.
func TestOnboard(t *testing.T) {
	for name, path := range chipPaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits for receive windows
			for tries := 3; ; tries-- {
				starved := watchStarvation(t)
				fault := joinOnboard(t, path)
				if fault == "" {
					break
				}
				if tries == 1 || !starved() { // else windows can be missed
					t.Fatal(fault)
				}
			}
		})
	}
}

// joinOnboard returns what was wrong, or "".
func joinOnboard(t *testing.T, path func(opener) opener) string {
	sky := newSky(t)
	s := newChipSite(t, "[gateway.sx1302.gnss]\ndevice = \""+sky.line.Device+"\"")
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	w := air.New(7)
	heard := onboardHeard{windows: map[int]int{}}
	devices := joiningDevices(t, s, w, plan, &heard)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = w.Run(ctx) })
	// the counter wraps 2 s after the start
	sim := &simulation{air: w, chip: sx1302test.Options{EUI: chipEUI, Tick: 1<<32 - 64_000_000}, made: sky.over}
	r := s.startOn(path(sim.open), nil)
	eventually(t, patience, "the gateway connects", func() bool {
		out := s.must("", "gateway", "list")
		return strings.Contains(out, "eui-0016c001f1234567") && strings.Contains(out, "connected")
	})
	ups := r.watch("app1", key, "v3/+/devices/+/up")
	for _, v := range devices { // at the same time: one is answered in RX2
		if _, err := v.Join(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, patience, "the devices join", func() bool {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		return heard.joined == len(devices)
	})
	out := s.must("", "gateway", "list", "--json")
	contains(t, "the clock", out, `"clock":"gnss","clock_error_s":0.002,"gps_time":true`)
	for _, v := range devices {
		up := frame.Data{MType: frame.ConfirmedUp, FPort: 1, HasFPort: true, FRMPayload: []byte{1}}
		if _, err := v.Send(up); err != nil {
			t.Error(err)
		}
	}
	for range devices {
		m := next(t, ups)
		for _, want := range []string{`"rssi":-97.4,`, `"snr":3.25,`, `"eui":"0016C001F1234567"`, skyPlace, skyTime} {
			if !strings.Contains(string(m.payload), want) {
				t.Errorf("no %s in %s", want, m.payload)
			}
		}
	}
	time.Sleep(2500 * time.Millisecond)
	r.stop()
	if fault := heard.fault(len(devices)); fault != "" {
		return fault + "\n" + r.logged()
	}
	return ""
}

// fault says what some devices have not heard as they should; "": nothing.
func (h *onboardHeard) fault(devices int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.joined == devices && h.acked == devices && len(h.wrong) == 0 && h.windows[1] == 2 && h.windows[2] == 2 {
		return ""
	}
	return fmt.Sprintf("%d joined, %d acknowledged, windows %v, wrong: %v", h.joined, h.acked, h.windows, h.wrong)
}

// What messages say of the time and the place of sky.
const (
	skyTime  = `"gps_time":"2027-01-31T17:2`
	skyPlace = `"location":{"latitude":52.3731,"longitude":4.8925,"altitude":12,"source":"SOURCE_GPS"}`
)

// sky is a GNSS receiver on a pty, whose pulses a model of the chip has: with each whole second of
// that. Its time is not that of the host.
type sky struct {
	line  *serialtest.PTY
	begun chan time.Time // when the model got power
}

func newSky(t *testing.T) *sky {
	t.Helper()
	line, err := serialtest.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	s := &sky{line, make(chan time.Time, 1)}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.tell(done) })
	t.Cleanup(func() { close(done); wg.Wait(); line.Close() })
	return s
}

// over is called with the model of the chip when that gets power.
func (s *sky) over(*sx1302test.Chip) {
	select {
	case s.begun <- time.Now():
	default: // opened again, without another reset of the receiver
	}
}

// tell says each second, 100 ms behind the pulse, which time it is.
func (s *sky) tell(done <-chan struct{}) {
	var power time.Time
	select {
	case power = <-s.begun:
	case <-done:
		return
	}
	at := time.Date(2027, 1, 31, 17, 25, 0, 0, time.UTC)
	for n := time.Duration(1); ; n++ {
		select {
		case <-time.After(time.Until(power.Add(n*time.Second + 100*time.Millisecond))):
		case <-done:
			return
		}
		now := at.Add(n * time.Second)
		text := nmea("GNRMC,"+now.Format("150405.00")+",A,5222.386,N,00453.550,E,0.1,,"+now.Format("020106")+",,,A") +
			nmea("GNGGA,"+now.Format("150405.00")+",5222.386,N,00453.550,E,1,09,0.9,12.4,M,46.0,M,,")
		_, _ = s.line.Write([]byte(text)) // what nobody reads is lost
	}
}

// nmea returns a sentence with its checksum.
func nmea(body string) string {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, sum)
}

// joiningDevices registers two OTAA devices and puts them on the air.
func joiningDevices(t *testing.T, s *site, w *air.Air, plan *region.Plan, heard *onboardHeard) (devices []*air.Device) {
	t.Helper()
	for i := range 2 {
		root := frame.Key{1, byte(i)}
		eui := radio.EUI64{1, 2, 3, 4, 5, 6, 7, byte(i)}
		s.must("", "device", "create", fmt.Sprintf("dev%d", i), "--application", "app1", "--dev-eui", eui.String(),
			"--join-eui", "0000000000000007",
			"--app-key", fmt.Sprintf("%X", root[:]))
		v, err := w.Device(air.DeviceOptions{
			Name: fmt.Sprintf("dev%d", i), Plan: plan, DataRate: 5, DevEUI: eui, JoinEUI: radio.EUI64{7: 7},
			RootKeys: frame.RootKeys{AppKey: root},
			RSSI:     -9740, SNR: 325,
			Heard: heard.heard, Missed: heard.missed,
		})
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, v)
	}
	return devices
}

// onboardHeard counts what devices have heard.
type onboardHeard struct {
	mu            sync.Mutex
	joined, acked int
	windows       map[int]int // receptions in RX1 and RX2
	wrong         []string
}

func (o *onboardHeard) heard(h air.Heard) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.windows[h.Window]++
	if h.Margin.Abs() > time.Microsecond {
		o.wrong = append(o.wrong, fmt.Sprintf("%v from RX%d", h.Margin, h.Window))
	}
	if h.JoinAccept != nil {
		o.joined++
	}
	if h.Data != nil && h.Data.ACK {
		o.acked++
	}
}

func (o *onboardHeard) missed(m air.Missed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, m.Device+": "+m.Reason)
}

// A chip that cannot be reached takes nothing else down: it is told, and tried
// again.
func TestOnboardWithoutChip(t *testing.T) {
	for name, tt := range map[string]struct {
		keys string
		open func(ready func() bool) opener
		says string
	}{
		"no device node": {"device = \"/dev/spidev250.0\"", func(func() bool) opener {
			return newOpener()
		}, "check that SPI is switched on"},
		"no firmware, then there is": {"", func(ready func() bool) opener {
			sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI}}
			return func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
				h, err := sim.open(s, c)
				if !ready() {
					h.Firmware = func() (sx1302.Firmware, error) { return sx1302.Firmware{}, sx1302.ErrNoFirmware }
				}
				return h, err
			}
		}, "firmware is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newChipSite(t, tt.keys)
			var mu sync.Mutex
			good := false
			r := s.startOn(tt.open(func() bool { mu.Lock(); defer mu.Unlock(); return good }), nil)
			eventually(t, patience, "gateway list tells why", func() bool {
				return strings.Contains(s.must("", "gateway", "list"), "does not work: ") &&
					strings.Contains(s.must("", "gateway", "list"), tt.says)
			})
			if out := s.must("", "events"); !strings.Contains(out, "gateway does not work") {
				t.Errorf("events: %s", out)
			}
			if !strings.Contains(r.logged(), "concentrator cannot be used") || !strings.Contains(r.logged(), "retry_in=") {
				t.Errorf("log: %s", r.logged())
			}
			mu.Lock()
			good = true
			mu.Unlock()
			if tt.keys == "" {
				eventually(t, patience, "it works after all", func() bool {
					return strings.Contains(s.must("", "gateway", "list"), "connected")
				})
				if out := s.must("", "gateway", "list"); strings.Contains(out, "does not work") ||
					strings.Contains(out, "eui-0000000000000001") {
					t.Errorf("gateway list: %s", out)
				}
			}
			r.stop()
		})
	}
}
