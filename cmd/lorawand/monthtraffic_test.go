//go:build !small

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/bridge/admin/web"
	"lorawand/bridge/codec"
	"lorawand/bridge/core"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// nearlyWrapped is a frame counter whose low 16 bits soon begin again.
const nearlyWrapped = 65_500

// groupName is the device that stands for the group.
const groupName = "group"

// register puts all devices on the air and into the store, with a key of who reads the web page.
func (m *month) register(length time.Duration) {
	m.Helper()
	for i := range m.size.devices {
		m.device(i, length, func(o air.DeviceOptions) *air.Device { return m.put(i, o) })
	}
	m.group()
	var records []store.Record
	for _, d := range m.devices.All() {
		r, err := state.DeviceRecords(d)
		if err != nil {
			m.Fatal(err)
		}
		records = append(records, r...)
	}
	text, k, err := access.New(bytes.NewReader(bytes.Repeat([]byte("seed"), 64)), "app1")
	if err != nil {
		m.Fatal(err)
	}
	k.Rights = access.All
	r, err := state.KeyRecord(k)
	if err != nil {
		m.Fatal(err)
	}
	m.key = text
	s, err := store.Open("", store.Options{FS: m.disk})
	if err != nil {
		m.Fatal(err)
	}
	for part := range slices.Chunk(append(records, r), 100) {
		if err := s.Commit(part...); err != nil {
			m.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		m.Fatal(err)
	}
}

// put puts device i on the air: of ten, six of Class A, one of them personalised with a counter that
// soon wraps, one of Class B and two of Class C. Every other one has a payload formatter.
func (m *month) put(i int, o air.DeviceOptions) *air.Device {
	o.Heard = func(h air.Heard) {
		if h.JoinAccept != nil {
			m.joined(h.Device)
		}
	}
	id := deviceID(fmt.Sprintf("dev%04d", i))
	if i%10 == 6 {
		v := m.personalised(i, id.Device, &o)
		return m.registered(i, v, func(*session.Device) {})
	}
	switch i % 10 {
	case 7:
		o.ClassB, o.Periodicity, o.DataRate = true, uint8(i%8), 5
	case 8, 9:
		o.ClassC, o.Confirms, o.Shut, o.DataRate = true, true, 60*time.Millisecond, 5
	}
	return m.registered(i, m.otaa(i, o), func(d *session.Device) { d.ClassB, d.ClassC = o.ClassB, o.ClassC })
}

// registered changes what is registered of a device that is on the air.
func (m *month) registered(i int, v *air.Device, change func(*session.Device)) *air.Device {
	d := m.devices.Device(deviceID(v.Name()))
	change(d)
	m.onAir[v.Name()] = v
	if i%2 == 0 {
		d.Formatters = session.Formatters{Up: "FORMATTER_CAYENNELPP", Down: "FORMATTER_NONE", Set: true}
	}
	return v
}

// personalised adds a device that does not join.
func (m *month) personalised(i int, name string, o *air.DeviceOptions) *air.Device {
	m.Helper()
	k := frame.Key{3, byte(i >> 8), byte(i)}
	keys := frame.SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: frame.Key{4, byte(i >> 8), byte(i)}}
	addr := radio.DevAddr{1, 1, byte(i >> 8), byte(i)}
	if err := m.devices.Add(&session.Device{
		ID: deviceID(name), DevEUI: radio.EUI64{2, 6: byte(i >> 8), 7: byte(i)}, Version: session.V1_0_3, Plan: m.plan.ID(),
		ClassC: o.ClassC, Multicast: name == groupName,
		Session: &session.Session{
			DevAddr: addr, Keys: keys, Heard: name != groupName, FCntUp: nearlyWrapped, NFCntDown: nearlyWrapped,
			AFCntDown: nearlyWrapped,
		},
	}); err != nil {
		m.Fatal(err)
	}
	o.Name, o.Plan, o.Version, o.DevAddr, o.Keys = name, m.plan, air.V1_0_3, addr, keys
	o.FCntUp, o.FCntDown = nearlyWrapped+1, nearlyWrapped
	v, err := m.air.Device(*o)
	if err != nil {
		m.Fatal(err)
	}
	return v
}

// group adds a multicast group, for which the application pushes every half hour or so.
func (m *month) group() {
	m.Helper()
	m.personalised(0xFFFF, groupName, &air.DeviceOptions{DataRate: 5, ClassC: true})
	to := fmt.Sprintf(`,"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":%q}}]}`, gateway.DefaultID(monthGateway(2)))
	var again func()
	again = func() {
		if time.Since(m.begin) < time.Duration(m.size.days)*24*time.Hour {
			go m.pushes(groupName, to)
			m.air.At(time.Now().Add(15*time.Minute+time.Duration(m.n(1800))*time.Second), again)
		}
	}
	m.air.At(m.begin.Add(10*time.Minute), again)
}

// frail is a recorder that fails at some of the frames, and has the core fail in the middle of others,
// as a fault of the core would. It keeps some for who replays them.
type frail struct {
	*month
	heard   bool // the core is at a frame
	phy     string
	entropy io.Reader
}

