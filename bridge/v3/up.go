package v3

import (
	"maps"
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/jsontext"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Encoder writes messages. The zero value writes them as The Things Stack v3.32
// does.
type Encoder struct {
	// Legacy adds fields to settings that the example in the documentation of 2019
	// has: data_rate_index, coding_rate, gateway_channel_index and
	// device_channel_index.
	Legacy bool
	Zero   bool // write out fields that are zero
	// Attributes adds the attributes of the device, as later versions of The Things
	// Stack do.
	Attributes bool
	NetID      radio.NetID
}

// DeviceIDs are the end_device_ids of every message.
type DeviceIDs struct {
	ID         session.ID
	DevEUI     radio.EUI64 // zero: the device has none
	JoinEUI    radio.EUI64
	HasJoinEUI bool
	DevAddr    radio.DevAddr
	HasDevAddr bool
	Attributes map[string]string // written only with Encoder.Attributes
}

// IDs returns the identifiers of a device with its present session.
func IDs(d *session.Device) DeviceIDs {
	ids := DeviceIDs{ID: d.ID, DevEUI: d.DevEUI, JoinEUI: d.JoinEUI, Attributes: d.Attributes}
	ids.HasJoinEUI = d.HasJoinEUI && (d.SupportsJoin || !d.JoinEUI.IsZero())
	if d.Session != nil {
		ids.DevAddr, ids.HasDevAddr = d.Session.DevAddr, true
	}
	return ids
}

// Uplink is an uplink_message with its envelope. An unknown time is the zero time.
type Uplink struct {
	DeviceIDs      DeviceIDs
	CorrelationIDs []string // sorted
	ReceivedAt     time.Time

	SessionKeyID    []byte // none with ABP
	FPort           uint8  // 0: none, or MAC commands
	FCnt            uint32
	FRMPayload      []byte // plain
	Receptions      []Reception
	Settings        Settings
	FrameReceivedAt time.Time // when the network server received the frame
	Confirmed       bool
	ConsumedAirtime time.Duration
	Lost, LostOf    uint32 // Lost of the last LostOf frames were lost
	Locations       map[string]session.Location
	VersionIDs      session.VersionIDs

	Places Places // set by AppendUplink
}

// Places are the offsets in a message, in bytes, where the results of a payload
// formatter belong.
type Places struct {
	Member, Inside    int // begin of the member with the message, and begin of its content
	Decoded           int // end of frm_payload
	Locations, Behind int // begin and end of locations
}

// Reception is an entry of rx_metadata: the frame as one antenna of one gateway
// heard it.
type Reception struct {
	Gateway    *gateway.Gateway
	Uplink     *radio.Uplink
	Antenna    *radio.Reception
	ReceivedAt time.Time
	ShowTime   bool // the calendar time of the gateway may be shown
}

// Settings are the radio settings of the frame.
type Settings struct {
	Uplink             *radio.Uplink // the first copy
	DataRateIndex      uint8
	DeviceChannelIndex uint8
	ShowTime           bool
}

// AppendUplink appends the payload of an "up" message, and sets its Places.
func (e *Encoder) AppendUplink(dst []byte, u *Uplink) []byte {
	w := writer{b: append(dst, '{'), zero: e.Zero}
	w.envelope(&u.DeviceIDs, u.CorrelationIDs, u.ReceivedAt)
	u.Places.Member = len(w.b) - len(dst)
	w.open("uplink_message", '{')
	u.Places.Inside = len(w.b) - len(dst)
	if len(u.SessionKeyID) > 0 {
		w.bytes("session_key_id", u.SessionKeyID)
	}
	w.uint("f_port", uint64(u.FPort))
	w.uint("f_cnt", uint64(u.FCnt))
	w.bytes("frm_payload", u.FRMPayload)
	u.Places.Decoded = len(w.b) - len(dst)
	w.open("rx_metadata", '[')
	for i := range u.Receptions {
		w.item()
		w.reception(&u.Receptions[i])
		w.close('}')
	}
	w.close(']')
	w.open("settings", '{')
	w.settings(&u.Settings, e.Legacy)
	w.close('}')
	w.time("received_at", u.FrameReceivedAt)
	w.bool("confirmed", u.Confirmed)
	w.duration("consumed_airtime", u.ConsumedAirtime)
	w.float("packet_error_rate", float64(float32(u.Lost)/float32(max(u.LostOf, 1))), 32)
	u.Places.Locations = len(w.b) - len(dst)
	w.locations(u.Locations)
	u.Places.Behind = len(w.b) - len(dst)
	w.versionIDs(&u.VersionIDs)
	w.open("network_ids", '{')
	w.hex("net_id", e.NetID[:])
	w.close('}')
	w.attributes(e, &u.DeviceIDs)
	w.b = append(w.b, "}}"...)
	return w.b
}

// attributes writes the attributes of the device if the Encoder is to write them.
func (w *writer) attributes(e *Encoder, ids *DeviceIDs) {
	if !e.Attributes || len(ids.Attributes) == 0 {
		return
	}
	w.open("attributes", '{')
	for i, name := range slices.Sorted(maps.Keys(ids.Attributes)) {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(jsontext.AppendString(w.b, name), ':')
		w.b = jsontext.AppendString(w.b, ids.Attributes[name])
	}
	w.close('}')
}

// envelope writes the fields at the beginning of every message.
func (w *writer) envelope(ids *DeviceIDs, correlation []string, receivedAt time.Time) {
	w.open("end_device_ids", '{')
	w.text("device_id", ids.ID.Device)
	w.open("application_ids", '{')
	w.text("application_id", ids.ID.Application)
	w.close('}')
	if !ids.DevEUI.IsZero() {
		w.hex("dev_eui", ids.DevEUI[:])
	}
	if ids.HasJoinEUI {
		w.hex("join_eui", ids.JoinEUI[:])
	}
	if ids.HasDevAddr {
		w.hex("dev_addr", ids.DevAddr[:])
	}
	w.close('}')
	w.texts("correlation_ids", correlation)
	w.time("received_at", receivedAt)
}

func (w *writer) reception(r *Reception) {
	up, a := r.Uplink, r.Antenna
	w.open("gateway_ids", '{')
	w.text("gateway_id", r.Gateway.ID)
	w.hex("eui", r.Gateway.EUI[:])
	w.close('}')
	w.uint("antenna_index", uint64(a.Antenna))
	if r.ShowTime {
		w.time("time", gatewayTime(up))
	}
	w.uint("timestamp", uint64(up.Time.Counter()))
	if a.HasFineTimestamp {
		w.int64("fine_timestamp", int64(a.FineTimestamp))
	}
	if len(a.EncryptedFineTimestamp) > 0 {
		w.bytes("encrypted_fine_timestamp", a.EncryptedFineTimestamp)
		if a.FineTimestampKey != "" {
			w.text("encrypted_fine_timestamp_key_id", a.FineTimestampKey)
		}
	}
	if a.Knows(radio.FieldRSSI) {
		w.decibel("rssi", a.RSSI)
	}
	if a.HasSignalRSSI {
		w.name("signal_rssi")
		w.b = a.SignalRSSI.AppendText(w.b)
	}
	if a.Knows(radio.FieldRSSI) {
		w.decibel("channel_rssi", a.RSSI)
	}
	if a.RSSIStandardDeviation != 0 {
		w.decibel("rssi_standard_deviation", a.RSSIStandardDeviation)
	}
	if a.Knows(radio.FieldSNR) {
		w.decibel("snr", a.SNR)
	}
	if a.Knows(radio.FieldFrequencyOffset) {
		w.int64("frequency_offset", int64(a.FrequencyOffset))
	}
	if l := r.Gateway.Location; l != nil {
		w.open("location", '{')
		w.locationFields(session.Location{
			Latitude: l.Latitude, Longitude: l.Longitude, Altitude: l.Altitude, Source: sourceOf(l),
		})
		w.close('}')
	}
	if a.NoDownlink {
		w.text("downlink_path_constraint", "DOWNLINK_PATH_CONSTRAINT_NEVER")
	} else {
		w.name("uplink_token")
		w.b = append(a.Token.AppendText(append(w.b, '"')), '"')
	}
	if a.Knows(radio.FieldChannel) {
		w.uint("channel_index", uint64(a.Channel))
	}
	if up.GPS > 0 {
		w.time("gps_time", up.GPS.UTC())
	}
	w.time("received_at", r.ReceivedAt)
}

// sourceOf returns who has told the place of a gateway.
func sourceOf(l *gateway.Location) string {
	if l.GPS {
		return "SOURCE_GPS"
	}
	return "SOURCE_REGISTRY"
}

// gatewayTime returns the time of the end of the frame by the gateway. GPS time is
// preferred.
func gatewayTime(up *radio.Uplink) time.Time {
	if up.GPS > 0 {
		return up.GPS.UTC()
	}
	return up.GatewayTime
}

func (w *writer) settings(s *Settings, legacy bool) {
	up := s.Uplink
	w.open("data_rate", '{')
	if up.DataRate.Modulation == radio.FSK {
		w.open("fsk", '{')
		w.uint("bit_rate", uint64(up.DataRate.BitRate))
	} else {
		w.open("lora", '{')
		w.uint("bandwidth", uint64(up.DataRate.Bandwidth))
		w.uint("spreading_factor", uint64(up.DataRate.SpreadingFactor))
		w.codingRate(up)
	}
	w.b = append(w.b, "}}"...)
	if legacy {
		w.uint("data_rate_index", uint64(s.DataRateIndex))
		w.codingRate(up)
	}
	w.int64("frequency", int64(up.Frequency))
	if legacy {
		if a := &up.Receptions[0]; a.Knows(radio.FieldChannel) {
			w.uint("gateway_channel_index", uint64(a.Channel))
		}
		w.uint("device_channel_index", uint64(s.DeviceChannelIndex))
	}
	w.uint("timestamp", uint64(up.Time.Counter()))
	if s.ShowTime {
		w.time("time", gatewayTime(up))
	}
}

// codingRate writes the coding rate. LoRa always has one; if it is 0 the gateway
// has not told it, and the field is left out.
func (w *writer) codingRate(up *radio.Uplink) {
	if up.CodingRate != 0 || up.DataRate.Modulation != radio.LoRa {
		w.text("coding_rate", up.CodingRate.String())
	}
}

// locationFields writes the fields of a location.
func (w *writer) locationFields(l session.Location) {
	w.float("latitude", l.Latitude, 64)
	w.float("longitude", l.Longitude, 64)
	w.int("altitude", int64(l.Altitude))
	if l.Accuracy != 0 {
		w.int("accuracy", int64(l.Accuracy))
	}
	w.text("source", l.Source)
}

func (w *writer) locations(ls map[string]session.Location) {
	if len(ls) == 0 {
		return
	}
	w.open("locations", '{')
	for i, name := range slices.Sorted(maps.Keys(ls)) {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(jsontext.AppendString(w.b, name), ":{"...)
		w.locationFields(ls[name])
		w.close('}')
	}
	w.close('}')
}

func (w *writer) versionIDs(v *session.VersionIDs) {
	if *v == (session.VersionIDs{}) {
		return
	}
	w.open("version_ids", '{')
	w.text("brand_id", v.Brand)
	w.text("model_id", v.Model)
	w.text("hardware_version", v.Hardware)
	w.text("firmware_version", v.Firmware)
	w.text("band_id", v.Band)
	w.close('}')
}
