// Package air has end devices on a shared air: they send as LoRaWAN devices
// do, and the receivers on it hear them with counters of their own. It serves
// the demonstration and tests of the whole flow.
//
// Time on the air is the time of package time, so that the fake time of
// testing/synctest reaches it.
package air

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Air is what devices and receivers share.
type Air struct {
	mu        sync.Mutex
	rnd       *rand.Rand
	receivers []*Receiver
	ends      ending // frames that are on the air, by their end
	seq       uint64
	wake      chan struct{}
}

// New returns an empty air. Equal seeds make equal choices.
func New(seed uint64) *Air {
	return &Air{rnd: rand.New(rand.NewPCG(seed, 1)), wake: make(chan struct{}, 1)}
}

// ReceiverOptions configures a Receiver.
type ReceiverOptions struct {
	EUI     radio.EUI64
	Counter uint32             // µs, at the beginning
	Drift   int                // ppm that the counter runs faster than the host's clock
	Hear    func(radio.Uplink) // called by Run for each frame; Time is the 32-bit counter
	Loss    func(dev string) bool
}

// Receiver is a gateway's ear on the air.
type Receiver struct {
	opts  ReceiverOptions
	begin time.Time
}

// Listen puts a receiver on the air.
func (a *Air) Listen(o ReceiverOptions) *Receiver {
	r := &Receiver{opts: o, begin: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receivers = append(a.receivers, r)
	return r
}

// Counter returns what the receiver's counter shows at a time, without wraps.
func (r *Receiver) Counter(t time.Time) radio.ConcentratorTime {
	us := t.Sub(r.begin).Microseconds()
	return radio.ConcentratorTime(int64(r.opts.Counter) + us + us/1_000_000*int64(r.opts.Drift))
}

// DeviceOptions configures a Device.
type DeviceOptions struct {
	Name     string
	DevAddr  radio.DevAddr // ABP
	Keys     frame.SessionKeys
	Plan     *region.Plan
	DataRate uint8         // index
	RSSI     radio.Decibel // dBm, as every receiver hears it
	SNR      radio.Decibel // dB
}

// Device is an end device of LoRaWAN 1.0.x, personalised.
type Device struct {
	opts DeviceOptions
	air  *Air
	rate radio.DataRate

	mu     sync.Mutex
	fCntUp uint32
}

// ErrDevice is the reason for a device that cannot be on the air.
var ErrDevice = errors.New("air: no such device")

// Device puts a device on the air.
func (a *Air) Device(o DeviceOptions) (*Device, error) {
	if o.Plan == nil {
		return nil, fmt.Errorf("%w: %s has no frequency plan", ErrDevice, o.Name)
	}
	rate, err := o.Plan.DataRate(o.DataRate)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDevice, o.Name, err)
	}
	return &Device{opts: o, air: a, rate: rate}, nil
}

// Sent is a frame that a device has put on the air.
type Sent struct {
	PHYPayload []byte
	FCnt       uint32
	Frequency  radio.Frequency
	DataRate   radio.DataRate
	Airtime    time.Duration
	End        time.Time
}

// Send sends a data frame with the next frame counter on one of the device's
// channels. It returns at once; receivers hear the frame when it has ended.
// d.MType may be left 0 for unconfirmed; the address and the counter are the
// device's.
func (v *Device) Send(d frame.Data) (Sent, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d.MType == 0 {
		d.MType = frame.UnconfirmedUp
	}
	d.DevAddr = v.opts.DevAddr
	phy, err := frame.BuildUplink(d, v.fCntUp, v.opts.Keys)
	if err != nil {
		return Sent{}, fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	airtime, err := radio.TimeOnAir(radio.Packet{DataRate: v.rate, Size: len(phy)})
	if err != nil {
		return Sent{}, fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	s := Sent{PHYPayload: phy, FCnt: v.fCntUp, DataRate: v.rate, Airtime: airtime, End: time.Now().Add(airtime)}
	channel := v.air.transmit(v, &s)
	s.Frequency = v.opts.Plan.Channels()[channel].Frequency
	v.fCntUp++
	return s, nil
}

// transmission is a frame on the air.
type transmission struct {
	device  *Device
	phy     []byte
	channel int
	end     time.Time
	seq     uint64
}

// transmit puts a frame on the air and returns its channel.
func (a *Air) transmit(v *Device, s *Sent) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seq++
	t := &transmission{device: v, phy: s.PHYPayload, channel: a.channel(v), end: s.End, seq: a.seq}
	heap.Push(&a.ends, t)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return t.channel
}

// channel picks one of the channels that take the device's data rate.
func (a *Air) channel(v *Device) int {
	var fit []int
	for i, c := range v.opts.Plan.Channels() {
		if c.MinDR <= v.opts.DataRate && v.opts.DataRate <= c.MaxDR {
			fit = append(fit, i)
		}
	}
	return fit[a.rnd.IntN(len(fit))]
}

// Run lets the receivers hear what has ended, until ctx ends.
func (a *Air) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(a.deliver())
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// deliver lets frames be heard that have ended, and returns the time until the
// next one does.
func (a *Air) deliver() time.Duration {
	for {
		a.mu.Lock()
		if len(a.ends) == 0 {
			a.mu.Unlock()
			return time.Hour
		}
		if wait := time.Until(a.ends[0].end); wait > 0 {
			a.mu.Unlock()
			return wait
		}
		t := heap.Pop(&a.ends).(*transmission)
		receivers := a.receivers
		a.mu.Unlock()
		for _, r := range receivers {
			r.hear(t)
		}
	}
}

func (r *Receiver) hear(t *transmission) {
	v := t.device
	if r.opts.Hear == nil || r.opts.Loss != nil && r.opts.Loss(v.opts.Name) {
		return
	}
	r.opts.Hear(radio.Uplink{
		Gateway: r.opts.EUI, PHYPayload: append([]byte(nil), t.phy...),
		Frequency: v.opts.Plan.Channels()[t.channel].Frequency, DataRate: v.rate, CodingRate: codingRate(v.rate),
		Time: radio.ConcentratorTime(r.Counter(t.end).Counter()),
		Receptions: []radio.Reception{{
			Channel: uint8(t.channel), RSSI: v.opts.RSSI, SNR: v.opts.SNR,
		}},
	})
}

func codingRate(d radio.DataRate) radio.CodingRate {
	if d.Modulation == radio.LoRa {
		return radio.CodingRate45
	}
	return 0
}

// ending orders transmissions by their end.
type ending []*transmission

func (e ending) Len() int { return len(e) }
func (e ending) Less(i, j int) bool {
	if !e[i].end.Equal(e[j].end) {
		return e[i].end.Before(e[j].end)
	}
	return e[i].seq < e[j].seq
}
func (e ending) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *ending) Push(x any) { *e = append(*e, x.(*transmission)) }

// Pop implements heap.Interface.
func (e *ending) Pop() any {
	old := *e
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	return t
}
