// Package demo has the surroundings of the daemon in the demonstration: end devices
// on a simulated air, a packet forwarder that hears them, and an application that
// answers over MQTT.
package demo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lorawand/bridge/session"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// What the demonstration is of.
const (
	Application = "app1"
	Plan        = "EU_863_870_TTN"

	joinAgain = 10 * time.Second // after a join-request without an answer
	poll      = 50 * time.Millisecond
)

// Gateway has the EUI of The Things Stack's documentation.
var Gateway = radio.EUI64{0x02, 0x42, 0x02, 0x00, 0x00, 0x24, 0x78, 0x03}

// Daemon has what the demonstration needs of the daemon.
type Daemon interface {
	Run(context.Context) error
	MQTT() netip.AddrPort
	// UDP returns the address for packet forwarders. If it is not valid, the daemon
	// has a radio of its own on the air.
	UDP() netip.AddrPort
	// Online reports whether the gateway is connected.
	Online(context.Context) bool
}

// Options configures a Show.
type Options struct {
	Devices  int
	Interval time.Duration // between two uplinks of a device
	Out      io.Writer     // several goroutines write whole lines to it
	JSON     bool          // print the whole of each message
}

// Show is a demonstration.
type Show struct {
	opts       Options
	air        *air.Air
	devices    []*device
	registered []*session.Device
	login      Login
	answers    chan string // devices whose uplink the application is to answer

	sent, arrived, heard atomic.Int64
}

// device is a simulated device.
type device struct {
	*air.Device
	joined chan struct{}
}

// New returns a demonstration with its devices.
func New(o Options) (*Show, error) {
	plan, err := region.Lookup(Plan)
	if err != nil {
		return nil, err
	}
	s := &Show{opts: o, air: air.New(uint64(time.Now().UnixNano())), answers: make(chan string, 64)}
	for i := range o.Devices {
		d := newDevice(i)
		v := &device{joined: make(chan struct{}, 1)}
		v.Device, err = s.air.Device(air.DeviceOptions{
			Name: d.ID.Device, Plan: plan, DataRate: 5, JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, RootKeys: d.RootKeys,
			RSSI: radio.Decibel(-5000 - 700*(i%10)), SNR: radio.Decibel(950 - 75*(i%10)),
			Heard: func(h air.Heard) { s.deviceHeard(v, h) },
			Missed: func(m air.Missed) {
				fmt.Fprintf(o.Out, "-- %s did not hear a downlink: %s\n", m.Device, m.Reason)
			},
		})
		if err != nil {
			return nil, err
		}
		s.devices, s.registered = append(s.devices, v), append(s.registered, d)
	}
	return s, nil
}

// Air returns the air of the devices.
func (s *Show) Air() *air.Air { return s.air }

// Devices returns the devices as the daemon must know them.
func (s *Show) Devices() []*session.Device { return s.registered }

func newDevice(i int) *session.Device {
	d := &session.Device{
		ID:      session.ID{Application: Application, Device: fmt.Sprintf("dev%d", i+1)},
		DevEUI:  radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, byte((i + 1) >> 8), byte(i + 1)},
		JoinEUI: radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0}, HasJoinEUI: true, SupportsJoin: true,
		Version: session.V1_0_3, VersionName: "MAC_V1_0_3", Plan: Plan,
	}
	_, _ = rand.Read(d.RootKeys.AppKey[:])
	return d
}

// deviceHeard prints what a device has heard, in which window and how close to its
// opening.
func (s *Show) deviceHeard(v *device, h air.Heard) {
	s.heard.Add(1)
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
	fmt.Fprintf(s.opts.Out, "-- %s heard in RX%d, %v from its opening: %s\n", h.Device, h.Window, h.Margin, what)
	if h.JoinAccept != nil {
		select {
		case v.joined <- struct{}{}:
		default:
		}
	}
}

