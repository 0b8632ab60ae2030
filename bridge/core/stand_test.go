package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

var (
	gwA = radio.EUI64{0xa}
	gwB = radio.EUI64{0xb}
	gwC = radio.EUI64{0xc}
)

// stand is a core with devices and gateways, a store, and a clock that is moved
// by hand: every gateway's counter shows the host's time. Whatever a test does,
// the stand looks that nothing happens that never must: see watch.
type stand struct {
	*testing.T
	c       *Core
	now     Now
	devices map[string]*session.Device
	arm     radio.HostTime
	ups     []v3.Message // all messages
	events  []event.Event
	commits []Commit
	answers []Answer

	sent []sentDown // to gateways
	read int        // of these, by downs
	told int        // of ups, by tells
	last map[string]radio.ConcentratorTime
	ends map[string][]byte // FRMPayload and counter of each downlink

	disk   disk
	keeps  keeps
	asks   bool  // devices that are added from now on are asked for what they lack
	slow   bool  // the store does not answer before stored is called
	fails  error // what the store answers
	queued []Commit
	trace  func(Effect)        // nil: none
	sky    func(*radio.Uplink) // gives frames GPS time; nil: there is none
}

// reason is the text of an error; "": none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// disk is what the store has: firm after a power cut, soft after a clean stop.
type disk struct{ firm, soft map[recordID]store.Record }

// sentDown is a downlink that was handed to a gateway.
type sentDown struct {
	radio.Downlink
	ahead   time.Duration // of its begin
	airtime time.Duration
	text    string // see text
	over    bool   // refused, or its gateway has forgotten it
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{
		T: t, devices: map[string]*session.Device{}, last: map[string]radio.ConcentratorTime{}, ends: map[string][]byte{},
		disk: disk{map[recordID]store.Record{}, map[recordID]store.Record{}}, keeps: keeps{has: map[recordID]store.Record{}},
	}
	s.now = Now{Host: radio.HostTime(time.Minute), Wall: radio.WallTime{Time: time.Date(2026, 11, 24, 12, 0, 0, 0,
		time.UTC), Quality: radio.TimeNTP}}
	s.core(session.NewRegistry(0), nil)
	for i, name := range []string{"dev1", "dev2", "unserved"} {
		s.add(&session.Device{
			ID: session.ID{Application: "app1", Device: name}, DevEUI: radio.EUI64{byte(i + 1)}, Version: session.V1_0_3,
			Plan: map[bool]string{true: "none", false: "EU_863_870_TTN"}[name == "unserved"],
			Session: &session.Session{
				DevAddr: radio.DevAddr{1, 2, 3, byte(i)},
				Keys:    testKeys(byte(i)),
			},
		})
	}
	return s
}

// core puts a new core on the stand.
func (s *stand) core(devices *session.Registry, ledgers map[radio.EUI64]state.Spent) {
	s.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		s.Fatal(err)
	}
	gateways := gateway.NewRegistry()
	for _, eui := range []radio.EUI64{gwA, gwB, gwC} {
		if err := gateways.Add(&gateway.Gateway{ID: fmt.Sprintf("gw-%x", eui[0]), EUI: eui, Plan: plan}); err != nil {
			s.Fatal(err)
		}
	}
	s.c, err = New(Options{
		Devices: devices, Gateways: gateways, Ledgers: ledgers, Entropy: rand.New(rand.NewSource(int64(s.now.Host))),
		DefaultPlan: plan, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		s.Fatal(err)
	}
	s.arm = 0
}

// add registers a device, as an import does.
func (s *stand) add(d *session.Device) {
	s.Helper()
	if !s.asks {
		settle(d)
	}
	if err := s.c.opts.Devices.Add(d); err != nil {
		s.Fatal(err)
	}
	records, err := state.DeviceRecords(d)
	if err != nil {
		s.Fatal(err)
	}
	s.hand(records)
	s.write(Commit{Records: records})
	s.devices[d.ID.Device] = d
}

// settle makes a device one that is asked for nothing: its owner wants neither ADR nor
// its status, and has it as it is; what the plan still wants it has refused.
func settle(d *session.Device) *session.Device {
	never, count := time.Duration(0), uint32(0)
	m := &d.Settings.MAC
	m.ADR.Disabled, m.StatusCount, m.StatusTime = true, &count, &never
	p, err := d.PlanIn(d.Session)
	if err != nil || d.SupportsJoin || d.Session == nil {
		return d
	}
	has := mac.Current(d, d.Session, p)
	d.Settings.Desired = session.Desired{
		RX1Delay: &has.RX1Delay, RX1DROffset: &has.RX1DROffset,
		RX2DataRate: &has.RX2DataRate,
	}
	m.RX2Frequency = &has.RX2Frequency
	d.Session.MAC = &macstate.State{Masked: p.FixedChannels()}
	low, _ := p.ADRDataRates()
	rate, err := p.DataRate(low)
	if err != nil {
		panic(err)
	}
	ctx := mac.UplinkContext{Device: d, Session: d.Session, Plan: p, FCnt: math.MaxUint32, Rate: rate}
	for _, c := range mac.Uplink(&frame.Data{}, nil, ctx).Requests() {
		d.Session.MAC = d.Session.MAC.Answered(c, false)
	}
	return d
}

