package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/broker"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

const (
	demoApplication = "app1"
	demoPlan        = "EU_863_870_TTN"
	demoInterval    = 5 * time.Second // between a device's uplinks, at speed 1
	demoRX1Delay    = time.Second     // shorter than the usual one: it is watched
	demoJoinAgain   = 10 * time.Second
	demoMaxDevices  = 200
	demoPortTries   = 100
	demoPoll        = 50 * time.Millisecond
)

// What demo can simulate.
const (
	radioUDP    = "udp"
	radioSX1302 = "sx1302"
)

// demoGateway has the EUI of The Things Stack's documentation.
var demoGateway = radio.EUI64{0x02, 0x42, 0x02, 0x00, 0x00, 0x24, 0x78, 0x03}

// demoOptions are the flags of demo.
type demoOptions struct {
	duration time.Duration
	devices  int
	speed    float64
	radio    string
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything at work with simulated devices",
		Long: "Run the daemon with simulated end devices: they send on a simulated air, a packet forwarder hears them and talks\n" +
			"to the real UDP listener, or a model of an SX1302 hears them and the real driver works with that, and the real MQTT\n" +
			"broker publishes what comes of it. Nothing is kept.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usage(err)
			}
			return demo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.duration, "duration", 0, "stop after this `time` (default: with Ctrl-C)")
	f.IntVar(&o.devices, "devices", 3, "`number` of devices, 1 to "+strconv.Itoa(demoMaxDevices))
	f.Float64Var(&o.speed, "speed", 1, "how many `times` faster than one uplink in 5 s each device sends, 0.01 to 100")
	f.StringVar(&o.radio, "radio", radioUDP, "`radio` to simulate: udp, a packet forwarder, or sx1302, a concentrator on board")
	return cmd
}

func (o *demoOptions) check() error {
	switch {
	case o.devices < 1 || o.devices > demoMaxDevices:
		return fmt.Errorf("--devices: %d, must be 1 to %d", o.devices, demoMaxDevices)
	case !(o.speed >= 0.01 && o.speed <= 100):
		return fmt.Errorf("--speed: %v, must be 0.01 to 100", o.speed)
	case o.duration < 0:
		return fmt.Errorf("--duration: %v, must not be negative", o.duration)
	case o.radio == radioSX1302 && !hasModel:
		return fmt.Errorf("--radio: %s needs the model of the chip, which is not in the small build", o.radio)
	case o.radio != radioUDP && o.radio != radioSX1302:
		return fmt.Errorf("--radio: %.40q, must be %s or %s", o.radio, radioUDP, radioSX1302)
	}
	return nil
}

// demoRun is a demonstration at work.
type demoRun struct {
	opts    demoOptions
	key     string
	air     *air.Air
	devices []*demoDevice
	d       *daemon
	out     *lockedWriter
	answers chan string // devices that the application is to answer

	sent, arrived, heard atomic.Int64
}

// demoDevice is a simulated device.
type demoDevice struct {
	*air.Device
	joined chan struct{}
}

func demo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "lorawand-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &demoRun{opts: o, air: air.New(uint64(time.Now().UnixNano())), out: &lockedWriter{w: stdout}, answers: make(chan string, 64)}
	c, err := demoConfig(dir, o.radio, r.out)
	if err != nil {
		return err
	}
	if err := r.provision(c); err != nil {
		return err
	}
	log, flush := newLogger(c.Log, new(slog.LevelVar), stderr)
	defer flush()
	if r.d, err = newDaemonOn(c, log, simulatedOn(r.air), nil); err != nil {
		return err
	}
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	return r.run(ctx)
}

// demoConfig finds free ports for the listeners.
func demoConfig(dir, radio string, out io.Writer) (config.Config, error) {
	c := config.Default()
	c.Store.Path, c.Store.Ephemeral = filepath.Join(dir, "store"), true
	c.Control.Socket = filepath.Join(dir, "control.sock")
	c.Log.Level, c.HTTP.Listen = "warn", ""
	c.Network.RX1Delay = config.Duration(demoRX1Delay)
	c.UDP.Listen = ""
	if radio == radioUDP {
		addr, err := freeAddr("UDP", 1700, out, func(a string) (io.Closer, error) { return net.ListenPacket("udp", a) })
		if err != nil {
			return c, err
		}
		c.UDP.Listen = addr
	}
	mqttAddr, err := freeAddr("MQTT", 1883, out, func(a string) (io.Closer, error) { return net.Listen("tcp", a) })
	if err != nil {
		return c, err
	}
	yes := true
	c.MQTT.Listen = []string{mqttAddr}
	c.Gateways = []config.Gateway{{
		EUI: demoGateway.String(), Driver: radio, FrequencyPlan: demoPlan, EnforceDutyCycle: &yes,
		Location: &config.Location{Latitude: 52.3731, Longitude: 4.8925, Altitude: 12},
	}}
	if radio == radioSX1302 {
		c.Gateways[0].SX1302 = &config.SX1302{Board: "rak2287"}
	}
	return c, nil
}