// Begin implements bridge.Recorder.
func (f *frail) Begin(o *core.Options) error {
	f.entropy, o.Entropy = o.Entropy, f
	return nil
}

// Read is the entropy of the core, which does not expect it to fail.
func (f *frail) Read(b []byte) (int, error) {
	if f.heard {
		f.stumble(4000)
	}
	return f.entropy.Read(b)
}

// stumble panics one time in so many.
func (f *frail) stumble(n int) {
	if f.n(n) > 0 {
		return
	}
	f.noteMu.Lock()
	f.sum.panics++
	f.noteMu.Unlock()
	f.uplinks.panicked(f.phy, time.Now())
	panic("of the test")
}

// Input implements bridge.Recorder.
func (f *frail) Input(_ core.Now, in core.Input) {
	var h core.Heard
	if h, f.heard = in.(core.Heard); !f.heard {
		return
	}
	f.phy = string(h.Uplink.PHYPayload)
	f.stumble(4000)
	if len(h.Uplink.PHYPayload) > 0 && f.n(10) == 0 {
		f.noteMu.Lock()
		defer f.noteMu.Unlock()
		f.caught = append(f.caught[max(len(f.caught)-63, 0):], h.Uplink)
	}
}

// trouble is what goes wrong beside the process, again and again. It runs on the air.
func (m *month) trouble() {
	if time.Since(m.begin) > time.Duration(m.size.days)*24*time.Hour {
		return
	}
	m.air.At(time.Now().Add(time.Duration(10+m.n(50))*time.Second), m.trouble)
	switch m.n(400) {
	case 0:
		m.restartForwarder(m.far)
	case 1:
		m.restartForwarder(m.near)
	case 2, 3:
		jumps := []time.Duration{
			0, lostCalendar, 2 * time.Second, -2 * time.Second, -time.Hour, 56 * 365 * 24 * time.Hour,
			-30 * 365 * 24 * time.Hour,
		}
		m.calendar.Store(int64(jumps[m.n(len(jumps))]))
	default:
		m.hostile()
	}
}

// restartForwarder has a packet forwarder begin anew, with another counter.
func (m *month) restartForwarder(f *remote) {
	m.noteMu.Lock()
	eui := f.o.Receiver.EUI
	m.resets[eui] = append(m.resets[eui], time.Now())
	m.noteMu.Unlock()
	f.restart(uint32(m.n(math.MaxInt32)), m.n(2) == 0)
}

// hostile lets the gateway far away hear a frame that nobody should have sent.
func (m *month) hostile() {
	up := m.old()
	switch m.n(6) {
	case 0: // replayed as it is
	case 1:
		up.PHYPayload[m.n(len(up.PHYPayload))] ^= byte(1 + m.n(255))
	case 2:
		up.PHYPayload = up.PHYPayload[:m.n(len(up.PHYPayload))]
	case 3:
		up.PHYPayload = append(up.PHYPayload, make([]byte, m.n(255-min(len(up.PHYPayload), 254)))...)
	case 4:
		up.PHYPayload = make([]byte, m.n(256))
		for i := range up.PHYPayload {
			up.PHYPayload[i] = byte(m.n(256))
		}
	case 5: // a join-request, of a device of ours or of nobody's
		up.PHYPayload = make([]byte, 23)
		up.PHYPayload[8] = 7
		binary.LittleEndian.PutUint16(up.PHYPayload[9:], uint16(m.n(2*m.size.devices)))
		copy(up.PHYPayload[11:], []byte{6, 5, 4, 3, 2, 1})
		binary.LittleEndian.PutUint32(up.PHYPayload[17:], uint32(m.n(math.MaxInt32)))
	}
	m.noteMu.Lock()
	m.sum.hostile++
	m.noteMu.Unlock()
	up.Time = radio.ConcentratorTime(m.far.Counter(time.Now()).Counter())
	m.far.hear(up)
}

// old is a frame that was heard long enough ago, that a repetition is a replay.
func (m *month) old() radio.Uplink {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	up := radio.Uplink{
		PHYPayload: []byte{0x40, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 4}, Frequency: 868_100_000,
		DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Receptions: []radio.Reception{{RSSI: -9000}},
	}
	now := m.clock.Host()
	for _, c := range m.caught {
		if now.Sub(c.Received) > time.Minute && m.n(4) == 0 {
			up.PHYPayload, up.Frequency, up.DataRate = slices.Clone(c.PHYPayload), c.Frequency, c.DataRate
		}
	}
	return up
}

// lastUp is the last uplink that was published of a device.
type lastUp struct {
	session, before string
	fCnt            uint32
	at              time.Time
}

// hears is the application, of what the process publishes while it lives.
func (m *month) hears(msg v3.Message) {
	if msg.Suffix == v3.Up {
		m.published(msg)
	} else {
		m.told(msg)
	}
}

