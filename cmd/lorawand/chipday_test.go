package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// chipFaults are what befalls the chip in TestChipDay, and for how long.
var chipFaults = []struct {
	name  string
	lasts time.Duration
	begin func(m *sx1302test.Chip)
}{
	{"one error of the bus", 100 * time.Millisecond, func(m *sx1302test.Chip) {
		m.Break(sx1302test.Fault{Bus: errors.New("bus")})
	}},
	{"panic of the driver", 2 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Panic: "of the test"}) }},
	{"dead bus", 5 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Bus: errors.New("bus")}) }},
	{"counter stands still", 3 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Frozen: true}) }},
	{"torn counter", 30 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Torn: true}) }},
	{"counter steps", time.Second, func(m *sx1302test.Chip) { m.Jump(-40_000_000) }},
	{"bad record", time.Second, func(m *sx1302test.Chip) { m.Deliver(badRecord()) }},
	{"cut record", time.Second, func(m *sx1302test.Chip) { m.Deliver(badRecord()[:11]) }},
	{"parity", 70 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Parity: true}) }},
	{"reset by others", 70 * time.Second, func(m *sx1302test.Chip) { m.Reset() }},
	{"dead chip", 90 * time.Second, func(m *sx1302test.Chip) { m.Reset(); m.Break(sx1302test.Fault{Dead: true}) }},
	{"programs hang", 70 * time.Second, func(m *sx1302test.Chip) { m.Reset(); m.Break(sx1302test.Fault{Hang: true}) }},
}

// badRecord is a record whose checksum is wrong.
func badRecord() []byte {
	b := (&sx1302test.Frame{Payload: []byte("spoilt on its way"), Channel: 1, SF: 7, CodingRate: 1}).Record()
	b[12] ^= 1
	return b
}

// chipDaysEnv asks for more days than one, each with other random numbers.
const chipDaysEnv = "LORAWAND_CHIP_DAYS"

// TestChipDay is a day with a fault every few minutes and a counter that
// begins anew with each reset, shortly before it wraps. Nothing goes out at a
// wrong time, on a wrong channel or over something else, and every frame that
// the chip has handed over is published, once.
func TestChipDay(t *testing.T) {
	days := 1
	if n, err := strconv.Atoi(os.Getenv(chipDaysEnv)); err == nil {
		days = n
	}
	length := chipLength / time.Duration(emulatedShare)
	for i := range days {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newChipDay(t, uint64(i+1), overSPI, length).run() })
		})
	}
	if emulatedShare > 1 {
		return // USB is proved elsewhere
	}
	t.Run("USB", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { newChipDay(t, 1, overUSB, chipLength/3).run() })
	})
}

const (
	chipDevices = 12
	chipLength  = 24 * time.Hour
	faultEvery  = 4 * time.Minute

	// Eight hours begin with a time without faults in which the counter that the
	// driver tells, 32 bits of µs since the chip was started, wraps.
	quietEvery = 8 * time.Hour
	quiet      = 75 * time.Minute
)

// chipDay is one day of TestChipDay.
type chipDay struct {
	*world
	begin  time.Time
	length time.Duration
	model  *sx1302test.Chip
	driver *sx1302.Driver

	rollMu sync.Mutex
	rnd    *rand.Rand // of the air, the chip and the test itself

	published          map[string]int // uplinks and joins, by what makes them one
	wrong              []string
	heard, cut, silent int // downlinks, and uplinks that were not answered
	faults             int
}

func newChipDay(t *testing.T, seed uint64, path func(opener) opener, length time.Duration) *chipDay {
	t.Helper()
	c := &chipDay{
		world: newWorld(t, "EU_863_870_TTN"), begin: time.Now(), length: length,
		rnd: rand.New(rand.NewPCG(seed, 2)), published: map[string]int{},
	}
	c.path = path
	c.model, c.driver = c.chipOn(radio.EUI64{0xC}, sx1302test.Options{
		Tick:      1<<32 - 32*30_000_000,
		ResetTick: func() uint32 { return 1<<27 - uint32(c.roll(120_000_000)) },
	}, 50*time.Millisecond)
	c.message = c.publish
	for i := range chipDevices {
		c.device(i)
	}
	return c
}

func (c *chipDay) roll(n int) int {
	c.rollMu.Lock()
	defer c.rollMu.Unlock()
	return c.rnd.IntN(n)
}

// publish counts a message.
func (c *chipDay) publish(m v3.Message) {
	var text struct {
		Uplink struct {
			SessionKeyID string `json:"session_key_id"`
			FCnt         uint32 `json:"f_cnt"`
		} `json:"uplink_message"`
		Join struct {
			SessionKeyID string `json:"session_key_id"`
		} `json:"join_accept"`
	}
	if m.Suffix != v3.Up && m.Suffix != v3.Join {
		return
	}
	if err := json.Unmarshal(m.Payload, &text); err != nil {
		c.Error(err)
	}
	c.published[fmt.Sprint(m.Device, m.Suffix, text)]++
}

