//go:build !small

package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// downCounters are the frame counters of downlinks, by DevAddr.
type downCounters map[radio.DevAddr]*downCounter

// downCounter is that of a session. It has room for all that it keeps from the start on, lest the
// process seem to grow.
type downCounter struct {
	last   uint16
	recent [recentFrames]sentFrame
	n      int // frames so far
}

type sentFrame struct {
	fCnt uint16
	sum  [sha256.Size]byte // of PHYPayload
}

// recentFrames is how many frames of a session are looked at.
const recentFrames = 64

// mostOvertaking is by how many frames of a session one can be overtaken: gateways take different
// ways, and a process may end when it has handed a frame over.
const mostOvertaking = 8

// check finds a frame counter with two plaintexts. Equal bytes may go out twice. overtaken says that a
// frame goes out for the first time behind one with a higher counter: its device will not take it.
func (c downCounters) check(t testing.TB, tx *air.Transmission) (overtaken bool) {
	t.Helper()
	d, err := frame.ParseData(tx.PHYPayload)
	if err != nil {
		return false // a join-accept
	}
	k := c[d.DevAddr]
	if k == nil {
		k = &downCounter{last: d.FCnt - 1}
		c[d.DevAddr] = k
	}
	sum := sha256.Sum256(tx.PHYPayload)
	for _, r := range k.recent[:min(k.n, recentFrames)] {
		if r.fCnt != d.FCnt {
			continue
		}
		if r.sum != sum {
			t.Errorf("DevAddr %v has two frames with FCntDown %d", d.DevAddr, d.FCnt)
		}
		return false
	}
	switch ahead := int16(d.FCnt - k.last); {
	case ahead > 0:
		k.last = d.FCnt
	case ahead < -mostOvertaking:
		t.Errorf("DevAddr %v: FCntDown %d after %d", d.DevAddr, d.FCnt, k.last)
	default:
		overtaken = true
	}
	k.recent[k.n%recentFrames] = sentFrame{d.FCnt, sum}
	k.n++
	return overtaken
}

// A counter that goes back, or has two plaintexts, is found; one that wraps or skips is none.
func TestDownCounters(t *testing.T) {
	of := func(fCnt uint32, payload string) *air.Transmission {
		phy, err := frame.BuildDownlink(frame.Data{
			MType: frame.UnconfirmedDown, DevAddr: testAddr, HasFPort: true, FPort: 1, FRMPayload: []byte(payload),
		}, fCnt, testKeys(t))
		if err != nil {
			t.Fatal(err)
		}
		return &air.Transmission{Downlink: radio.Downlink{PHYPayload: phy}}
	}
	for name, tt := range map[string]struct {
		sent           []*air.Transmission
		overtaken, bad bool
	}{
		"wraps and skips":      {[]*air.Transmission{of(65_534, "a"), of(65_535, "b"), of(65_600, "c")}, false, false},
		"equal bytes":          {[]*air.Transmission{of(5, "a"), of(6, "b"), of(5, "a")}, false, false},
		"two plaintexts":       {[]*air.Transmission{of(5, "a"), of(5, "b")}, false, true},
		"back":                 {[]*air.Transmission{of(5, "a"), of(20, "b"), of(11, "c")}, false, true},
		"overtaken":            {[]*air.Transmission{of(5, "a"), of(9, "b"), of(6, "c")}, true, false},
		"two, one behind more": {[]*air.Transmission{of(5, "a"), of(9, "b"), of(5, "c")}, false, true},
	} {
		c, found, overtaken := downCounters{}, &complaints{TB: t}, false
		for _, tx := range tt.sent {
			overtaken = c.check(found, tx)
		}
		if found.n > 0 != tt.bad || overtaken != tt.overtaken {
			t.Errorf("%s: %d complaints, overtaken: %v", name, found.n, overtaken)
		}
	}
}

// complaints counts what a check finds.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Errorf(string, ...any) { c.n++ }

// joined takes a device's new session, whose counters begin anew, perhaps with an address that was
// used before.
func (m *month) joined(device string) {
	if s, ok := m.onAir[device].Session(); ok {
		delete(m.counters, s.DevAddr)
	}
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.sum.joins++
}

