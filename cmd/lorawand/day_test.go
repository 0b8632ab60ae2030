package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// dayItem is what became of a downlink that the application has pushed.
type dayItem struct {
	device    string
	confirmed bool
	pushed    time.Time
	final     []string  // events that end it
	ended     time.Time // the last of them
	replaced  bool      // or nobody knows whether it was taken
}

// day is the application of a simulated day: it pushes, replaces, answers, and
// notes what it is told.
type day struct {
	*world
	*dice

	every time.Duration                   // between two uplinks of a device, in the middle
	lost  func(error)                     // is told of a push that nobody has answered; nil: there must be none
	sends func(device string, s air.Sent) // is told of uplinks; may be nil

	pushing atomic.Int64 // goroutines of pushes

	mu      sync.Mutex
	items   map[string]*dayItem
	count   int                 // of items so far
	waiting map[string][]string // by device: items that have no final event
	gone    map[int32]bool      // numbers of those that were forgotten without one: they may still have been on their way
	twice   func(*dayItem) bool // whether an item may have a second final event; nil: none may
}

func newDay(t *testing.T, seed uint64) *day {
	t.Helper()
	d := &day{
		world: newWorld(t, "EU_863_870_TTN"), dice: newDice(seed), every: 15 * time.Minute, items: map[string]*dayItem{},
		waiting: map[string][]string{}, gone: map[int32]bool{},
	}
	d.message = d.told
	return d
}

// dice may be thrown by several goroutines.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rnd: rand.New(rand.NewPCG(seed, 1))} }

// n draws a number below most.
func (d *dice) n(most int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(most)
}

// emulatedShare is what a day, or a thousand of something, is divided by where the
// processor is emulated: there it would take minutes.
var emulatedShare = map[bool]int{false: 1, true: 3}[strings.HasPrefix(runtime.GOARCH, "mips")]

// TestAirDay simulates a day of 200 devices and two gateways on a bad network.
func TestAirDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices = 200
		length := 24 * time.Hour / time.Duration(emulatedShare)
		d := newDay(t, 11)
		var refused atomic.Int64
		for i := range 2 {
			rnd := newDice(uint64(i))
			d.remote(remoteOptions{
				Receiver: air.ReceiverOptions{
					EUI: radio.EUI64{0xA, byte(i)}, Counter: 4_000_000_000 + uint32(i), Drift: 30 - 50*i,
					Loss: func(string) bool { return rnd.n(20) == 0 },
					Signal: func(string) (rssi, snr radio.Decibel) {
						return radio.Decibel(-11000 + rnd.n(4000)), radio.Decibel(rnd.n(1500) - 500)
					},
				},
				Jitter: 60 * time.Millisecond, Seed: uint64(i),
				Refuse: func(radio.Downlink) radio.TxResult {
					if rnd.n(20) > 0 {
						return radio.TxOK
					}
					refused.Add(1)
					return radio.TxCollisionPacket
				},
				Mute: func() bool { return rnd.n(50) == 0 },
			}, true)
		}
		heard := 0
		for i := range devices {
			d.device(i, length, func(o air.DeviceOptions) *air.Device {
				o.Heard = func(air.Heard) { heard++ }
				return d.otaa(i, o)
			})
		}
		d.run()
		time.Sleep(length + time.Hour)
		d.stop()

		checkOverlaps(t, d.sent)
		checkCounters(t, d.sent)
		fullest := checkDutyCycle(t, d.sent)
		for _, tx := range d.sent {
			if tx.TakenBy == "" {
				t.Errorf("sent for nothing at %v: %s", tx.Begin, tx.Untaken)
			}
		}
		d.check()
		if d.count < 5000/emulatedShare || refused.Load() < int64(100/emulatedShare) || heard != len(d.sent) {
			t.Errorf("%d items, %d refused, %d heard of %d sent: that tests little", d.count, refused.Load(), heard,
				len(d.sent))
		}
		t.Logf("%d items, %d downlinks sent and heard, %d refused; fullest hour at %.2f of its duty cycle", d.count,
			len(d.sent), refused.Load(), fullest)
	})
}

