package chirpstack

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"lorawand/radio"
)

// jsonForm is the form of ChirpStack 4: protobuf's JSON of api/proto/gw/gw.proto there. Fields with their
// zero value are left out, 32-bit numbers are numbers, bytes are in base64, times in s end with "s".
type jsonForm struct{}

type (
	jsonUplink struct {
		PHYPayload []byte     `json:"phyPayload"`
		TxInfo     jsonTxInfo `json:"txInfo"`
		RxInfo     jsonRxInfo `json:"rxInfo"`
	}
	// jsonTxInfo is UplinkTxInfo and DownlinkTxInfo; an uplink has the first two fields.
	jsonTxInfo struct {
		Frequency  uint32         `json:"frequency,omitempty"`
		Modulation jsonModulation `json:"modulation"`
		Power      int32          `json:"power,omitempty"` // dBm, EIRP
		Antenna    uint32         `json:"antenna,omitempty"`
		Timing     *jsonTiming    `json:"timing,omitempty"`
		Context    []byte         `json:"context,omitempty"`
	}
	jsonModulation struct {
		LoRa *jsonLoRa `json:"lora,omitempty"`
		FSK  *jsonFSK  `json:"fsk,omitempty"`
	}
	jsonLoRa struct {
		Bandwidth             uint32 `json:"bandwidth,omitempty"` // Hz
		SpreadingFactor       uint32 `json:"spreadingFactor,omitempty"`
		CodeRate              string `json:"codeRate,omitempty"` // "CR_4_5"
		PolarizationInversion bool   `json:"polarizationInversion,omitempty"`
	}
	jsonFSK struct {
		Datarate uint32 `json:"datarate,omitempty"` // bit/s
	}
	jsonRxInfo struct {
		GatewayID             string        `json:"gatewayId"`
		UplinkID              uint32        `json:"uplinkId"`
		GwTime                string        `json:"gwTime,omitempty"`
		TimeSinceGpsEpoch     string        `json:"timeSinceGpsEpoch,omitempty"`
		FineTimeSinceGpsEpoch string        `json:"fineTimeSinceGpsEpoch,omitempty"`
		RSSI                  int32         `json:"rssi,omitempty"`
		SNR                   float32       `json:"snr,omitempty"`
		Channel               uint32        `json:"channel,omitempty"`
		Antenna               uint32        `json:"antenna,omitempty"`
		Location              *jsonLocation `json:"location,omitempty"`
		Context               []byte        `json:"context,omitempty"`
		CRCStatus             string        `json:"crcStatus"`
	}
	jsonLocation struct {
		Latitude  float64 `json:"latitude,omitempty"`
		Longitude float64 `json:"longitude,omitempty"`
		Altitude  float64 `json:"altitude,omitempty"`
	}
	jsonTiming struct {
		Immediately *struct{} `json:"immediately,omitempty"`
		Delay       *struct {
			Delay jsonDuration `json:"delay"`
		} `json:"delay,omitempty"`
		GPSEpoch *struct {
			TimeSinceGpsEpoch jsonDuration `json:"timeSinceGpsEpoch"`
		} `json:"gpsEpoch,omitempty"`
	}
	jsonStats struct {
		GatewayID             string            `json:"gatewayId"`
		Time                  string            `json:"time,omitempty"`
		Location              *jsonLocation     `json:"location,omitempty"`
		RxPacketsReceived     uint32            `json:"rxPacketsReceived,omitempty"`
		RxPacketsReceivedOk   uint32            `json:"rxPacketsReceivedOk,omitempty"`
		TxPacketsReceived     uint32            `json:"txPacketsReceived,omitempty"`
		TxPacketsEmitted      uint32            `json:"txPacketsEmitted,omitempty"`
		TxPacketsPerFrequency map[uint32]uint32 `json:"txPacketsPerFrequency,omitempty"`
		RxPacketsPerFrequency map[uint32]uint32 `json:"rxPacketsPerFrequency,omitempty"`
		TxPacketsPerStatus    map[string]uint32 `json:"txPacketsPerStatus,omitempty"`
	}
	jsonAck struct {
		GatewayID  string     `json:"gatewayId"`
		DownlinkID uint32     `json:"downlinkId"`
		Items      []jsonItem `json:"items"`
	}
	jsonItem struct {
		Status string `json:"status"`
	}
	jsonState struct {
		GatewayID string `json:"gatewayId"`
		State     string `json:"state"`
	}
	jsonDownlink struct {
		DownlinkID uint32 `json:"downlinkId"`
		GatewayID  string `json:"gatewayId"`
		Items      []struct {
			PHYPayload []byte     `json:"phyPayload"`
			TxInfo     jsonTxInfo `json:"txInfo"`
		} `json:"items"`
	}
)

// jsonDuration is a time as "1.5s".
type jsonDuration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *jsonDuration) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "s")
	if !ok || strings.Trim(number, "-.0123456789") != "" {
		return fmt.Errorf("no duration: %.20q", text)
	}
	v, err := time.ParseDuration(string(text))
	*d = jsonDuration(v)
	return err
}

