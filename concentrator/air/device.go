package air

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// ErrDevice is the reason for refusing a device that cannot be on the air, or a
// frame that a device cannot send.
var ErrDevice = errors.New("no such device, or it cannot do that")

// Version is the LoRaWAN version that a device implements.
type Version uint8

// Versions differ in the nonces of joins, in MAX_FCNT_GAP, and see v11.go.
const (
	V1_0_3 Version = iota // and earlier ones: DevNonces are random
	V1_0_4                // DevNonces and JoinNonces count up
	V1_1                  // as 1.0.4, with four session keys and rejoin-requests
)

// maxFCntGap is how many downlinks in a row a device may miss. Later versions
// have no such limit. Source: LoRaWAN 1.0.3, 4.3.1.5 and RP002, "MAX_FCNT_GAP".
const maxFCntGap = 16384

// DeviceOptions configures a Device. A personalised device (ABP) has DevAddr and
// Keys, a device that joins (OTAA) has the root keys.
type DeviceOptions struct {
	Name     string
	Version  Version
	Plan     *region.Plan  // required
	DataRate uint8         // index, of uplinks
	RSSI     radio.Decibel // dBm, at receivers without a Signal function
	SNR      radio.Decibel // dB

	DevAddr  radio.DevAddr // ABP
	Keys     frame.SessionKeys
	FCntUp   uint32 // the next one, of a session that continues
	FCntDown uint32 // the smallest accepted, of a session that continues

	JoinEUI  radio.EUI64 // OTAA
	DevEUI   radio.EUI64
	RootKeys frame.RootKeys // with an AppKey the device joins, and DevAddr and Keys are ignored
	DevNonce uint16         // the next one, from V1_0_4 on

	// The settings of an ABP device. A join-accept changes them.
	RX1Delay    time.Duration // whole seconds; default that of the band
	RX1DROffset uint8
	RX2         region.Window // default that of the band

	// ClassC has the device listen with the settings of RX2 whenever it does nothing
	// else, once it has a session.
	ClassC bool
	// Confirms has a device send confirmed frames after a join until a downlink has come, as
	// LoRaMac-node does in Class C.
	Confirms bool
	// ClassB has the device listen in ping slots, one each 2^Periodicity s, once the network has
	// answered that it knows; that of a personalised device knows. The device has GPS time.
	ClassB      bool
	Periodicity uint8 // 0 to 7
	// Shut is how long a device of Class C hears nothing after each frame that it has
	// taken: LoRaMac-node writes its state to flash then.
	Shut time.Duration

	// Run calls these functions. They may be nil.
	Heard  func(Heard)  // the device has accepted a frame
	Missed func(Missed) // a frame was meant for the device, but it did not accept it
	Silent func(Sent)   // both windows have passed without a frame
}

// Device is an end device of LoRaWAN 1.0.x or 1.1, Class A, B or C. Any goroutine may call its
// methods.
type Device struct {
	opts  DeviceOptions
	air   *Air
	order int // on the air
	rnd   *rand.Rand

	// The lock of the air guards the fields below.
	dataRate  uint8
	channels  []region.Channel
	active    bool // it has a session
	session   Session
	lastDown  int64  // FCntDown, -1: none; with V1_1 NFCntDown
	lastApp   int64  // with V1_1 AFCntDown, -1: none
	confDown  uint16 // FCntDown of the last confirmed downlink
	confUp    uint16 // FCntUp of the last confirmed uplink
	rx1Delay  time.Duration
	rx1Offset uint8
	rx2       region.Window
	owesACK   bool

	devNonce  uint32             // the next one, from V1_0_4 on
	joinNonce int64              // the last one, -1: none
	request   *frame.JoinRequest // the unanswered join-request or rejoin-request; nil: none
	rjCount0  uint32             // the next one
	rjCount1  uint32             // the next one
	rekeying  bool               // RekeyInd was not answered yet
	netID     radio.NetID        // of the join-accept
	made      *frame.Cipher      // of the session; nil: not yet
	last      *uplink            // the last uplink, whose windows may still be open
	pinging   bool               // in Class B: it has ping slots
	confirms  bool               // no downlink has come since the join
	always    *reception         // in Class B and C, that has begun and has not ended; nil: none
	shut      time.Time          // in Class C: until then it hears nothing
}

// Session is the session of a device after its activation.
type Session struct {
	DevAddr  radio.DevAddr
	Keys     frame.SessionKeys
	FCntUp   uint32 // the next one
	FCntDown uint32 // the smallest accepted
}

