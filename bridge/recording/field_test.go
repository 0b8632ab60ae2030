package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// field is a core whose inputs are recorded, with devices, gateways and applications that do at
// random what such do. Each run with the same seed is the same.
type field struct {
	*testing.T
	rnd      *rand.Rand
	store    *store.Store
	recorder *Recorder
	file     bytes.Buffer // the recording
	effects  bytes.Buffer // what the core has decided, a line each
	core     *core.Core
	now      core.Now
	arm      radio.HostTime // 0: no timer
	inputs   int
	ticket   uint64
	nodes    []*node
	acks     []radio.TxAck
	stored   []core.Stored // answers of the store that are due
	faults   int
	words    map[string]int // effects by their word
}

// node is an end device.
type node struct {
	device  *session.Device
	session *session.Session // nil: it has not joined
	request frame.JoinRequest
	fCnt    uint32
}

var gateways = []radio.EUI64{{0xa}, {0xb}, {0xc}}

// sink is the file of a Recorder.
type sink struct{ io.Writer }

func (sink) Close() error { return nil }

func newField(t *testing.T, seed uint64, limit int64) *field {
	t.Helper()
	f := &field{T: t, rnd: rand.New(rand.NewPCG(seed, 1)), words: map[string]int{}}
	s, err := store.Open(t.TempDir(), store.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f.store = s
	f.provide()
	st, err := state.Load(s, 50, "ttn")
	if err != nil {
		t.Fatal(err)
	}
	f.recorder = New(Options{
		Out: sink{&f.file}, Limit: limit, Store: s, State: st, Version: "1", Logger: slog.New(slog.DiscardHandler),
		Random: rand.NewChaCha8([32]byte{byte(seed)}),
	})
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	o := core.Options{
		Devices: st.Devices, Ledgers: st.Ledgers, Hours: st.Hours, Tombstones: st.Tombstones, DefaultPlan: plan,
		Gateways: gateway.NewRegistry(), NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Forwards: true,
	}
	for _, g := range f.configured(0) {
		if err := o.Gateways.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.recorder.Begin(&o); err != nil {
		t.Fatal(err)
	}
	if f.core, err = core.New(o); err != nil {
		t.Fatal(err)
	}
	f.now.Host = radio.HostTime(time.Second)
	f.now.Wall.Time = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.step(core.Starting{})
	for _, g := range gateways {
		e := radio.GatewayEvent{Gateway: g, Kind: radio.GatewayConnected, At: f.now.Host, Local: true}
		f.step(core.GatewayChanged{Event: e})
	}
	return f
}

// configured are the gateways of a configuration.
func (f *field) configured(gain radio.Decibel) (out []*gateway.Gateway) {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		f.Fatal(err)
	}
	for i, eui := range gateways {
		out = append(out, &gateway.Gateway{
			ID: fmt.Sprintf("gw-%d", i), EUI: eui, Plan: plan, AntennaGain: gain, EnforceDutyCycle: i > 0, Configured: true,
			Location: &gateway.Location{Latitude: 52.1 + float64(i)/3, Longitude: -4.7, Altitude: 12}, Beacons: i == 2,
		})
	}
	return out
}

// provide fills the store: personalised devices, one of them of Class C, three that join, and a
// multicast group.
func (f *field) provide() {
	for i, version := range []session.Version{
		session.V1_0_3, session.V1_0_3, session.V1_0_4, session.V1_1, session.V1_0_3, session.V1_0_3,
	} {
		d := &session.Device{
			ID: session.ID{Application: "app1", Device: fmt.Sprint("dev", i)}, DevEUI: radio.EUI64{1, byte(i)},
			JoinEUI: radio.EUI64{2}, HasJoinEUI: true, Version: version, Plan: "EU_863_870_TTN",
			ClassC: i == 1 || i == 3 || i == 5, Multicast: i == 5,
			Attributes: map[string]string{"room": "1", "floor": "2", "house": "3"},
		}
		n := &node{device: d}
		if d.SupportsJoin = i >= 2 && i <= 4; d.SupportsJoin {
			d.RootKeys = frame.RootKeys{AppKey: frame.Key{3, byte(i)}, NwkKey: frame.Key{4, byte(i)}}
		} else {
			nwk := frame.Key{1, byte(i)}
			d.Session = &session.Session{DevAddr: radio.DevAddr{1, 2, 3, byte(i)}, Keys: frame.SessionKeys{
				FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2, byte(i)},
			}}
			n.session = d.Session
		}
		f.nodes = append(f.nodes, n)
		records, err := state.DeviceRecords(d)
		if err == nil {
			err = f.store.Commit(records...)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
}

// step does one input, and keeps what comes of it.
func (f *field) step(in core.Input) {
	f.Helper()
	f.inputs++
	f.recorder.Input(f.now, in)
	if err := f.recorder.flush(false); err != nil {
		f.Fatal(err)
	}
	faults, effects := stepped(f.core, f.now, in)
	f.faults += len(faults)
	p := Replay{n: f.inputs, last: f.now.Host}
	err := p.tell(nameOf(in), faults, effects, func(e *Effect) error {
		f.words[e.Effect]++
		return writeTo(&f.effects)(e)
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range effects {
		switch e := e.(type) {
		case core.Commit:
			if e.Ticket != 0 {
				f.stored = append(f.stored, core.Stored{Ticket: e.Ticket})
			}
		case core.Transmit:
			f.transmitted(&e.Downlink)
		case *core.Arm:
			f.arm = e.At
		}
	}
}

// writeTo returns what writes effects, a line each.
func writeTo(w io.Writer) func(*Effect) error {
	return func(e *Effect) error {
		text, err := e.Text()
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
}

// transmitted takes a frame: its gateway will answer, and who joins has its session.
func (f *field) transmitted(d *radio.Downlink) {
	f.acks = append(f.acks, radio.TxAck{ID: d.ID, Gateway: d.Gateway, RoundTrip: 3 * time.Millisecond})
	for _, n := range f.nodes {
		if !n.device.SupportsJoin {
			continue
		}
		if a, err := frame.ParseJoinAccept(d.PHYPayload, n.device.RootKeys, &n.request); err == nil {
			keys, err := frame.DeriveSessionKeys(*a, n.device.RootKeys, &n.request)
			if err != nil {
				f.Fatal(err)
			}
			n.session, n.fCnt = &session.Session{DevAddr: a.DevAddr, Keys: keys}, 0
		}
	}
}

// pass lets time pass: the timer fires, gateways and the store answer.
func (f *field) pass(d time.Duration) {
	f.Helper()
	for end := f.now.Host.Add(d); f.now.Host < end; {
		next := end
		fire := f.arm != 0 && f.arm <= end
		if fire {
			next = max(f.arm, f.now.Host)
		}
		f.now.Wall.Time = f.now.Wall.Time.Add(next.Sub(f.now.Host))
		f.now.Host = next
		if fire {
			f.arm = 0
			f.step(core.TimerFired{})
		}
	}
	acks, stored := f.acks, f.stored
	f.acks, f.stored = nil, nil
	for _, s := range stored {
		if f.rnd.IntN(20) == 0 {
			s.Err = errors.New("the disk is full")
		}
		f.step(s)
	}
	for _, a := range acks {
		a.At = f.now.Host
		a.Result = []radio.TxResult{radio.TxOK, radio.TxOK, radio.TxOK, radio.TxTooLate, radio.TxNoAck}[f.rnd.IntN(5)]
		f.step(core.Acked{Ack: a})
	}
}

// hear brings a frame to some of the gateways.
func (f *field) hear(phy []byte) {
	for i, g := range gateways {
		if i > 0 && f.rnd.IntN(2) == 0 {
			continue
		}
		counter := radio.ConcentratorTime(f.now.Host / 1000)
		f.step(core.Heard{Uplink: radio.Uplink{
			Gateway: g, PHYPayload: slices.Clone(phy), Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7, 125_000),
			CodingRate: radio.CodingRate45, Time: counter, Received: f.now.Host, Ended: f.now.Host,
			GatewayTime: f.now.Wall.Time.Add(time.Duration(f.rnd.IntN(1e9))),
			Receptions: []radio.Reception{{
				Channel: uint8(i), RSSI: radio.Decibel(-12000 + f.rnd.IntN(6000)), SNR: radio.Decibel(f.rnd.IntN(1500) - 500),
				Token: radio.UplinkToken{Gateway: g, Time: counter, Host: f.now.Host}, NoDownlink: f.rnd.IntN(15) == 0,
			}},
		}})
	}
}
