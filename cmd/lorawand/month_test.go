//go:build !small

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/codec"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
)

// What asks for another size of TestMonth than that of every test run.
const (
	monthDaysEnv    = "LORAWAND_MONTH_DAYS"
	monthDevicesEnv = "LORAWAND_MONTH_DEVICES"
	monthCutsEnv    = "LORAWAND_MONTH_CUTS"
)

// monthSize is how much of a month is simulated.
type monthSize struct {
	days, devices int
	cuts          int           // ends of the process, of which two in three are power cuts
	every         time.Duration // between two uplinks of a device, in the middle
}

func sizeOfMonth() monthSize {
	number := func(env string, usual int) int {
		if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
			return n
		}
		return usual
	}
	s := monthSize{
		days: number(monthDaysEnv, 4), devices: number(monthDevicesEnv, 100), cuts: number(monthCutsEnv, 40),
		every: 15 * time.Minute,
	}
	if s.devices > 500 {
		s.every = time.Hour // what three gateways can answer
	}
	return s
}

// TestMonth is a month of a network, compressed: devices of all classes and a group, three
// gateways, an application that pushes, readers of the web page and formatters, with the real
// bridge, state and store. In its first part the process ends again and again, mostly by a power cut
// in the middle of a commit; in the rest one process lives on with everything else that goes wrong,
// and must not grow.
func TestMonth(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) { newMonth(t, sizeOfMonth(), folder).run() })
}

// month is one run of TestMonth.
type month struct {
	*day
	size      monthSize
	begin     time.Time
	folder    string
	far, near *remote // packet forwarders: far away, and on this network with GPS time
	key       string  // of the readers of the web page

	// Of the process that lives now.
	disk  store.FS
	cuts  *storetest.Disk // disk, as long as its power can be cut; nil: it is the folder
	store *store.Store
	end   func()

	calendar atomic.Int64 // by how much it is off; see lost

	onAir    map[string]*air.Device
	uplinks  *uplinkLog
	counters downCounters // of the goroutine of the air

	noteMu   sync.Mutex
	settled  time.Time         // since when one process lives; zero: it ends again and again
	ups      map[string]lastUp // by device
	caught   []radio.Uplink    // some that were heard, for those who replay them
	powerOff []time.Time
	ended    []processEnd
	resets   map[radio.EUI64][]time.Time // of the counters of packet forwarders
	handed   map[string]time.Time        // when a PHYPayload went to a driver
	sum      monthSum

	fullest float64        // hour of a sub-band, of what it may be
	untaken map[string]int // transmissions for nothing, by the reason
	samples []sample
}

// processEnd is one of the ends of the process.
type processEnd struct {
	at  time.Time
	how string
}

// monthSum counts.
type monthSum struct {
	ups, joins, restarts, unanswered, twice, panics, hostile, pages, sent, untaken, overtaken int
	faults, dropped                                                                           uint64
}

var quietLog = slog.New(slog.DiscardHandler)

// lostCalendar is the value of month.calendar for one that nobody knows.
const lostCalendar = 1 << 62

func newMonth(t *testing.T, size monthSize, folder string) *month {
	t.Helper()
	m := &month{
		day: newDay(t, 22), size: size, begin: time.Now(), folder: folder, ups: map[string]lastUp{},
		counters: downCounters{}, onAir: map[string]*air.Device{}, untaken: map[string]int{},
		uplinks: newUplinkLog(), resets: map[radio.EUI64][]time.Time{}, handed: map[string]time.Time{},
	}
	m.day.every, m.day.lost, m.day.twice, m.day.sends = size.every, m.unanswered, m.atCut, m.uplinks.sent
	m.message = m.hears
	m.handing = m.handsOver
	m.news = func(event.Event) {}
	m.air.Log(m.transmitted)
	m.cuts = storetest.NewDisk(nil)
	m.disk = m.cuts
	m.clock = bridge.NewClock(func(time.Time) radio.TimeQuality {
		if m.calendar.Load() == lostCalendar {
			return radio.TimeNone
		}
		return radio.TimeNTP
	})
	m.clock.Follow(func(radio.HostTime) (time.Time, bool) {
		off := m.calendar.Load()
		return time.Now().Round(0).UTC().Add(time.Duration(off)), off != 0 && off != lostCalendar
	})
	m.far = m.forwarder(0, remoteOptions{Jitter: 60 * time.Millisecond})
	m.near = m.forwarder(1, remoteOptions{Jitter: 3 * time.Millisecond, Local: true})
	return m
}

