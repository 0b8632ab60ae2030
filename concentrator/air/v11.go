package air

import (
	"fmt"
	"math"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// What devices of LoRaWAN 1.1 do otherwise: two counters of downlinks, a MIC that covers the
// channel, RekeyInd, and rejoin-requests.

// RekeyInd with the version of LoRaWAN (1.1, 5.8).
const (
	rekeyInd byte = 0x0B
	minor    byte = 1
)

// is11 reports whether the device is of LoRaWAN 1.1.
func (v *Device) is11() bool { return v.opts.Version >= V1_1 }

// cipher makes and reads the frames of the session.
func (v *Device) cipher() *frame.Cipher {
	if v.made == nil {
		v.made = frame.NewCipher(v.session.Keys, v.is11())
	}
	return v.made
}

// joinKey is the root key that makes the MIC of join-requests.
func (v *Device) joinKey() frame.Key {
	if v.is11() {
		return v.opts.RootKeys.NwkKey
	}
	return v.opts.RootKeys.AppKey
}

// lastOf returns the counter that a downlink belongs to: with LoRaWAN 1.1 those with an
// application's payload have one of their own.
func (v *Device) lastOf(d *frame.Data) *int64 {
	if v.is11() && d.HasFPort && d.FPort > 0 {
		return &v.lastApp
	}
	return &v.lastDown
}

// context is what the MIC of an uplink on a channel covers.
func (v *Device) context(d *frame.Data, f radio.Frequency) frame.Context {
	c := frame.Context{TxDR: v.dataRate}
	if n, err := v.opts.Plan.UplinkChannel(f, v.dataRate); err == nil {
		c.TxCh = uint8(n)
	}
	if d.ACK {
		c.ConfFCnt = v.confDown
	}
	return c
}

// rekeys adds RekeyInd to a frame, until it was answered.
func (v *Device) rekeys(d *frame.Data) {
	if v.rekeying && (!d.HasFPort || d.FPort > 0) {
		d.FOpts = append([]byte{rekeyInd, minor}, d.FOpts...)
	}
}

// rekeyed notes RekeyConf.
func (v *Device) rekeyed(a *Answers) {
	for i := range a.Commands {
		if a.Commands[i].CID == rekeyInd {
			v.rekeying = false
		}
	}
}

// Rejoin sends a rejoin-request with the next RJcount. The session stays until a join-accept
// answers it; a data frame of the device ends its waiting.
func (v *Device) Rejoin(t frame.JoinType) (Sent, error) {
	v.air.mu.Lock()
	defer v.air.mu.Unlock()
	if !v.is11() || !v.active || !v.joins() {
		return Sent{}, fmt.Errorf("air: %s: %w: a %v needs LoRaWAN 1.1, root keys and a session", v.opts.Name, ErrDevice, t)
	}
	count, key := &v.rjCount0, v.session.Keys.SNwkSIntKey
	req := frame.RejoinRequest{Type: t, NetID: v.netID, DevEUI: v.opts.DevEUI}
	if t == frame.Rejoin1 {
		count, key = &v.rjCount1, frame.JSIntKey(v.opts.RootKeys.NwkKey, v.opts.DevEUI)
		req.JoinEUI = v.opts.JoinEUI
	}
	if *count > math.MaxUint16 {
		return Sent{}, fmt.Errorf("air: %s: %w: all RJcounts of a %v are used up", v.opts.Name, ErrDevice, t)
	}
	req.Count = uint16(*count)
	phy, err := frame.BuildRejoinRequest(req, key)
	if err != nil {
		return Sent{}, fmt.Errorf("air: %s: %w", v.opts.Name, err)
	}
	s := Sent{PHYPayload: phy, Rejoin: t}
	channel, err := v.channel(t == frame.Rejoin1)
	if err != nil {
		return Sent{}, err
	}
	if err := v.put(&s, channel); err != nil {
		return Sent{}, err
	}
	*count++
	stands := req.Request(v.opts.JoinEUI)
	v.request = &stands
	v.air.join(v)
	return s, nil
}

// goesOn ends the waiting for the answer to a rejoin-request.
func (v *Device) goesOn() {
	if v.request != nil && v.request.Type != frame.Join {
		v.request = nil
		v.air.joined(v)
	}
}

// begins takes the session of a join-accept, and its radio parameters: a rejoin-request of
// type 2 leaves those as they are.
func (v *Device) begins(a *frame.JoinAccept, keys frame.SessionKeys) {
	if v.active {
		v.air.forget(v, v.session.DevAddr)
	}
	v.active, v.made, v.session = true, nil, Session{DevAddr: a.DevAddr, Keys: keys}
	v.lastDown, v.lastApp, v.owesACK = -1, -1, false
	v.rjCount0, v.rekeying, v.netID = 0, v.is11(), a.NetID
	v.confirms, v.pinging = v.opts.Confirms, false
	v.air.byAddr[a.DevAddr] = append(v.air.byAddr[a.DevAddr], v)
	v.air.joined(v)
	keeps := v.request.Type == frame.Rejoin2
	v.request, v.joinNonce = nil, int64(a.JoinNonce)
	if keeps {
		return
	}
	v.rx1Delay = time.Duration(max(a.RXDelay, 1)) * time.Second
	v.rx1Offset = a.RX1DROffset
	v.rx2.Frequency, v.rx2.DataRate = v.opts.Plan.BandRX2().Frequency, a.RX2DataRate
}
