// Package beacon sends the beacons of Class B by the gateways that know GPS time and are to send
// them.
package beacon

import (
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const (
	// ahead is how long before its time a beacon is planned. Nothing else can take its place
	// meanwhile, and the later it is, the better its time is known.
	ahead = 3 * time.Second
	// last is how long before its time a beacon is planned at the latest, where it had no place
	// before. Next is called each second, so that there is one call at least behind that.
	last = 1500 * time.Millisecond
)

// idBit is set in the ids of beacons, and in those of no other downlinks.
const idBit = 1 << 63

// Sender sends the beacons of all gateways. The zero value is ready. It belongs to one goroutine.
type Sender struct {
	id      uint64                  // of the last one
	gateway map[radio.EUI64]*beacon // the last one of each
}

// beacon is one that was planned, or had no place.
type beacon struct {
	at   radio.GPSTime
	id   uint64
	slot *schedule.Slot // nil: it had no place, or was not sent
	told told           // of those before
}

// told is the last refusal that was told.
type told struct {
	why string // "": none since a beacon was sent
	at  radio.HostTime
}

// tellEvery is how often it is told that beacons are not sent, for the same reason.
const tellEvery = time.Hour

// Planned is a beacon that a gateway is to be given now.
type Planned struct {
	Downlink radio.Downlink
	End      radio.HostTime // when it is over
}

// Next returns the beacon that a gateway is to be given now; nil where it is none. It is called each
// second. The error is what people are to be told, as Acked says: the beacon has no place.
func (s *Sender) Next(
	plan *schedule.Scheduler, g *gateway.Gateway, now radio.HostTime, net radio.NetID,
) (*Planned, error) {
	at, moment, ok := g.NextBeacon()
	left := moment.Host.Sub(now)
	b := s.gateway[g.EUI]
	if !ok || !g.Online || left > ahead || b != nil && b.at == at {
		return nil, nil
	}
	d, ok := downlink(g, at, net)
	if !ok {
		return nil, nil
	}
	airtime, err := radio.TimeOnAir(d.Packet())
	if err != nil {
		return nil, nil
	}
	d.Time = moment.Counter
	slot, v := plan.Commit(now, schedule.Emission{
		Gateway: g, Start: d.Time, HostStart: moment.Host, Airtime: airtime, Frequency: d.Frequency,
		Priority: radio.PriorityHighest, Beacon: true, Why: schedule.Why{Window: "beacon", What: schedule.Network},
	})
	if slot == nil && left > last {
		return nil, nil // what is in its way may go
	}
	b = s.begin(g.EUI, at)
	if slot == nil {
		return nil, b.refused(fmt.Sprintf("there is no place for it: %v", v.Reason), now)
	}
	s.id++
	b.slot, b.id = slot, idBit|s.id
	d.ID = b.id
	return &Planned{d, moment.Host.Add(airtime)}, nil
}

// begin returns the beacon of a gateway at a time, in place of the one before.
func (s *Sender) begin(eui radio.EUI64, at radio.GPSTime) *beacon {
	b := &beacon{at: at}
	if before := s.gateway[eui]; before != nil {
		b.told = before.told
	}
	if s.gateway == nil {
		s.gateway = map[radio.EUI64]*beacon{}
	}
	s.gateway[eui] = b
	return b
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

// Acked takes the answer of a gateway. A beacon that was not sent has not used its airtime. The error
// is what people are to be told of refused beacons: once an hour, and at once for another reason.
func (s *Sender) Acked(plan *schedule.Scheduler, a radio.TxAck) error {
	b := s.gateway[a.Gateway]
	if a.ID&idBit == 0 || b == nil || b.id != a.ID || b.slot == nil || a.Result == radio.TxNoAck {
		return nil
	}
	if a.Result == radio.TxOK {
		b.told.why = ""
		return nil
	}
	plan.Release(b.slot)
	b.slot = nil
	return b.refused(a.Result.String(), a.At)
}

// refused returns an error if it is to be told now why a beacon is not sent.
func (b *beacon) refused(why string, now radio.HostTime) error {
	if why == b.told.why && now.Sub(b.told.at) < tellEvery {
		return nil
	}
	b.told = told{why, now}
	return errors.New(why)
}