// freeAddr returns the first free port of the loopback, and says so if it is
// not the usual one.
func freeAddr(what string, usual int, out io.Writer, listen func(string) (io.Closer, error)) (string, error) {
	var last error
	for port := usual; port < usual+demoPortTries; port++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := listen(addr)
		if err != nil {
			last = err
			continue
		}
		_ = l.Close()
		if port != usual {
			fmt.Fprintf(out, "%s port %d is taken; using %d.\n", what, usual, port)
		}
		return addr, nil
	}
	return "", fmt.Errorf("no free port for %s: %w", what, last)
}

// provision puts devices and an API key into the store, as an owner would.
func (r *demoRun) provision(c config.Config) error {
	s, st, err := openState(c, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	var key access.Key
	if r.key, key, err = access.New(rand.Reader, demoApplication); err != nil {
		return err
	}
	k, err := bridge.KeyRecord(key)
	if err != nil {
		return err
	}
	if err := s.Commit(k); err != nil {
		return err
	}
	plan, err := region.Lookup(demoPlan)
	if err != nil {
		return err
	}
	for i := range r.opts.devices {
		d := newDemoDevice(i)
		if err := st.Devices.Add(d); err != nil {
			return err
		}
		records, err := bridge.DeviceRecords(d)
		if err != nil {
			return err
		}
		if err := s.Commit(records...); err != nil {
			return err
		}
		v := &demoDevice{joined: make(chan struct{}, 1)}
		v.Device, err = r.air.Device(air.DeviceOptions{
			Name: d.ID.Device, Plan: plan, DataRate: 5, JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, RootKeys: d.RootKeys,
			RSSI: radio.Decibel(-5000 - 700*(i%10)), SNR: radio.Decibel(950 - 75*(i%10)),
			Heard:  func(h air.Heard) { r.deviceHeard(v, h) },
			Missed: func(m air.Missed) { fmt.Fprintf(r.out, "-- %s did not hear a downlink: %s\n", m.Device, m.Reason) },
		})
		if err != nil {
			return err
		}
		r.devices = append(r.devices, v)
	}
	return nil
}

func newDemoDevice(i int) *session.Device {
	d := &session.Device{
		ID:      session.ID{Application: demoApplication, Device: fmt.Sprintf("dev%d", i+1)},
		DevEUI:  radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, byte((i + 1) >> 8), byte(i + 1)},
		JoinEUI: radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0}, HasJoinEUI: true, SupportsJoin: true,
		Version: session.V1_0_3, VersionName: "MAC_V1_0_3", Plan: demoPlan,
	}
	_, _ = rand.Read(d.RootKeys.AppKey[:])
	return d
}

// deviceHeard tells what a device has heard, in which window and how close to
// its opening.
func (r *demoRun) deviceHeard(v *demoDevice, h air.Heard) {
	r.heard.Add(1)
	what := "join-accept"
	if d := h.Data; d != nil {
		what = fmt.Sprintf("f_cnt %d", h.FCnt)
		if d.ACK {
			what += ", acknowledgement"
		}
		if d.HasFPort {
			what += fmt.Sprintf(", f_port %d: %X", d.FPort, d.FRMPayload)
		}
	}
	fmt.Fprintf(r.out, "-- %s heard in RX%d, %v from its opening: %s\n", h.Device, h.Window, h.Margin, what)
	if h.JoinAccept != nil {
		select {
		case v.joined <- struct{}{}:
		default:
		}
	}
}