// late gives a personalised device the windows that a join-accept asks for.
func (s *stand) late(device string) *session.Device {
	d := s.devices[device]
	d.Session.Parameters = &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000}
	return settle(d)
}

func (s *stand) gateway(eui radio.EUI64) *gateway.Gateway { return s.c.opts.Gateways.Gateway(eui) }

// answering makes gateways of the local host whose forwarders send TX_ACKs.
func (s *stand) answering(gws ...radio.EUI64) {
	for _, eui := range gws {
		g := s.gateway(eui)
		g.Local = true
		g.Answered(3 * time.Millisecond)
	}
}

func testKeys(n byte) frame.SessionKeys {
	nwk := frame.Key{1, n}
	return frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2, n}}
}

// step does one input and keeps what comes of it.
func (s *stand) step(in Input) {
	s.Helper()
	var answers []Stored
	s.keeps.before(s)
	effects := s.c.Step(s.now, in)
	s.keeps.after(s, in, effects)
	for _, e := range effects {
		if s.trace != nil {
			s.trace(e)
		}
		switch e := e.(type) {
		case Publish:
			s.ups = append(s.ups, e.Message)
		case Report:
			s.events = append(s.events, e.Event)
		case Commit:
			s.commits = append(s.commits, e)
			if s.slow {
				s.queued = append(s.queued, e)
			} else if k := s.write(e); k.Ticket != 0 {
				answers = append(answers, k)
			}
		case Transmit:
			s.transmit(e.Downlink)
		case Answer:
			s.answers = append(s.answers, e)
		case *Arm:
			if e.At < s.now.Host {
				s.Errorf("a timer is armed for %v ago", s.now.Host.Sub(e.At))
			}
			s.arm = e.At
		}
	}
	for _, k := range answers {
		s.step(k)
	}
}

// write carries out a Commit as the keeper does: what asks for an answer is
// written now or never, the rest some time.
func (s *stand) write(k Commit) Stored {
	if k.Ticket != 0 && s.fails != nil {
		return Stored{k.Ticket, s.fails}
	}
	for _, r := range k.Records {
		id := recordID{r.Kind, r.Key}
		for _, m := range []map[recordID]store.Record{s.disk.soft, s.disk.firm} {
			if r.Data == nil {
				delete(m, id)
			} else {
				m[id] = r
			}
			if k.Lag {
				break
			}
		}
	}
	return Stored{Ticket: k.Ticket}
}

// stored lets a slow store write what it was given, and what comes of that.
func (s *stand) stored() {
	s.Helper()
	for len(s.queued) > 0 {
		queued := s.queued
		s.queued = nil
		var answers []Stored
		for _, k := range queued {
			answers = append(answers, s.write(k))
		}
		for _, a := range answers {
			if a.Ticket != 0 {
				s.step(a)
			}
		}
	}
	s.slow = false
}

// restart begins anew with what a disk has. Gateways forget what they were to
// send.
func (s *stand) restart(has map[recordID]store.Record) {
	s.Helper()
	s.over(func(d *sentDown) bool { return d.Time > radio.ConcentratorTime(s.now.Host/1000) })
	s.disk, s.keeps = disk{maps.Clone(has), maps.Clone(has)}, keeps{has: maps.Clone(has), seldom: s.keeps.seldom}
	st, err := store.Open(s.TempDir(), store.Options{Ephemeral: true})
	if err != nil {
		s.Fatal(err)
	}
	defer st.Close()
	var records []store.Record
	for _, r := range has {
		records = append(records, r)
	}
	if err := st.Commit(records...); err != nil {
		s.Fatal(err)
	}
	state, err := state.Load(st, 0, "ttn")
	if err != nil {
		s.Fatal(err)
	}
	s.core(state.Devices, state.Ledgers)
	s.c.opts.Tombstones = state.Tombstones
	for _, d := range state.Devices.All() {
		s.devices[d.ID.Device] = d
	}
	s.answers, s.queued, s.slow, s.read = nil, nil, false, len(s.sent)
}

// wait lets time pass, and the timer fire.
func (s *stand) wait(d time.Duration) {
	s.Helper()
	for end := s.now.Host.Add(d); ; {
		next := end
		fire := s.arm != 0 && s.arm <= end
		if fire {
			next = s.arm
		}
		s.now.Wall.Time = s.now.Wall.Time.Add(next.Sub(s.now.Host))
		s.now.Host = next
		if !fire {
			return
		}
		s.arm = 0
		s.step(TimerFired{})
	}
}

