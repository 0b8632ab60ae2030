package air

import (
	"crypto/aes"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// windowB is a ping slot.
const windowB = 4

// pingSlotInfo is PingSlotInfoReq, with how often there are ping slots in bits 0 to 2, and its
// answer, without a payload.
const pingSlotInfo byte = 0x10

// How a beacon period is divided (LoRaWAN L2 1.0.4, 9 to 12).
const (
	beaconPeriod   = 128 * time.Second
	beaconReserved = 2120 * time.Millisecond
	slotLength     = 30 * time.Millisecond
	slotsInPeriod  = 4096
	mostPingSlots  = 128 // in a beacon period
)

// asksForPings adds PingSlotInfoReq to a frame until it was answered; then the frame says that
// the device is in Class B. The device has the time of the beacons: nobody has to send any.
func (v *Device) asksForPings(d *frame.Data) {
	switch {
	case !v.opts.ClassB:
	case v.pinging:
		d.ClassB = true
	case !d.HasFPort || d.FPort > 0:
		d.FOpts = append([]byte{pingSlotInfo, v.opts.Periodicity & 7}, d.FOpts...)
	}
}

// pings notes the answer to PingSlotInfoReq.
func (v *Device) pings(a *Answers) {
	for i := range a.Commands {
		v.pinging = v.pinging || v.opts.ClassB && a.Commands[i].CID == pingSlotInfo
	}
}

// pingSlot returns the ping slot that is next to a time, before or behind, and the beacon before.
func (v *Device) pingSlot(t radio.GPSTime) (slot, beacon radio.GPSTime) {
	beacon = t - t%radio.GPSTime(beaconPeriod)
	count := int64(mostPingSlots) >> (v.opts.Periodicity & 7)
	period := slotsInPeriod / count
	first := beacon + radio.GPSTime(beaconReserved) + radio.GPSTime(v.pingOffset(beacon, period)*int64(slotLength))
	between := float64(period * int64(slotLength))
	n := min(max(int64(math.Round(float64(t-first)/between)), 0), count-1)
	return first + radio.GPSTime(n*period*int64(slotLength)), beacon
}

// pingOffset is Rand mod pingPeriod of LoRaWAN L2 1.0.4, 11.2.
func (v *Device) pingOffset(beacon radio.GPSTime, period int64) int64 {
	var in, out [aes.BlockSize]byte
	binary.LittleEndian.PutUint32(in[0:], uint32(int64(beacon)/int64(time.Second)))
	binary.LittleEndian.PutUint32(in[4:], binary.BigEndian.Uint32(v.session.DevAddr[:]))
	block, err := aes.NewCipher(make([]byte, aes.BlockSize))
	if err != nil {
		panic(err) // only for keys of another size
	}
	block.Encrypt(out[:], in[:])
	return (int64(out[0]) + int64(out[1])*256) % period
}

// inPingSlot reports whether a transmission begins in a ping slot, and by how much it is late; and
// why the device does not receive it there.
func (v *Device) inPingSlot(t *transmission) (in bool, margin time.Duration, reason string) {
	if !v.pinging || !v.active || v.request != nil && v.request.Type == frame.Join {
		return false, 0, ""
	}
	begin := radio.GPSTimeOf(t.Begin)
	slot, beacon := v.pingSlot(begin)
	if margin = time.Duration(begin - slot); !within(margin) {
		return false, margin, ""
	}
	w, err := v.opts.Plan.PingSlot(region.VersionUnknown, v.session.DevAddr, beacon)
	if err != nil {
		return true, margin, err.Error()
	}
	open, err := windowOf(v.opts.Plan, w, 0)
	if err != nil {
		return true, margin, err.Error()
	}
	why := v.busy(t)
	return true, margin, strings.Join(append(why, v.unheard(&uplink{Sent: Sent{RX2: open}}, 2, t)...), "; ")
}