// handsOver notes when a frame goes to a driver.
func (m *month) handsOver(d radio.Downlink) {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.handed[string(d.PHYPayload)] = time.Now()
}

// overtaken takes a frame that has gone out behind a later one. That must not be, unless its process has
// ended since it was handed over, when the next one was quicker; or the gateway's counter has begun anew,
// so that its time comes when nobody meant it. The process learns of that from the next uplink.
func (m *month) overtaken(tx *air.Transmission) {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	m.sum.overtaken++
	handed, known := m.handed[string(tx.PHYPayload)]
	between := func(at time.Time, unknown time.Duration) bool {
		return known && at.Add(unknown).After(handed) && !at.After(tx.Begin)
	}
	if slices.ContainsFunc(m.ended, func(e processEnd) bool { return between(e.at, 0) }) ||
		slices.ContainsFunc(m.resets[tx.Gateway], func(at time.Time) bool { return between(at, time.Minute) }) {
		return
	}
	m.Errorf("overtaken: at %v, by gateway %v, %v, handed over %v before, taken by %q, %s", tx.Begin.Sub(m.begin),
		tx.Gateway, tx.DataRate, tx.Begin.Sub(handed), tx.TakenBy, tx.Untaken)
}

// transmitted takes what a gateway has put on the air.
func (m *month) transmitted(tx air.Transmission) {
	if m.counters.check(m, &tx) {
		m.overtaken(&tx)
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.world.sent = append(m.world.sent, tx)
}

// checkAir looks at what was on the air since the last time, and keeps what is of the same hour as
// what comes.
func (m *month) checkAir() {
	m.Helper()
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	checkOverlaps(m, m.world.sent)
	m.uplinks.check(m, m.begin, time.Now())
	m.fullest = max(m.fullest, checkDutyCycle(m, m.world.sent))
	kept := time.Now().Add(-time.Hour)
	for i := range m.world.sent {
		tx := &m.world.sent[i]
		if !tx.End.Before(kept) {
			continue
		}
		m.sum.sent++
		if tx.TakenBy == "" {
			m.sum.untaken++
			m.untaken[kindOf(tx.Untaken)]++
		}
	}
	m.noteMu.Lock()
	maps.DeleteFunc(m.handed, func(_ string, at time.Time) bool { return at.Before(kept) })
	m.noteMu.Unlock()
	m.world.sent = slices.DeleteFunc(m.world.sent, func(tx air.Transmission) bool { return tx.End.Before(kept) })
}

// kindOf is a text without its numbers.
func kindOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, text)
}

// forget forgets the items that are over for long.
func (m *month) forget() {
	m.day.mu.Lock()
	defer m.day.mu.Unlock()
	now := time.Now()
	for name, it := range m.items {
		over := len(it.final) > 0 && now.Sub(it.ended) > 6*time.Hour && !m.endedAtCut(it)
		if over || it.replaced && now.Sub(it.pushed) > 48*time.Hour {
			m.checkItem(name, it)
			delete(m.items, name)
			if len(it.final) == 0 {
				n, err := strconv.Atoi(strings.TrimPrefix(name, "own:"))
				if err != nil {
					m.Fatal(err)
				}
				m.gone[int32(n)] = true
				m.waiting[it.device] = without(m.waiting[it.device], name)
			}
		}
	}
}

// endedAtCut reports whether the power was cut when the end of an item was told: it may come again, when
// all that waits before it is sent.
func (m *month) endedAtCut(it *dayItem) bool {
	m.noteMu.Lock()
	defer m.noteMu.Unlock()
	return m.cutWithin(it.ended, time.Second)
}

// sample is what the process of the test, with the daemon and all devices in it, holds.
type sample struct {
	heap, rss, disk         int64 // bytes
	goroutines, descriptors int
}

// look takes a sample when nobody is at work.
func (m *month) look() {
	m.Helper()
	synctest.Wait()
	debug.FreeOSMemory()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	h := holds(m)
	s := sample{
		heap: int64(mem.HeapAlloc), rss: processStatus(m, os.Getpid(), "VmRSS:"), descriptors: h.descriptors,
		goroutines: h.goroutines - int(m.pushing.Load()),
	}
	files, err := os.ReadDir(m.folder)
	if err != nil {
		m.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			s.disk += info.Size()
		}
	}
	m.samples = append(m.samples, s)
}