// device joins, and sends every quarter of an hour or so until the day is over,
// then more often until its queue is empty. put puts it on the air.
func (d *day) device(i int, length time.Duration, put func(air.DeviceOptions) *air.Device) {
	var v *air.Device
	begin := time.Now()
	var live func()
	again := func(after time.Duration) { d.air.At(time.Now().Add(after), live) }
	live = func() {
		now := time.Since(begin)
		if now > length+50*time.Minute {
			return
		}
		f := frame.Data{MType: frame.UnconfirmedUp, HasFPort: true, FPort: 2, FRMPayload: payloadOfDay}
		if d.n(3) == 0 {
			f.MType = frame.ConfirmedUp
		}
		if d.n(10) == 0 {
			f.FOpts = []byte{air.LinkCheckReq}
		}
		sent, err := v.Send(f)
		if err != nil {
			if _, err := v.Join(); err != nil {
				d.Error(err)
			}
			again(time.Minute)
			return
		}
		if d.sends != nil {
			d.sends(v.Name(), sent)
		}
		if now > length {
			again(2*time.Minute + time.Duration(d.n(20))*time.Second)
			return
		}
		if d.n(3) == 0 {
			go d.pushes(v.Name(), "")
		}
		again(d.every/3 + time.Duration(d.n(int(d.every/time.Second)*4/3))*time.Second)
	}
	v = put(air.DeviceOptions{DataRate: uint8(2 + i%4), Version: air.Version(i % 2)})
	again(time.Duration(i) * 3 * time.Second)
}

// payloadOfDay is 22.5 °C in CayenneLPP.
var payloadOfDay = []byte{1, 0x67, 0, 0xE1}

// pushes pushes one to three items, now or within the next minutes; one in ten
// replaces what waits. to are the gateways of a group, as JSON; "": it is no group.
func (d *day) pushes(device, to string) {
	d.pushing.Add(1)
	defer d.pushing.Add(-1)
	wait := time.Duration(d.n(300)) * time.Second
	if d.n(2) == 0 {
		wait = time.Duration(d.n(4500)) * time.Millisecond // an answer
	}
	replace := d.n(10) == 0
	time.Sleep(wait)

	d.mu.Lock()
	var bodies []string
	var names []string
	for range 1 + d.n(3) {
		name := fmt.Sprintf("own:%d", d.count)
		d.count++
		confirmed := d.n(3) == 0 && to == ""
		d.items[name] = &dayItem{device: device, confirmed: confirmed, pushed: time.Now()}
		names = append(names, name)
		bodies = append(bodies, fmt.Sprintf(`{"f_port":%d,"frm_payload":%q,"confirmed":%v,"priority":%d,"correlation_ids":[%q]%s}`,
			1+d.n(200), base64.StdEncoding.EncodeToString(make([]byte, 1+d.n(30))), confirmed, d.n(7), name, to))
	}
	if replace {
		for _, name := range d.waiting[device] {
			d.items[name].replaced = true
		}
		d.waiting[device] = nil
	}
	d.waiting[device] = append(d.waiting[device], names...)
	d.mu.Unlock()
	err := d.tryPush(device, replace, `{"downlinks":[`+strings.Join(bodies, ",")+`]}`)
	switch {
	case err == nil:
	case d.lost == nil:
		d.Error(err)
	default:
		d.lost(err)
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, name := range names {
			d.items[name].replaced = true
		}
	}
}

// told notes the events that end an item.
func (d *day) told(m v3.Message) {
	if !strings.HasPrefix(m.Suffix, "down/") {
		return
	}
	var v struct {
		IDs []string `json:"correlation_ids"`
	}
	if err := json.Unmarshal(m.Payload, &v); err != nil {
		d.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range v.IDs {
		it := d.items[id]
		if it == nil {
			if n, err := strconv.Atoi(strings.TrimPrefix(id, "own:")); err == nil && !d.gone[int32(n)] {
				d.Errorf("%s of %s for %s, which has ended long ago", m.Suffix, m.Device, id)
			}
			continue
		}
		if m.Suffix == v3.DownAck || m.Suffix == v3.DownFailed || m.Suffix == v3.DownSent && !it.confirmed {
			if len(it.final) > 0 && d.twice != nil && d.twice(it) {
				continue
			}
			it.final, it.ended = append(it.final, m.Suffix), time.Now()
			d.waiting[it.device] = without(d.waiting[it.device], id)
		}
	}
}

func without(ids []string, id string) []string {
	var out []string
	for _, x := range ids {
		if x != id {
			out = append(out, x)
		}
	}
	return out
}

// check wants exactly one final event for each item, and for one that was
// replaced at most one: it may have been on its way.
func (d *day) check() {
	unfinished := 0
	for name, it := range d.items {
		d.checkItem(name, it)
		if len(it.final) == 0 && !it.replaced {
			unfinished++
			if it := d.devices.Device(deviceID(it.device)); it.Queue.Len() == 0 && it.Queue.Awaiting() == nil {
				d.Errorf("%s of %s has no final event, and waits nowhere", name, it.ID)
			}
		}
	}
	if unfinished > d.count/100 {
		d.Errorf("%d of %d items are not over when the day is", unfinished, d.count)
	}
}

func (d *day) checkItem(name string, it *dayItem) {
	if len(it.final) > 1 {
		d.Errorf("%s of %s ends with %v", name, it.device, it.final)
	}
}