func (s *stand) gatewayEvent(g radio.EUI64, kind radio.GatewayEventKind) {
	s.Helper()
	if kind == radio.GatewayCounterReset {
		s.over(func(d *sentDown) bool { return d.Gateway == g && d.Time > radio.ConcentratorTime(s.now.Host/1000) })
	}
	s.step(GatewayChanged{radio.GatewayEvent{
		Gateway: g, Kind: kind, At: s.now.Host, Address: "127.0.0.1:1",
		Local: s.gateway(g) != nil && s.gateway(g).Local,
	}})
}

func (s *stand) online(gws ...radio.EUI64) {
	s.Helper()
	for _, g := range gws {
		s.gatewayEvent(g, radio.GatewayConnected)
	}
	s.events = nil
}

func (s *stand) hear(g radio.EUI64, phy []byte, change ...func(*radio.Uplink)) {
	s.Helper()
	at := radio.ConcentratorTime(s.now.Host / 1000)
	up := radio.Uplink{
		Gateway: g, PHYPayload: slices.Clone(phy), Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7,
			125_000), CodingRate: radio.CodingRate45,
		Time: at, Received: s.now.Host, Ended: s.now.Host,
		Receptions: []radio.Reception{{Channel: 1, RSSI: -6000, SNR: 850, Token: radio.UplinkToken{Gateway: g, Time: at}}},
	}
	if s.sky != nil {
		s.sky(&up)
	}
	for _, f := range change {
		f(&up)
	}
	if len(phy) > 4 {
		s.last[string(g[:])+address(phy)] = up.Time
	}
	s.step(Heard{up})
}

// push is down/push; its ticket is the number of answers that it needs.
func (s *stand) push(device string, items ...session.Item) {
	s.Helper()
	s.step(Pushed{
		Ticket: uint64(len(s.answers) + 1), Device: session.ID{Application: "app1", Device: device},
		Items: items,
	})
}

func (s *stand) replace(device string, items ...session.Item) {
	s.Helper()
	s.step(Pushed{
		Ticket: uint64(len(s.answers) + 1), Device: session.ID{Application: "app1", Device: device},
		Replace: true, Items: items,
	})
}

// ack answers the last downlink.
func (s *stand) ack(r radio.TxResult) {
	s.Helper()
	if len(s.sent) == 0 {
		s.Fatal("nothing was sent")
	}
	s.ackOf(&s.sent[len(s.sent)-1], r)
}

func (s *stand) ackOf(d *sentDown, r radio.TxResult) {
	s.Helper()
	id, g := d.ID, d.Gateway
	if r != radio.TxOK && r != radio.TxNoAck {
		d.over = true
	}
	s.step(Acked{radio.TxAck{ID: id, Gateway: g, Result: r, RoundTrip: 3 * time.Millisecond, At: s.now.Host}})
}

func (s *stand) over(is func(*sentDown) bool) {
	for i := range s.sent {
		if is(&s.sent[i]) {
			s.sent[i].over = true
		}
	}
}

// published returns the fields of the messages so far.
func (s *stand) published() []string {
	s.Helper()
	var out []string
	for _, m := range s.ups {
		var v struct {
			Up struct {
				FPort   int    `json:"f_port"`
				FCnt    int    `json:"f_cnt"`
				Payload []byte `json:"frm_payload"`
				Meta    []struct {
					IDs struct {
						ID string `json:"gateway_id"`
					} `json:"gateway_ids"`
				} `json:"rx_metadata"`
			} `json:"uplink_message"`
		}
		if err := json.Unmarshal(m.Payload, &v); err != nil {
			s.Fatalf("%s: %v", m.Payload, err)
		}
		line := fmt.Sprintf("%s/%s f_cnt %d port %d %q", m.Device, m.Suffix, v.Up.FCnt, v.Up.FPort, v.Up.Payload)
		for _, r := range v.Up.Meta {
			line += " " + r.IDs.ID
		}
		out = append(out, line)
	}
	return out
}

func (s *stand) wants(lines ...string) {
	s.Helper()
	s.compare("published", s.published(), lines)
}

func (s *stand) compare(what string, got, want []string) {
	s.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.Fatalf("%s\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s *stand) event(kind event.Kind, reason event.DropReason) event.Event {
	s.Helper()
	if len(s.events) == 0 {
		s.Fatalf("no event, want %v", kind)
	}
	e := s.events[len(s.events)-1]
	if e.Kind != kind || kind == event.UplinkDropped && e.Reason != reason {
		s.Fatalf("event %+v, want %v %v", e, kind, reason)
	}
	return e
}

// count returns how many events of a kind there were.
func (s *stand) count(kind event.Kind) (n int) {
	for i := range s.events {
		if s.events[i].Kind == kind {
			n++
		}
	}
	return n
}
