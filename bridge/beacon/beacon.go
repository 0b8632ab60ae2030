// Package beacon sends the beacons of Class B by the gateways that know GPS time and are to send
// them.
package beacon

import (
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// ahead is how long before its time a beacon is planned. Nothing else can take its place meanwhile,
// and the later it is, the better its time is known.
const ahead = 3 * time.Second

// idBit is set in the ids of beacons, and in those of no other downlinks.
const idBit = 1 << 63

// Sender sends the beacons of all gateways. The zero value is ready. It belongs to one goroutine.
type Sender struct {
	last    uint64
	gateway map[radio.EUI64]*beacon // the last one of each
}

// beacon is one that was planned.
type beacon struct {
	at   radio.GPSTime
	id   uint64
	slot *schedule.Slot // nil: it had no place
	told told           // of those before
}

// told is the last refusal that was told.
type told struct {
	result radio.TxResult // TxOK: none since a beacon was sent
	at     radio.HostTime
}

// tellEvery is how often it is told that beacons are refused, for the same reason.
const tellEvery = time.Hour

// Next returns the beacon that a gateway is to be given now, and when that is over. It is called
// each second. ok is false where it is none.
func (s *Sender) Next(
	plan *schedule.Scheduler, g *gateway.Gateway, now radio.HostTime, net radio.NetID,
) (d radio.Downlink, end radio.HostTime, ok bool) {
	at, moment, ok := g.NextBeacon()
	if last := s.gateway[g.EUI]; !ok || moment.Host.Sub(now) > ahead || last != nil && last.at == at {
		return d, 0, false
	}
	b := &beacon{at: at}
	if last := s.gateway[g.EUI]; last != nil {
		b.told = last.told
	}
	if s.gateway == nil {
		s.gateway = map[radio.EUI64]*beacon{}
	}
	s.gateway[g.EUI] = b
	if d, ok = downlink(g, at, net); !ok {
		return d, 0, false
	}
	airtime, err := radio.TimeOnAir(d.Packet())
	if err != nil {
		return d, 0, false
	}
	d.Time = moment.Counter
	b.slot, _ = plan.Commit(now, schedule.Emission{
		Gateway: g, Start: d.Time, HostStart: moment.Host, Airtime: airtime, Frequency: d.Frequency,
		Priority: radio.PriorityHighest, Beacon: true, Why: schedule.Why{Window: "beacon", What: schedule.Network},
	})
	if b.slot == nil {
		return d, 0, false
	}
	s.last++
	b.id = idBit | s.last
	d.ID = b.id
	return d, moment.Host.Add(airtime), true
}

// downlink returns the beacon of a gateway at a time, where its band has one.
func downlink(g *gateway.Gateway, at radio.GPSTime, net radio.NetID) (d radio.Downlink, ok bool) {
	how, err := g.Plan.Beacon(at)
	if err != nil {
		return d, false
	}
	rate, err := g.Plan.DataRate(how.DataRate)
	if err != nil {
		return d, false
	}
	f := frame.Beacon{Time: at, NetID: net, Gateway: g.EUI}
	if l := g.Location; l != nil {
		f.Place = &radio.Place{Latitude: l.Latitude, Longitude: l.Longitude}
	}
	return radio.Downlink{
		Gateway: g.EUI, PHYPayload: f.Append(nil, how.Before, how.Behind), Frequency: how.Frequency, DataRate: rate,
		Power: g.MaxPower(how.Frequency), GPS: at, Beacon: true,
	}, true
}

// Acked takes the answer of a gateway. A beacon that was not sent has not used its airtime. refused
// reports whether people are to be told that the gateway refuses its beacons: once an hour, and at
// once with another reason.
func (s *Sender) Acked(plan *schedule.Scheduler, a radio.TxAck) (refused bool) {
	b := s.gateway[a.Gateway]
	if a.ID&idBit == 0 || b == nil || b.id != a.ID || b.slot == nil || a.Result == radio.TxNoAck {
		return false
	}
	if a.Result == radio.TxOK {
		b.told.result = radio.TxOK
		return false
	}
	plan.Release(b.slot)
	b.slot = nil
	if a.Result == b.told.result && a.At.Sub(b.told.at) < tellEvery {
		return false
	}
	b.told = told{a.Result, a.At}
	return true
}