// seconds writes a time as "1.5s".
func seconds(d time.Duration) string {
	text := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "s"
}

// plain writes a message of our own making, in which nothing can fail.
func plain(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func jsonPlace(p *radio.Place) *jsonLocation {
	if p == nil {
		return nil
	}
	return &jsonLocation{p.Latitude, p.Longitude, float64(p.Altitude)}
}

func (jsonForm) uplink(u *heard) []byte {
	r := u.reception()
	m := jsonUplink{
		PHYPayload: u.PHYPayload, TxInfo: jsonTxInfo{Frequency: uint32(u.Frequency)},
		RxInfo: jsonRxInfo{
			GatewayID: hexOf(u.Gateway), UplinkID: rand.Uint32(), GwTime: rfc3339(u.GatewayTime), RSSI: rssi(r.RSSI),
			SNR: float32(r.SNR) / 100, Channel: uint32(r.Channel), Antenna: uint32(r.Antenna), Location: jsonPlace(u.place),
			Context: u.contextOf(r), CRCStatus: "CRC_OK",
		},
	}
	if u.GPS > 0 {
		m.RxInfo.TimeSinceGpsEpoch = seconds(time.Duration(u.GPS))
	}
	if at, ok := u.fineTime(r); ok {
		m.RxInfo.FineTimeSinceGpsEpoch = seconds(time.Duration(at))
	}
	switch d := u.DataRate; d.Modulation {
	case radio.FSK:
		m.TxInfo.Modulation.FSK = &jsonFSK{Datarate: d.BitRate}
	default:
		m.TxInfo.Modulation.LoRa = &jsonLoRa{Bandwidth: d.Bandwidth, SpreadingFactor: uint32(d.SpreadingFactor)}
		if c := u.CodingRate.String(); c != "" {
			m.TxInfo.Modulation.LoRa.CodeRate = "CR_4_" + c[2:]
		}
	}
	return plain(&m)
}

func (jsonForm) stats(r *report) []byte {
	return plain(&jsonStats{
		GatewayID: hexOf(r.gateway), Time: rfc3339(r.at), Location: jsonPlace(r.place), RxPacketsReceived: r.received,
		RxPacketsReceivedOk: r.received, TxPacketsReceived: r.downlinks, TxPacketsEmitted: r.transmitted,
		TxPacketsPerFrequency: r.transmittedOn, RxPacketsPerFrequency: r.receivedOn, TxPacketsPerStatus: r.statuses,
	})
}

func (jsonForm) ack(eui radio.EUI64, a *asked) []byte {
	m := jsonAck{GatewayID: hexOf(eui), DownlinkID: a.token}
	for _, s := range a.statuses {
		m.Items = append(m.Items, jsonItem{s.String()})
	}
	return plain(&m)
}

func (jsonForm) state(eui radio.EUI64, online bool) []byte {
	m := jsonState{GatewayID: hexOf(eui), State: "OFFLINE"}
	if online {
		m.State = "ONLINE"
	}
	return plain(&m)
}

func (jsonForm) downlink(payload []byte) (c command, err error) {
	var m jsonDownlink
	if err := decoded(payload, func(b []byte) error { return json.Unmarshal(b, &m) }); err != nil {
		return c, err
	}
	c.token = m.DownlinkID
	if m.GatewayID != "" {
		id, _ := hex.DecodeString(m.GatewayID)
		if c.name(id); len(id) == 0 {
			c.gateways = append(c.gateways, radio.EUI64{})
		}
	}
	for i := range m.Items {
		w := m.Items[i].TxInfo.wish()
		w.phy = m.Items[i].PHYPayload
		c.items = append(c.items, w.item())
	}
	return c, nil
}

func (t *jsonTxInfo) wish() wish {
	w := wish{frequency: t.Frequency, power: t.Power, antenna: t.Antenna, context: t.Context}
	if l := t.Modulation.LoRa; l != nil {
		rate, known := codingRates[l.CodeRate]
		w.lora = &loraWish{spreadingFactor: l.SpreadingFactor, codingRate: rate, inverted: l.PolarizationInversion}
		if known {
			w.lora.bandwidth = l.Bandwidth
		}
	}
	if f := t.Modulation.FSK; f != nil {
		w.bitRate = f.Datarate
	}
	switch g := t.Timing; {
	case g == nil:
	case g.Immediately != nil:
		w.timing = immediately
	case g.Delay != nil:
		w.timing, w.after = delay, time.Duration(g.Delay.Delay)
	case g.GPSEpoch != nil:
		w.timing, w.after = gpsEpoch, time.Duration(g.GPSEpoch.TimeSinceGpsEpoch)
	}
	return w
}

func (jsonForm) channels(payload []byte) (version string, err error) {
	var m struct {
		Version string `json:"version"`
	}
	err = decoded(payload, func(b []byte) error { return json.Unmarshal(b, &m) })
	return m.Version, err
}