// Device puts a device on the air. It returns ErrDevice for impossible options.
func (a *Air) Device(o DeviceOptions) (*Device, error) {
	if o.Plan == nil {
		return nil, fmt.Errorf("air: %s: %w: no frequency plan", o.Name, ErrDevice)
	}
	if o.RX1Delay == 0 {
		o.RX1Delay = o.Plan.Delays().RX1
	}
	if o.RX2 == (region.Window{}) {
		o.RX2 = o.Plan.BandRX2()
	}
	v := &Device{
		opts: o, air: a, channels: o.Plan.Channels(), lastDown: int64(o.FCntDown) - 1, lastApp: -1,
		rx1Delay: o.RX1Delay, rx1Offset: o.RX1DROffset, rx2: o.RX2, devNonce: uint32(o.DevNonce), joinNonce: -1,
	}
	if err := v.setDataRate(o.DataRate); err != nil {
		return nil, err
	}
	if _, err := o.Plan.DataRate(o.RX2.DataRate); err != nil {
		return nil, fmt.Errorf("air: %s: %w: RX2: %w", o.Name, ErrDevice, err)
	}
	if v.joins() {
		v.channels = defaultChannels(o.Plan)
	} else {
		v.pinging = o.ClassB
		v.active, v.session = true, Session{DevAddr: o.DevAddr, Keys: o.Keys, FCntUp: o.FCntUp}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.devices++
	v.order = a.devices
	v.rnd = rand.New(rand.NewPCG(a.seed, uint64(v.order)))
	if v.active {
		a.byAddr[o.DevAddr] = append(a.byAddr[o.DevAddr], v)
	}
	return v, nil
}

// joins reports whether the device is activated over the air.
func (v *Device) joins() bool { return !v.opts.RootKeys.AppKey.IsZero() }

// defaultChannels returns the channels of a device before a join-accept gives it
// others.
func defaultChannels(p *region.Plan) []region.Channel {
	added := p.CFList().Frequencies
	return slices.DeleteFunc(slices.Clone(p.Channels()), func(c region.Channel) bool {
		return c.MinDR < c.MaxDR && slices.Contains(added, c.Frequency)
	})
}

// Name returns the name that the device was given.
func (v *Device) Name() string { return v.opts.Name }

// Session returns the session of the device, if it has one.
func (v *Device) Session() (s Session, ok bool) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	s = v.session
	s.FCntDown = uint32(min(v.lastDown+1, math.MaxUint32))
	return s, v.active
}

// SetDataRate sets the data rate index of the next uplinks.
func (v *Device) SetDataRate(index uint8) error {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	return v.setDataRate(index)
}

// SetWindows sets when and where the device listens after the uplinks that follow, as it
// does when the network asks for it.
func (v *Device) SetWindows(rx1Delay time.Duration, rx1DROffset uint8, rx2 region.Window) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	v.rx1Delay, v.rx1Offset, v.rx2 = rx1Delay, rx1DROffset, rx2
}

func (v *Device) setDataRate(index uint8) error {
	if _, err := v.opts.Plan.MaxMACPayload(index); err != nil {
		return fmt.Errorf("air: %s: %w: %w", v.opts.Name, ErrDevice, err)
	}
	v.dataRate = index
	return nil
}

// Sent is a frame that a device has sent.
type Sent struct {
	PHYPayload []byte
	FCnt       uint32         // of a data frame
	Join       bool           // it is a join-request
	DevNonce   uint16         // of the join-request
	Rejoin     frame.JoinType // it is a rejoin-request; frame.Join: it is not
	Frequency  radio.Frequency
	DataRate   radio.DataRate
	Airtime    time.Duration
	End        time.Time
	RX1, RX2   Window
}

// Window is a receive window: its time and settings.
type Window struct {
	Delay     time.Duration // from the end of the uplink
	Frequency radio.Frequency
	DataRate  radio.DataRate
}

// Join sends a join-request with the next DevNonce: a random one before LoRaWAN
// 1.0.4, a counter since then. The old session stays until the join-accept.
func (v *Device) Join() (Sent, error) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	nonce := uint16(v.rnd.Uint32())
	if v.opts.Version >= V1_0_4 {
		if v.devNonce > math.MaxUint16 {
			return Sent{}, fmt.Errorf("air: %s: %w: all DevNonces are used up", v.opts.Name, ErrDevice)
		}
		nonce = uint16(v.devNonce)
	}
	return v.join(nonce)
}

// JoinWith is Join with the given DevNonce, for example a used one.
func (v *Device) JoinWith(devNonce uint16) (Sent, error) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	return v.join(devNonce)
}

