package chirpstack

import (
	"time"

	"github.com/brocaar/chirpstack-api/go/v3/common"
	"github.com/brocaar/chirpstack-api/go/v3/gw"
	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes"
	"github.com/golang/protobuf/ptypes/duration"
	"github.com/golang/protobuf/ptypes/timestamp"

	"lorawand/radio"
)

// protobuf is the form of ChirpStack 3.
type protobuf struct{}

// marshal writes a message of our own making: all its texts are UTF-8, so that nothing can fail.
func marshal(m proto.Message) []byte {
	b, _ := proto.Marshal(m)
	return b
}

// timestampOf returns nil for a time that is not known.
func timestampOf(t time.Time) *timestamp.Timestamp {
	if t.IsZero() {
		return nil
	}
	p, err := ptypes.TimestampProto(t)
	if err != nil {
		return nil
	}
	return p
}

func locationOf(p *radio.Place) *common.Location {
	if p == nil {
		return nil
	}
	return &common.Location{Latitude: p.Latitude, Longitude: p.Longitude, Altitude: float64(p.Altitude)}
}

func (protobuf) uplink(u *heard) []byte {
	r, id := u.reception(), newUUID()
	rx := &gw.UplinkRXInfo{
		GatewayId: u.Gateway[:], Time: timestampOf(u.GatewayTime), Rssi: rssi(r.RSSI), LoraSnr: float64(r.SNR) / 100,
		Channel: uint32(r.Channel), Antenna: uint32(r.Antenna), Context: u.contextOf(r), UplinkId: id[:],
		CrcStatus: gw.CRCStatus_CRC_OK, Location: locationOf(u.place),
	}
	if u.GPS > 0 {
		rx.TimeSinceGpsEpoch = ptypes.DurationProto(time.Duration(u.GPS))
	}
	if at, ok := u.fineTime(r); ok {
		rx.FineTimestampType = gw.FineTimestampType_PLAIN
		rx.FineTimestamp = &gw.UplinkRXInfo_PlainFineTimestamp{
			PlainFineTimestamp: &gw.PlainFineTimestamp{Time: timestampOf(at.UTC())},
		}
	}
	tx := &gw.UplinkTXInfo{Frequency: uint32(u.Frequency)}
	switch d := u.DataRate; d.Modulation {
	case radio.FSK:
		tx.Modulation = common.Modulation_FSK
		tx.ModulationInfo = &gw.UplinkTXInfo_FskModulationInfo{FskModulationInfo: &gw.FSKModulationInfo{Datarate: d.BitRate}}
	default:
		tx.ModulationInfo = &gw.UplinkTXInfo_LoraModulationInfo{LoraModulationInfo: &gw.LoRaModulationInfo{
			Bandwidth: d.Bandwidth / 1000, SpreadingFactor: uint32(d.SpreadingFactor), CodeRate: u.CodingRate.String(),
		}}
	}
	return marshal(&gw.UplinkFrame{PhyPayload: u.PHYPayload, TxInfo: tx, RxInfo: rx})
}

func (protobuf) stats(r *report) []byte {
	return marshal(&gw.GatewayStats{
		GatewayId: r.gateway[:], StatsId: r.id[:], Time: timestampOf(r.at), Location: locationOf(r.place),
		RxPacketsReceived: r.received, RxPacketsReceivedOk: r.received, TxPacketsReceived: r.downlinks,
		TxPacketsEmitted: r.transmitted, RxPacketsPerFrequency: r.receivedOn, TxPacketsPerFrequency: r.transmittedOn,
		TxPacketsPerStatus: r.statuses,
	})
}

func (protobuf) ack(eui radio.EUI64, a *asked) []byte {
	m := &gw.DownlinkTXAck{GatewayId: eui[:], Token: a.token, DownlinkId: []byte(a.id)}
	if why := a.why(); why != ignored {
		m.Error = why.String() // for servers that do not read the items
	}
	for _, s := range a.statuses {
		m.Items = append(m.Items, &gw.DownlinkTXAckItem{Status: gw.TxAckStatus(s)})
	}
	return marshal(m)
}

func (protobuf) state(eui radio.EUI64, online bool) []byte {
	m := &gw.ConnState{GatewayId: eui[:]}
	if online {
		m.State = gw.ConnState_ONLINE
	}
	return marshal(m)
}

func (protobuf) downlink(payload []byte) (c command, err error) {
	var m gw.DownlinkFrame
	if err := decoded(payload, func(b []byte) error { return proto.Unmarshal(b, &m) }); err != nil {
		return c, err
	}
	c.token, c.id = m.Token, string(m.DownlinkId)
	c.name(m.GatewayId)
	if len(m.Items) == 0 && m.TxInfo != nil { // servers before 3.9
		m.Items = []*gw.DownlinkFrameItem{{PhyPayload: m.PhyPayload, TxInfo: m.TxInfo}}
	}
	for _, it := range m.Items {
		tx := it.GetTxInfo()
		c.name(tx.GetGatewayId())
		w := wishOf(it.GetPhyPayload(), tx)
		c.items = append(c.items, w.item())
	}
	return c, nil
}

// name notes a gateway that a command names; none if id is empty.
func (c *command) name(id []byte) {
	if len(id) == 0 {
		return
	}
	var eui radio.EUI64
	if len(id) == len(eui) {
		copy(eui[:], id)
	}
	c.gateways = append(c.gateways, eui)
}

func wishOf(phy []byte, tx *gw.DownlinkTXInfo) wish {
	w := wish{
		phy: phy, frequency: tx.GetFrequency(), power: tx.GetPower(), antenna: tx.GetAntenna(), context: tx.GetContext(),
	}
	if l := tx.GetLoraModulationInfo(); l != nil {
		rate, known := codingRates[l.GetCodeRate()]
		w.lora = &loraWish{
			spreadingFactor: l.GetSpreadingFactor(), codingRate: rate, inverted: l.GetPolarizationInversion(),
		}
		if l.GetBandwidth() <= 500 && known { // else it stays 0, which no modem has
			w.lora.bandwidth = l.GetBandwidth() * 1000
		}
	}
	w.bitRate = tx.GetFskModulationInfo().GetDatarate()
	switch tx.GetTiming() {
	case gw.DownlinkTiming_IMMEDIATELY:
		if tx != nil {
			w.timing = immediately
		}
	case gw.DownlinkTiming_DELAY:
		w.wait(delay, tx.GetDelayTimingInfo().GetDelay())
	case gw.DownlinkTiming_GPS_EPOCH:
		w.wait(gpsEpoch, tx.GetGpsEpochTimingInfo().GetTimeSinceGpsEpoch())
	}
	return w
}

// wait sets the time; one that is missing or out of range leaves it as not known.
func (w *wish) wait(t timing, d *duration.Duration) {
	if d == nil {
		return
	}
	if after, err := ptypes.Duration(d); err == nil {
		w.timing, w.after = t, after
	}
}

func (protobuf) channels(payload []byte) (version string, err error) {
	var m gw.GatewayConfiguration
	err = decoded(payload, func(b []byte) error { return proto.Unmarshal(b, &m) })
	return m.Version, err
}