// published wants each uplink once, but for those after a power cut of whose counters the store did
// not have the last interval.
func (m *month) published(msg v3.Message) {
	var text struct {
		Uplink struct {
			Session string          `json:"session_key_id"`
			FCnt    uint32          `json:"f_cnt"`
			Decoded json.RawMessage `json:"decoded_payload"`
		} `json:"uplink_message"`
	}
	if err := json.Unmarshal(msg.Payload, &text); err != nil {
		m.Error(err)
	}
	up := &text.Uplink
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.sum.ups++
	m.uplinks.published(msg.Device, up.FCnt)
	last := m.ups[msg.Device]
	again := up.Session == last.before && last.before != "" || up.Session == last.session && !last.at.IsZero() &&
		up.FCnt <= last.fCnt
	if again && !m.cutWithin(last.at, commitOfMonth+time.Second) {
		m.Errorf("%s: FCntUp %d of session %q is published at %v, after %d of %q at %v; %s", msg.Device, up.FCnt, up.Session,
			time.Since(m.begin), last.fCnt, last.session, last.at.Sub(m.begin), m.ends(last.at))
	}
	if again {
		m.sum.twice++
	}
	if last.session != up.Session {
		last.before = last.session
	}
	last.session, last.fCnt, last.at = up.Session, up.FCnt, time.Now()
	m.ups[msg.Device] = last
}

// cutWithin reports whether the power was cut so long after a time. The caller holds noteMu.
func (m *month) cutWithin(at time.Time, long time.Duration) bool {
	return slices.ContainsFunc(m.powerOff, func(cut time.Time) bool { return !cut.Before(at) && cut.Sub(at) <= long })
}

// ends tells how the process has ended next after a time. The caller holds noteMu.
func (m *month) ends(at time.Time) string {
	for _, e := range m.ended {
		if !e.at.Before(at) {
			return fmt.Sprintf("%s %v later", e.how, e.at.Sub(at))
		}
	}
	return "no end of the process since"
}

// atCut allows a second end to an item whose first one was told when the power was cut: that it is
// over was not stored then.
func (m *month) atCut(it *dayItem) bool {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	if !m.cutWithin(it.ended, time.Second) {
		m.Errorf("%s ends again at %v, after %v at %v; %s", it.device, time.Since(m.begin), it.final, it.ended.Sub(m.begin),
			m.ends(it.ended))
		return false
	}
	m.sum.twice++
	return true
}

// unanswered takes a push that got no answer, because the process has ended.
func (m *month) unanswered(err error) {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.sum.unanswered++
	if !m.settled.IsZero() && time.Since(m.settled) > 2*time.Minute {
		m.Errorf("a push is not answered, and nothing has ended: %v", err)
	}
}

// openPage opens the web page, and has somebody read it now and then.
func (m *month) openPage(st state.State, resolver *codec.Resolver, pool *formatter.Pool) (closePage func()) {
	m.Helper()
	a, err := admin.New(admin.Options{
		Bridge: m.bridge, Keys: st.Keys, Store: m.store, Applications: st.Applications, Codecs: st.Codecs,
		Resolver: resolver, Formatters: pool, Plan: m.plan.ID(), Logger: quietLog,
	})
	if err != nil {
		m.Fatal(err)
	}
	source := &problems.Source{Bridge: m.bridge, Keys: st.Keys, Store: m.store, Resolver: resolver}
	a.Add("problems.list", admin.Operation{
		Run: func(ctx context.Context, _ json.RawMessage, reply func(any) error) error {
			found, err := source.List(ctx)
			if err != nil {
				return err
			}
			return reply(found)
		},
		Right: admin.Right{Rights: access.All}, Limit: time.Minute,
	})
	page := web.New(web.Options{
		Admin: a, Bridge: m.bridge, Keys: st.Keys, Passwords: web.NewPasswords(a, m.store), Calendar: m.clock.Calendar,
		Resolver: resolver, Formatters: pool, Logger: quietLog,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	m.part(ctx, &wg, func(ctx context.Context) error { m.reads(ctx, page); return nil })
	return func() { cancel(); page.Close(); wg.Wait() }
}

// monthPages are what a reader looks at.
var monthPages = []string{
	"status", "devices", "device?application_id=app1&device_id=dev0001", "gateways", "keys", "applications", "live",
}

// reads is a reader of the web page, who comes every quarter of an hour.
func (m *month) reads(ctx context.Context, page http.Handler) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(15 * time.Minute):
		}
		login, code := m.ask(ctx, page, http.MethodPost, "login", `{"password":"`+m.key+`"}`, "")
		cookie, _, _ := strings.Cut(login, ";")
		for _, name := range monthPages {
			if _, code = m.ask(ctx, page, http.MethodGet, name, "", cookie); code != http.StatusOK {
				break
			}
		}
		if code != http.StatusOK && ctx.Err() == nil && !m.dead.Load() {
			m.Errorf("the web page answers %d", code)
		}
		m.ask(ctx, page, http.MethodPost, "logout", "{}", cookie)
	}
}

// ask asks the page, and returns the cookie that it sets.
func (m *month) ask(ctx context.Context, page http.Handler, method, name, body, cookie string) (set string, code int) {
	r := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1/api/page/"+name, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Lorawand", "1")
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	m.noteMu.Lock()
	m.sum.pages++
	m.noteMu.Unlock()
	return w.Header().Get("Set-Cookie"), w.Code
}