func (v *Device) join(nonce uint16) (Sent, error) {
	if !v.joins() {
		return Sent{}, fmt.Errorf("air: %s: %w: no AppKey to join with", v.opts.Name, ErrDevice)
	}
	req := frame.JoinRequest{JoinEUI: v.opts.JoinEUI, DevEUI: v.opts.DevEUI, DevNonce: nonce}
	phy, err := frame.BuildJoinRequest(req, v.joinKey())
	if err != nil {
		return Sent{}, fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	s := Sent{PHYPayload: phy, Join: true, DevNonce: nonce}
	channel, err := v.channel(true)
	if err != nil {
		return Sent{}, err
	}
	if err := v.put(&s, channel); err != nil {
		return Sent{}, err
	}
	v.devNonce = max(v.devNonce, uint32(nonce)+1)
	v.request = &req
	v.air.join(v)
	return s, nil
}

// Send sends a data frame with the next frame counter on one of the device's
// channels. It returns at once; receivers hear the frame when it has ended. It does
// not wait for the windows of the frame before, see Busy, but closes them.
//
// d.MType may be 0 for an unconfirmed frame. The device sets address and counter,
// and ACK to acknowledge a confirmed downlink. MAC commands go into FOpts, or into
// FRMPayload with FPort 0. Send returns ErrDevice without a session and for a frame
// that is too long for the data rate, and frame.ErrFrame for an impossible frame.
func (v *Device) Send(d frame.Data) (Sent, error) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	if !v.active {
		return Sent{}, fmt.Errorf("air: %s: %w: not joined", v.opts.Name, ErrDevice)
	}
	if d.MType == 0 {
		d.MType = frame.UnconfirmedUp
	}
	if v.confirms {
		d.MType = frame.ConfirmedUp
	}
	d.DevAddr = v.session.DevAddr
	d.ACK = d.ACK || v.owesACK
	v.rekeys(&d)
	v.asksForPings(&d)
	channel, err := v.channel(false)
	if err != nil {
		return Sent{}, err
	}
	phy, err := v.cipher().BuildUplink(d, v.session.FCntUp, v.context(&d, channel.Frequency))
	if err != nil {
		return Sent{}, fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	s := Sent{PHYPayload: phy, FCnt: v.session.FCntUp}
	if err := v.put(&s, channel); err != nil {
		return Sent{}, err
	}
	v.goesOn()
	if d.Confirmed() {
		v.confUp = uint16(v.session.FCntUp)
	}
	v.session.FCntUp++
	v.owesACK = false
	return s, nil
}

// Resend sends a frame once more, byte for byte: for retransmissions (NbTrans), and
// to replay old frames. Its windows open again.
func (v *Device) Resend(s Sent) (Sent, error) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	channel, err := v.channel(s.Join || s.Rejoin == frame.Rejoin1)
	if err != nil {
		return Sent{}, err
	}
	if v.is11() && !s.Join && s.Rejoin == frame.Join { // the MIC covers the channel
		channel.Frequency = s.Frequency
	}
	if err := v.put(&s, channel); err != nil {
		return Sent{}, err
	}
	return s, nil
}

// Sizes around the MACPayload in bytes.
const (
	mhdrSize = 1
	micSize  = 4
)

// put sends a frame on a channel, and completes s. The caller holds the lock.
func (v *Device) put(s *Sent, channel region.Channel) error {
	longest, err := v.opts.Plan.MaxMACPayload(v.dataRate)
	if err != nil {
		return fmt.Errorf("air: %s: %w: %w", v.opts.Name, ErrDevice, err)
	}
	if size := len(s.PHYPayload) - mhdrSize - micSize; size > longest {
		return fmt.Errorf("air: %s: %w: MACPayload of %d bytes, at most %d at data rate %d", v.opts.Name, ErrDevice, size,
			longest, v.dataRate)
	}
	s.Frequency = channel.Frequency
	if s.DataRate, err = v.opts.Plan.DataRate(v.dataRate); err != nil {
		return fmt.Errorf("air: %s: %w: %w", v.opts.Name, ErrDevice, err)
	}
	if s.RX1, s.RX2, err = v.windows(s); err != nil {
		return fmt.Errorf("air: %s: %w: %w", v.opts.Name, ErrDevice, err)
	}
	if s.Airtime, err = radio.TimeOnAir(radio.Packet{DataRate: s.DataRate, Size: len(s.PHYPayload)}); err != nil {
		return fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	s.End = time.Now().Add(s.Airtime)
	s.PHYPayload = slices.Clone(s.PHYPayload)
	v.begin(s)
	return nil
}

// channel chooses one of the channels with the device's data rate.
func (v *Device) channel(join bool) (region.Channel, error) {
	from := v.channels
	if join {
		from = defaultChannels(v.opts.Plan)
	}
	var fit []region.Channel
	for _, c := range from {
		if c.MinDR <= v.dataRate && v.dataRate <= c.MaxDR {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return region.Channel{}, fmt.Errorf("air: %s: %w: no channel takes data rate %d", v.opts.Name, ErrDevice, v.dataRate)
	}
	return fit[v.rnd.IntN(len(fit))], nil
}