// monthLoss says that a gateway does not hear one of so many uplinks.
const monthLoss = 20

// monthGateway is the EUI of one of the gateways; the last one is on board.
func monthGateway(i int) radio.EUI64 { return radio.EUI64{0xA, 7: byte(i)} }

// forwarder is a packet forwarder on a network that loses something now and then.
func (m *month) forwarder(i int, o remoteOptions) *remote {
	o.Seed, o.Now = uint64(i), m.clock.Host
	o.Receiver = m.receiver(i)
	o.Receiver.GPS = o.Local
	o.Refuse, o.Mute = m.refuses, func() bool { return m.n(200) == 0 }
	return newRemote(m.air, o)
}

func (m *month) receiver(i int) air.ReceiverOptions {
	return air.ReceiverOptions{
		EUI: monthGateway(i), Plan: m.plan, Counter: 4_000_000_000 + uint32(i), Drift: 30 - 30*i,
		Loss: func(device string) bool {
			lost := m.n(monthLoss) == 0
			if !lost {
				m.uplinks.received(device)
			}
			return lost
		},
		Signal: func(string) (rssi, snr radio.Decibel) {
			return radio.Decibel(-11000 + m.n(4000)), radio.Decibel(m.n(1500) - 500)
		},
	}
}

func (m *month) refuses(radio.Downlink) radio.TxResult {
	if m.n(40) == 0 {
		return radio.TxCollisionPacket
	}
	return radio.TxOK
}

// live starts the process on its disk.
func (m *month) live() {
	m.Helper()
	s, err := store.Open("", store.Options{FS: m.disk, Logger: quietLog})
	if err != nil {
		m.Fatal(err)
	}
	st, err := state.Load(s, 0, "ttn")
	if err != nil {
		m.Fatal(err)
	}
	catchUp(s, st, quietLog)
	m.store, m.devices, m.gateways = s, st.Devices, gateway.NewRegistry()
	m.drivers = map[radio.EUI64]concentrator.Driver{}
	for _, f := range []*remote{m.far, m.near} {
		f.anew()
		m.add(f.o.Receiver.EUI, f, true)
	}
	o := m.receiver(2)
	o.Counter = rand.Uint32()
	m.gateway(virtual.Options{Receiver: o, Refuse: m.refuses}, true)
	m.dead.Store(false)

	resolver := codec.NewResolver(st.Applications, st.Codecs)
	pool := formatter.New(formatter.Options{NoJavaScript: true, Logger: quietLog})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	m.part(ctx, &wg, pool.Run)
	end := m.work(bridge.Options{
		Devices: st.Devices, Ledgers: st.Ledgers, Hours: st.Hours, Tombstones: st.Tombstones, Store: s, Serves: true,
		Commit: commitOfMonth, Formatters: resolver, Pool: pool, Recorder: &frail{month: m},
	})
	m.uplinks.begins(time.Now())
	closePage := m.openPage(st, resolver, pool)
	m.end = func() {
		m.uplinks.ends(time.Now())
		closePage()
		m.countFaults()
		end()
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil && !m.dead.Load() {
			m.Error(err)
		}
	}
}

// commitOfMonth is the default of the configuration.
const commitOfMonth = 15 * time.Second

// countFaults adds what a process counts.
func (m *month) countFaults() {
	ctx, cancel := context.WithTimeout(m.Context(), time.Minute)
	defer cancel()
	s, err := m.bridge.Stats(ctx)
	if err != nil {
		m.Error(err)
	}
	m.sum.faults += s.Faults
	m.sum.dropped += s.InboxDropped
}

var errPower = errors.New("the power is cut")