// device adds a device that joins, and sends every few minutes.
func (c *chipDay) device(i int) {
	joined := false
	var v *air.Device
	next := func(d time.Duration, f func()) {
		if at := time.Now().Add(d); at.Sub(c.begin) < c.length {
			c.air.At(at, f)
		}
	}
	var live func()
	live = func() {
		next(90*time.Second+time.Duration(c.roll(120))*time.Second, live)
		if !joined {
			if _, err := v.Join(); err != nil {
				c.Error(err)
			}
			return
		}
		d := frame.Data{MType: frame.UnconfirmedUp, FPort: 1, HasFPort: true, FRMPayload: []byte{byte(i)}}
		if c.roll(3) == 0 {
			d.MType = frame.ConfirmedUp
		}
		if _, err := v.Send(d); err != nil {
			c.Error(err)
		}
	}
	v = c.otaa(i, air.DeviceOptions{
		DataRate: uint8(i % 6), RSSI: -8000, SNR: 700,
		Heard: func(h air.Heard) {
			c.heard++
			joined = joined || h.JoinAccept != nil
			if h.Margin.Abs() > time.Microsecond {
				c.wrong = append(c.wrong, fmt.Sprintf("%s: %v from RX%d", h.Device, h.Margin, h.Window))
			}
		},
		Missed: func(m air.Missed) {
			if strings.HasPrefix(m.Reason, "cut off") {
				c.cut++ // by a reset while it was on the air
				return
			}
			c.wrong = append(c.wrong, m.Device+": "+m.Reason)
		},
		Silent: func(air.Sent) { c.silent++ },
	})
	next(time.Duration(i)*7*time.Second+5*time.Second, live)
}

func (c *chipDay) run() {
	c.world.run()
	for time.Since(c.begin) < c.length {
		if time.Since(c.begin)%quietEvery < quiet {
			time.Sleep(time.Minute)
			continue
		}
		time.Sleep(faultEvery - time.Duration(c.roll(60))*time.Second)
		f := &chipFaults[c.faults%len(chipFaults)]
		c.faults++
		f.begin(c.model)
		time.Sleep(f.lasts)
		c.model.Break(sx1302test.Fault{})
	}
	time.Sleep(time.Minute)
	s := c.driver.Stats()
	all, err := c.bridge.Stats(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	c.stop()
	c.checkAir()
	c.checkUplinks(s, all)
	hours := int(c.length / time.Hour)
	if c.faults < 10*hours || s.Forwarded < uint64(200*hours) || s.Starts < uint64(c.faults)/2 || c.heard < 60*hours ||
		c.cut > c.faults/10 {
		c.Errorf("that tests little, or too little works: %d faults, %d heard, %d cut off, %+v", c.faults, c.heard, c.cut, s)
	}
	c.Logf("%d faults, %d starts, %d failures; %d frames taken, %d published; %d downlinks heard, %d cut off by a "+
		"reset; %d uplinks with nothing heard",
		c.faults, s.Starts, s.Failures, s.Forwarded, len(c.published), c.heard, c.cut, c.silent)
}

// checkUplinks looks for a frame that the chip has handed over and the
// application has not got, or twice.
func (c *chipDay) checkUplinks(s sx1302.DriverStats, all bridge.Stats) {
	c.Helper()
	if want := uint64(c.model.Heard() - c.model.Lost()); s.Receive.Packets != want || s.Forwarded != want ||
		len(c.published) != int(want) {
		c.Errorf("the chip has handed over %d frames, the driver has taken %d and handed on %d, %d were published: %+v, %+v",
			want, s.Receive.Packets, s.Forwarded, len(c.published), s, all)
	}
	for what, n := range c.published {
		if n != 1 {
			c.Errorf("published %d times: %s", n, what)
		}
	}
}

// checkAir looks for what is wrong on the air.
func (c *chipDay) checkAir() {
	c.Helper()
	if len(c.wrong) > 0 {
		c.Errorf("%d times something was wrong on the air: %s", len(c.wrong), c.wrong[0])
	}
	checkOverlaps(c.T, c.sent)
	for _, e := range c.model.Emissions() {
		if !e.Cut && e.Exact != 0 {
			c.Errorf("something went out %d/32 µs late", e.Exact)
		}
	}
	for _, tx := range c.sent {
		if tx.TakenBy == "" && !strings.Contains(tx.Untaken, "cut off") {
			c.Errorf("sent for nothing: %s", tx.Untaken)
		}
	}
}