// third is the most, and for sizes of memory the mean, of a third of the samples.
func third(of []sample, n int) (s sample) {
	part := of[n*len(of)/3 : (n+1)*len(of)/3]
	for _, x := range part {
		s.heap += x.heap / int64(len(part))
		s.rss += x.rss / int64(len(part))
		s.disk = max(s.disk, x.disk)
		s.goroutines, s.descriptors = max(s.goroutines, x.goroutines), max(s.descriptors, x.descriptors)
	}
	return s
}

// checkFlat wants the last third of the samples to be as the first one.
func (m *month) checkFlat() {
	m.Helper()
	if len(m.samples) < 12 {
		m.Fatalf("%d samples", len(m.samples))
	}
	a, z := third(m.samples, 0), third(m.samples, 2)
	// What is on the disk goes up and down with the journal, which is longer than a third.
	if z.heap > a.heap+a.heap/20+512<<10 || z.rss > a.rss+a.rss/5+2<<20 || z.disk > 2*a.disk+1<<20 ||
		z.goroutines > a.goroutines+2 || z.descriptors > a.descriptors {
		m.Errorf("it grows: %s\n%+v", m.growth(), m.samples)
	}
}

// growth tells the first and the last third of the samples.
func (m *month) growth() string {
	a, z := third(m.samples, 0), third(m.samples, 2)
	const MB = 1 << 20
	return fmt.Sprintf("first and last third of one process: heap %.2f and %.2f MB, resident %.1f and %.1f MB, "+
		"goroutines %d and %d, descriptors %d and %d, disk %.2f and %.2f MB", float64(a.heap)/MB, float64(z.heap)/MB,
		float64(a.rss)/MB, float64(z.rss)/MB, a.goroutines, z.goroutines, a.descriptors, z.descriptors,
		float64(a.disk)/MB, float64(z.disk)/MB)
}

// checkSessions wants every device that has a session to have it here too: none has to join again.
func (m *month) checkSessions() {
	m.Helper()
	for name, v := range m.onAir {
		s, ok := v.Session()
		d := m.devices.Device(deviceID(name))
		if !ok || d == nil {
			m.Errorf("%s: on the air with a session: %v, registered: %v", name, ok, d != nil)
			continue
		}
		if (d.Session == nil || d.Session.DevAddr != s.DevAddr) && (d.Pending == nil || d.Pending.DevAddr != s.DevAddr) {
			m.Errorf("%s has a session with DevAddr %v, of which nobody knows", name, s.DevAddr)
		}
	}
}

// checkSum wants that much was tested, and that every fault was counted and cost what it was about.
func (m *month) checkSum() {
	m.Helper()
	s, days := &m.sum, m.size.days
	if s.faults+2 < uint64(s.panics) || s.faults > uint64(s.panics) || s.dropped > 0 { // some at the end of a process
		m.Errorf("%d panics, %d counted; %d frames dropped", s.panics, s.faults, s.dropped)
	}
	if s.untaken > s.sent/100 {
		m.Errorf("%d of %d downlinks were sent for nothing: %v", s.untaken, s.sent, m.untaken)
	}
	// All gateways lose one of so many, and one is on board: it is off the air while there is no process.
	up := &m.uplinks.sum
	if unheard := up.sent / (monthLoss * monthLoss * monthLoss); up.unheard > 2*unheard+10 || up.panicked > s.panics {
		m.Errorf("%v; %d panics", up, s.panics)
	}
	if sent := days * m.size.devices * int(24*time.Hour/m.size.every); up.sent < sent-sent/10 || up.down > up.sent/10 {
		m.Errorf("%v, some %d were to be sent", up, sent)
	}
	if m.count < days*m.size.devices || len(m.powerOff) < m.size.cuts/3 ||
		s.panics == 0 || s.hostile < 500*days || s.restarts == 0 || s.pages < 100*days {
		m.Errorf("that tests little: %+v", s)
	}
}