// cut cuts the power in the middle of what the process writes, and starts it again on what the disk
// has by then.
func (m *month) cut() {
	m.Helper()
	began, left, done := m.cuts.Ops(), m.n(12), 0
	m.cuts.Fail(func(op, _ string) error {
		switch {
		case m.dead.Load():
			return errPower
		case op == storetest.OpRead || op == storetest.OpList || op == storetest.OpOpen:
			return nil
		case left == 0:
			m.powerCut()
			return errPower
		}
		left--
		done++
		return nil
	})
	time.Sleep(2 * commitOfMonth)
	if !m.dead.Load() { // nothing was written
		m.powerCut()
	}
	m.end()
	coin := func() bool { return m.n(2) == 0 }
	m.cuts = m.cuts.After(min(began+done, m.cuts.Ops()), storetest.Cut{Name: coin, Data: coin, Rubbish: byte(m.n(256))})
	m.disk = m.cuts
	time.Sleep(time.Duration(m.n(600)) * time.Second)
	m.live()
}

func (m *month) powerCut() {
	m.dead.Store(true)
	m.uplinks.ends(time.Now())
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.powerOff = append(m.powerOff, time.Now())
	m.ended = append(m.ended, processEnd{time.Now(), "a power cut"})
}

// restart stops the process as a service manager does, and starts it again.
func (m *month) restart() {
	m.Helper()
	m.end()
	m.noteMu.Lock()
	m.sum.restarts++
	m.ended = append(m.ended, processEnd{time.Now(), "a restart"})
	m.noteMu.Unlock()
	m.cuts = storetest.NewDisk(m.cuts.Files())
	m.disk = m.cuts
	m.live()
}

// settle moves the store to a folder of this host, on which one process lives on.
func (m *month) settle() {
	m.Helper()
	m.end()
	if err := os.Mkdir(m.folder, 0o700); err != nil {
		m.Fatal(err)
	}
	for name, data := range m.cuts.Files() {
		if err := os.WriteFile(filepath.Join(m.folder, name), data, 0o600); err != nil {
			m.Fatal(err)
		}
	}
	var err error
	if m.disk, err = store.Folder(m.folder); err != nil {
		m.Fatal(err)
	}
	m.cuts = nil
	m.live()
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.settled = time.Now()
	m.ended = append(m.ended, processEnd{m.settled, "the move to a folder"})
}

func (m *month) run() {
	length := time.Duration(m.size.days) * 24 * time.Hour
	between := min(3*time.Hour, length/30) // two looks at what the process holds
	storm := length * 3 / 10
	m.register(length)
	m.live()
	ctx, cancel := context.WithCancel(context.Background())
	m.part(ctx, &m.wg, m.air.Run)
	m.air.At(time.Now().Add(time.Minute), m.trouble)
	for range m.size.cuts {
		time.Sleep(time.Duration(m.n(int(storm/time.Second)*2/m.size.cuts)) * time.Second)
		if m.n(3) == 0 {
			m.restart()
		} else {
			m.cut()
		}
		m.checkAir()
		m.forget()
	}
	m.settle()
	for time.Since(m.begin) < length {
		time.Sleep(between)
		m.checkAir()
		m.forget()
		m.look()
	}
	time.Sleep(90 * time.Minute) // until nobody sends any more
	m.end()
	cancel()
	m.wg.Wait()
	m.checkAir()
	m.check()
	m.checkSessions()
	m.checkFlat()
	m.checkSum()
	m.Log(m.line(length))
}

// line is what is told of a run.
func (m *month) line(length time.Duration) string {
	s := &m.sum
	return fmt.Sprintf("%v of %d devices: %v; %d joins, %d items, %d downlinks on the air, %d of them "+
		"for nothing and %d overtaken; %d power cuts, %d restarts, %d panics, %d hostile frames, %d pages read; "+
		"told twice at a cut %d; fullest hour at %.2f of its duty cycle; %s",
		length, m.size.devices, m.uplinks.sum, s.joins, m.count, s.sent, s.untaken, s.overtaken,
		len(m.powerOff), s.restarts, s.panics, s.hostile, s.pages, s.twice, m.fullest, m.growth())
}
