package enddevice

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// What the registries of The Things Stack refuse, or cannot work with, when a device comes to them
// with a session. Source: lorawan-stack 3.32.1, Set in pkg/networkserver/grpc_deviceregistry.go,
// pkg/joinserver/grpc_deviceregistry.go and pkg/applicationserver/grpc_deviceregistry.go, and
// api/ttn/lorawan/v3/end_device.proto.

// handOver makes of a device with a session what The Things Stack takes:
//
//   - Of a device that joins, its join server refuses ids.dev_addr, and its network server a
//     session without session_key_id. Of one that does not join, it refuses a session_key_id.
//   - It makes a MAC state only where none of its fields is told. So one that is told has all:
//     both sets of parameters, with channels; for a multicast group the same ones.
func (j *deviceJSON) handOver(d *session.Device, rx1Delay uint8) {
	s := d.Session
	if d.SupportsJoin {
		j.IDs.DevAddr = ""
		if len(s.KeyID) == 0 {
			j.Session.Keys.SessionKeyID = base64.StdEncoding.EncodeToString(madeKeyID(d))
		}
	} else {
		j.Session.Keys.SessionKeyID = ""
	}
	plan, err := d.PlanIn(s)
	if err != nil {
		return // it goes as it is: nothing is known of its channels
	}
	m := j.MACState
	if m == nil {
		m = &macStateJSON{LoRaWANVersion: enum[macVersionNames](versionName(d))}
	}
	if m.Current == nil {
		m.Current = parametersOf(d, known(d, factoryParameters(d)))
		m.Desired = desiredOf(d, s, rx1Delay)
		m.tellClasses(d, s)
		m.tellMasks(d, s.MAC)
	}
	m.Current.complete(d, plan)
	if m.Desired.complete(d, plan); d.Multicast {
		m.Desired = m.Current
	}
	j.MACState = m
}

// madeKeyID names a session that no join server has named. It is the same with each export, and
// tells nothing of the key that tells the sessions of a device apart.
func madeKeyID(d *session.Device) []byte {
	h := sha256.New()
	h.Write(d.DevEUI[:])
	h.Write(d.Session.DevAddr[:])
	h.Write(d.Session.Keys.AppSKey[:])
	return h.Sum(nil)[:16]
}

// Defaults that The Things Stack writes for a device that was told nothing of them
// (LoRaWAN L2 1.0.4, 4.3.1.1: ADR_ACK_LIMIT 64, ADR_ACK_DELAY 32).
const (
	defaultAckLimit = "ADR_ACK_LIMIT_64"
	defaultAckDelay = "ADR_ACK_DELAY_32"
)

// complete fills in what a device uses that was told nothing of it.
func (j *parametersJSON) complete(d *session.Device, plan *region.Plan) {
	if j.MaxEIRP == 0 {
		j.MaxEIRP = float64(plan.DeviceMaxEIRP()) / 100
	}
	if j.ADRNbTrans.v == 0 {
		j.ADRNbTrans = some(uint8(1))
	}
	if j.ADRAckLimitExp == "" {
		j.ADRAckLimitExp = defaultAckLimit
	}
	if j.ADRAckDelayExp == "" {
		j.ADRAckDelayExp = defaultAckDelay
	}
	if len(j.Channels) == 0 && plan.FixedChannels() {
		mask := plan.PlanMask()
		if m := d.Session.MAC; !d.SupportsJoin || m != nil && m.NoCFList {
			mask = plan.StartMask()
		}
		j.Channels = fixedChannels(mask, plan)
	}
	if slot, ok := steadyPingSlot(d, plan); ok {
		if !j.Frequency.set {
			j.Frequency = frequency(slot.Frequency)
		}
		if !j.Beacon.set {
			j.Beacon = frequency(slot.Frequency)
		}
		if !j.PingRate.set {
			j.PingRate = optional(&slot.DataRate)
		}
	}
}

// steadyPingSlot returns the ping slot of a band that has one channel for it, which its beacons
// have too. Where channels take turns, The Things Stack writes none.
func steadyPingSlot(d *session.Device, plan *region.Plan) (region.Window, bool) {
	const period = radio.GPSTime(128 * time.Second) // of beacons: the next channel's turn
	first, err := plan.PingSlot(d.RegionalParameters(), d.Session.DevAddr, 0)
	next, _ := plan.PingSlot(d.RegionalParameters(), d.Session.DevAddr, period)
	return first, err == nil && first == next
}

// firstUplink is an uplink with FCntUp 0, with what The Things Stack demands of each: MHDR, FCtrl
// and a data rate.
func firstUplink(d *session.Device, s *session.Session) (u recentUplink) {
	u.Payload.MHDR.MType = "UNCONFIRMED_UP"
	u.Payload.MACPayload = json.RawMessage(`{"f_hdr":{"dev_addr":"` + s.DevAddr.String() + `","f_ctrl":{}}}`)
	sf, bandwidth := uint8(12), uint32(125_000)
	if plan, err := d.PlanIn(s); err == nil {
		if dr, err := plan.DataRate(plan.Channels()[0].MinDR); err == nil {
			sf, bandwidth = dr.SpreadingFactor, dr.Bandwidth
		}
	}
	u.Settings = json.RawMessage(fmt.Sprintf(
		`{"data_rate":{"lora":{"bandwidth":%d,"spreading_factor":%d,"coding_rate":"4/5"}}}`, bandwidth, sf))
	return u
}