// Run runs the demonstration until ctx ends. key is an API key of the application.
func (s *Show) Run(ctx context.Context, d Daemon, key string) error {
	s.login = Login{Broker: d.MQTT().String(), User: Application, Password: key}
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
	part(d.Run)
	if d.UDP().IsValid() {
		fwd, err := s.forwarder(d.UDP())
		if err != nil {
			stop(nil)
			wg.Wait()
			return err
		}
		part(fwd.Run)
	}
	part(s.air.Run)
	subscribed := make(chan struct{})
	part(func(ctx context.Context) error {
		return s.login.Watch(ctx, "#", func() { close(subscribed) }, s.message)
	})
	s.greet(d)
	part(s.answer)
	for i, v := range s.devices {
		part(func(ctx context.Context) error {
			select {
			case <-subscribed:
			case <-ctx.Done():
				return nil
			}
			if !online(ctx, d) {
				return nil
			}
			return s.live(ctx, i, v)
		})
	}
	<-ctx.Done()
	wg.Wait()
	fmt.Fprintf(s.opts.Out, "Stopped. Uplinks sent: %d, messages arrived: %d, downlinks heard: %d.\n",
		s.sent.Load(), s.arrived.Load(), s.heard.Load())
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// online waits until the gateway is connected, which takes a chip 2 s. It returns
// false if ctx ends before.
func online(ctx context.Context, d Daemon) bool {
	for !d.Online(ctx) {
		if !Sleep(ctx, poll) {
			return false
		}
	}
	return true
}

// forwarder puts a packet forwarder on the air.
func (s *Show) forwarder(server netip.AddrPort) (*udp.Forwarder, error) {
	var f *udp.Forwarder
	receiver := s.air.Listen(air.ReceiverOptions{EUI: Gateway, Counter: 1_283_325_000, Hear: func(up radio.Uplink) {
		up.GatewayTime = time.Now().UTC()
		f.Uplink(up)
	}})
	f, err := udp.NewForwarder(udp.ForwarderOptions{Server: server.String(), EUI: Gateway, Transmit: receiver.Transmit})
	return f, err
}

func (s *Show) greet(d Daemon) {
	host, port, _ := net.SplitHostPort(s.login.Broker)
	if port != "1883" {
		host += " -p " + port
	}
	way := "a model of an SX1302, which the real driver controls"
	if d.UDP().IsValid() {
		way = fmt.Sprintf("a packet forwarder, which talks to %v", d.UDP())
	}
	fmt.Fprintf(s.opts.Out, "%d simulated devices join and send through %s; %v publishes their messages over MQTT.\n"+
		"An application answers. Lines that begin with -- tell what the devices hear. Ctrl-C ends the demonstration.\n"+
		"Try it from another terminal:\n\n"+
		"  mosquitto_sub -h %[4]s -t \"#\" -u %[5]s -P \"%[6]s\" -d\n"+
		"  mosquitto_pub -h %[4]s -t \"v3/%[5]s/devices/dev1/down/push\" -u %[5]s -P \"%[6]s\" -m '%[7]s' -d\n\n",
		s.opts.Devices, way, s.login.Broker, host, Application, s.login.Password, push)
}

// push is the downlink of The Things Stack's documentation.
const push = `{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}`

// message prints an MQTT message. The application answers uplinks on f_port 15 with
// a downlink, which is sent in a receive window of that uplink.
func (s *Show) message(topic string, payload []byte) {
	s.arrived.Add(1)
	now := time.Now().Format("15:04:05.000")
	if s.opts.JSON {
		fmt.Fprintf(s.opts.Out, "%s %s\n%s\n", now, topic, payload)
	} else {
		fmt.Fprintf(s.opts.Out, "%s %s%s\n", now, topic, brief(payload))
	}
	if strings.HasSuffix(topic, "/up") && bytes.Contains(payload, []byte(`"f_port":15,`)) {
		select {
		case s.answers <- strings.TrimSuffix(topic, "/up") + "/down/push":
		default: // the application is busy
		}
	}
}

// brief returns what people look for in a message; nothing where there is nothing of it.
func brief(payload []byte) string {
	type downlink struct {
		FPort   int    `json:"f_port"`
		FCnt    int    `json:"f_cnt"`
		Payload []byte `json:"frm_payload"`
	}
	var m struct {
		Up *struct {
			downlink
			Metadata []struct {
				RSSI float64 `json:"rssi"`
				SNR  float64 `json:"snr"`
			} `json:"rx_metadata"`
		} `json:"uplink_message"`
		Queued *downlink `json:"downlink_queued"`
		Sent   *downlink `json:"downlink_sent"`
		Ack    *downlink `json:"downlink_ack"`
		Join   *struct{} `json:"join_accept"`
		IDs    struct {
			DevAddr string `json:"dev_addr"`
		} `json:"end_device_ids"`
	}
	if json.Unmarshal(payload, &m) != nil {
		return ""
	}
	text := func(d *downlink) string {
		return fmt.Sprintf("  f_cnt %d  f_port %d  %X", d.FCnt, d.FPort, d.Payload)
	}
	switch {
	case m.Up != nil && len(m.Up.Metadata) > 0:
		return text(&m.Up.downlink) + fmt.Sprintf("  RSSI %v SNR %v", m.Up.Metadata[0].RSSI, m.Up.Metadata[0].SNR)
	case m.Up != nil:
		return text(&m.Up.downlink)
	case m.Join != nil:
		return "  DevAddr " + m.IDs.DevAddr
	}
	if d := cmp.Or(m.Queued, m.Sent, m.Ack); d != nil {
		return text(d)
	}
	return ""
}

// answer is the application: it pushes downlinks.
func (s *Show) answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case topic := <-s.answers:
			if err := s.login.Publish(ctx, topic, []byte(push)); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// live is the life of a device: it joins and sends. Every third uplink is confirmed
// and on f_port 15; the application answers it.
func (s *Show) live(ctx context.Context, i int, v *device) error {
	if !Sleep(ctx, s.opts.Interval*time.Duration(i)/time.Duration(len(s.devices))) {
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
		case <-time.After(joinAgain):
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
		s.sent.Add(1)
		if !Sleep(ctx, s.opts.Interval) {
			return nil
		}
	}
}

// Sleep waits for d. It returns false if ctx ends before.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
