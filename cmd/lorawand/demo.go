package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/cmd/lorawand/config"
	"lorawand/cmd/lorawand/demo"
)

const (
	demoInterval   = 5 * time.Second // between a device's uplinks, at speed 1
	demoRX1Delay   = time.Second     // shorter than usual, because somebody watches
	demoMaxDevices = 200
	demoPortTries  = 100
)

// The radios that demo can simulate.
const (
	radioUDP    = "udp"
	radioSX1302 = "sx1302"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	duration time.Duration
	devices  int
	speed    float64
	radio    string
	json     bool
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the daemon with simulated devices",
		Long: "Run the daemon with simulated end devices on a simulated air. A packet forwarder hears them and\n" +
			"talks to the real UDP listener, or a model of an SX1302 hears them and talks to the real driver. The\n" +
			"real MQTT broker publishes their messages. Nothing is kept.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usage(err)
			}
			return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.duration, "duration", 0, "stop after this `time` (default: with Ctrl-C)")
	f.IntVar(&o.devices, "devices", 3, "`number` of devices, 1 to "+strconv.Itoa(demoMaxDevices))
	f.Float64Var(&o.speed, "speed", 1, "uplinks of a device: this many `times` as fast as one in 5 s, 0.01 to 100")
	f.StringVar(&o.radio, "radio", radioUDP,
		"`radio` to simulate: udp, a packet forwarder, or sx1302, a concentrator on board")
	f.BoolVar(&o.json, "json", false, "print the whole JSON of each message, not one line")
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

func runDemo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "lorawand-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := &lockedWriter{w: stdout}
	show, err := demo.New(demo.Options{
		Devices: o.devices, Interval: max(time.Duration(float64(demoInterval)/o.speed), time.Millisecond), Out: out,
		JSON: o.json,
	})
	if err != nil {
		return err
	}
	c, err := demoConfig(dir, o.radio, out)
	if err != nil {
		return err
	}
	key, err := provisionDemo(c, show.Devices())
	if err != nil {
		return err
	}
	log, flush := newLogger(c.Log, new(slog.LevelVar), stderr)
	defer flush()
	d, err := newDaemonOn(c, log, simulatedOn(show.Air()), nil)
	if err != nil {
		return err
	}
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	return show.Run(ctx, shown{d}, key)
}

// shown gives the demonstration access to the daemon.
type shown struct{ d *daemon }

func (s shown) Run(ctx context.Context) error { return s.d.run(ctx) }
func (s shown) MQTT() netip.AddrPort          { return s.d.mqttAddr() }

func (s shown) UDP() netip.AddrPort {
	if s.d.udp == nil {
		return netip.AddrPort{}
	}
	return s.d.udp.Addr()
}

func (s shown) Online(ctx context.Context) bool {
	gateways, err := s.d.bridge.Gateways(ctx)
	return err == nil && len(gateways) > 0 && gateways[0].Online
}

// demoConfig finds free ports for the listeners.
func demoConfig(dir, radio string, out io.Writer) (config.Config, error) {
	c := config.Default()
	c.Store.Path, c.Store.Ephemeral = filepath.Join(dir, "store"), true
	c.Control.Socket = filepath.Join(dir, "control.sock")
	c.Log.Level, c.HTTP.Listen = "warn", ""
	c.Network.RX1Delay = config.For(demoRX1Delay)
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
		EUI: demo.Gateway.String(), Driver: radio, FrequencyPlan: demo.Plan, EnforceDutyCycle: &yes,
		Location: &config.Location{Latitude: 52.3731, Longitude: 4.8925, Altitude: 12},
	}}
	if radio == radioSX1302 {
		c.Gateways[0].SX1302 = &config.SX1302{Board: "rak2287"}
	}
	return c, nil
}

// freeAddr returns the first free port of the loopback, and prints it if it is not
// the usual one.
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

// provisionDemo puts devices and an API key into the store, as an owner would.
func provisionDemo(c config.Config, devices []*session.Device) (key string, err error) {
	s, st, err := openState(context.Background(), c, nil)
	if err != nil {
		return "", err
	}
	defer s.Close()
	key, k, err := access.New(rand.Reader, demo.Application)
	if err != nil {
		return "", err
	}
	record, err := state.KeyRecord(k)
	if err != nil {
		return "", err
	}
	if err := s.Commit(record); err != nil {
		return "", err
	}
	for _, d := range devices {
		if err := st.Devices.Add(d); err != nil {
			return "", err
		}
		records, err := state.DeviceRecords(d)
		if err != nil {
			return "", err
		}
		if err := s.Commit(records...); err != nil {
			return "", err
		}
	}
	return key, nil
}

// sleep waits for a time. It returns false if its context ends before.
var sleep = demo.Sleep

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