// run lets everything work until ctx ends.
func (r *demoRun) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	part := func(run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				stop(err)
			}
		})
	}
	part(r.d.run)
	if r.opts.radio == radioUDP {
		fwd, err := r.forwarder()
		if err != nil {
			stop(nil)
			wg.Wait()
			return err
		}
		part(fwd.Run)
	}
	part(r.air.Run)
	subscribed := make(chan struct{})
	part(func(ctx context.Context) error {
		return broker.Watch(ctx, r.d.mqttAddr().String(), demoApplication, r.key, "#", func() { close(subscribed) }, r.message)
	})
	r.greet()
	part(r.answer)
	for i, v := range r.devices {
		part(func(ctx context.Context) error {
			select {
			case <-subscribed:
			case <-ctx.Done():
				return nil
			}
			if !r.online(ctx) {
				return nil
			}
			return r.live(ctx, i, v)
		})
	}
	<-ctx.Done()
	wg.Wait()
	fmt.Fprintf(r.out, "Stopped: %s sent, %s arrived, %s heard.\n",
		plural(r.sent.Load(), "uplink"), plural(r.arrived.Load(), "message"), plural(r.heard.Load(), "downlink"))
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// online waits until the gateway is connected, which takes a chip 2 s. It
// reports whether ctx lasts that long.
func (r *demoRun) online(ctx context.Context) bool {
	for {
		gateways, err := r.d.bridge.Gateways(ctx)
		if err == nil && len(gateways) > 0 && gateways[0].Online {
			return true
		}
		if !sleep(ctx, demoPoll) {
			return false
		}
	}
}

// forwarder puts a packet forwarder on the air.
func (r *demoRun) forwarder() (*udp.Forwarder, error) {
	var f *udp.Forwarder
	receiver := r.air.Listen(air.ReceiverOptions{EUI: demoGateway, Counter: 1_283_325_000, Hear: func(up radio.Uplink) {
		up.GatewayTime = time.Now().UTC()
		f.Uplink(up)
	}})
	f, err := udp.NewForwarder(udp.ForwarderOptions{Server: r.d.udp.Addr().String(), EUI: demoGateway, Transmit: receiver.Transmit})
	return f, err
}

func (r *demoRun) greet() {
	host, port, _ := net.SplitHostPort(r.d.mqttAddr().String())
	if port != "1883" {
		host += " -p " + port
	}
	way := "a model of an SX1302, with which the driver works"
	if r.d.udp != nil {
		way = fmt.Sprintf("a packet forwarder, which talks to %v", r.d.udp.Addr())
	}
	fmt.Fprintf(r.out, "%d simulated devices join and send by way of %s; %v publishes over MQTT.\n"+
		"An application answers. Lines with -- tell what the devices hear. Try it from another terminal; Ctrl-C ends it:\n\n"+
		"  mosquitto_sub -h %[4]s -t \"#\" -u %[5]s -P \"%[6]s\" -d\n"+
		"  mosquitto_pub -h %[4]s -t \"v3/%[5]s/devices/dev1/down/push\" -u %[5]s -P \"%[6]s\" -m '%[7]s' -d\n\n",
		r.opts.devices, way, r.d.mqttAddr(), host, demoApplication, r.key, demoPush)
}

// demoPush is the downlink of The Things Stack's documentation.
const demoPush = `{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}`

// message prints what comes over MQTT. The application answers uplinks on
// f_port 15 with a downlink, which goes out in the window that the uplink has
// opened.
func (r *demoRun) message(topic string, payload []byte) {
	r.arrived.Add(1)
	fmt.Fprintf(r.out, "%s %s\n%s\n", time.Now().Format("15:04:05.000"), topic, payload)
	if strings.HasSuffix(topic, "/up") && bytes.Contains(payload, []byte(`"f_port":15,`)) {
		select {
		case r.answers <- strings.TrimSuffix(topic, "/up") + "/down/push":
		default: // the application is busy
		}
	}
}

// answer is the application that pushes downlinks.
func (r *demoRun) answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case topic := <-r.answers:
			if err := broker.Publish(ctx, r.d.mqttAddr().String(), demoApplication, r.key, topic, []byte(demoPush)); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// live is the life of a device: it joins, and sends. Every third uplink is
// confirmed and on f_port 15, which the application answers.
func (r *demoRun) live(ctx context.Context, i int, v *demoDevice) error {
	interval := max(time.Duration(float64(demoInterval)/r.opts.speed), time.Millisecond)
	if !sleep(ctx, interval*time.Duration(i)/time.Duration(len(r.devices))) {
		return nil
	}
	for joined := false; !joined; {
		if _, err := v.Join(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.joined:
			joined = true
		case <-time.After(demoJoinAgain):
		}
	}
	for n := 0; ; n++ {
		d := frame.Data{HasFPort: true, FPort: 14, FRMPayload: fmt.Appendf(nil, "Temperature = %d.%d", 18+n%7, n%10)}
		if n%3 == 0 {
			d.FPort, d.MType = 15, frame.ConfirmedUp
		}
		if _, err := v.Send(d); err != nil {
			return err
		}
		r.sent.Add(1)
		if !sleep(ctx, interval) {
			return nil
		}
	}
}

// sleep reports whether ctx lasts that long.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// lockedWriter lets several goroutines write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
