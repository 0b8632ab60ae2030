package activity

import (
	"cmp"
	"encoding/json"
	"time"
	"unicode"
	"unicode/utf8"

	"lorawand/bridge/event"
	"lorawand/bridge/order"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Message is a message as it was published.
type Message struct {
	Device  session.ID
	At      radio.HostTime
	Payload []byte // JSON; must not be changed

	seq uint64
}

// Messages returns the remembered messages of a kind (v3.Up and the like), oldest
// first: those of a device, or with its Device "" of all devices of the application.
func (l *Log) Messages(of session.ID, suffix string) []Message {
	out := l.copied(of, suffix)
	order.By(out, func(a, b Message) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// copied returns the messages of each device, one device after the other: whoever
// publishes must not wait for the rest.
func (l *Log) copied(of session.ID, suffix string) (out []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.selected(of) {
		for _, list := range [...][]*record{d.uplinks, d.others} {
			for _, r := range list {
				if r.suffix == suffix {
					out = append(out, Message{Device: d.id, At: r.at, Payload: r.payload, seq: r.seq})
				}
			}
		}
	}
	return out
}

func (l *Log) selected(of session.ID) (out []*device) {
	if of.Device != "" {
		if d := l.devices[of]; d != nil {
			out = append(out, d)
		}
		return out
	}
	for id, d := range l.devices {
		if id.Application == of.Application {
			out = append(out, d)
		}
	}
	return out
}

// Events returns the remembered events of a device, oldest first.
func (l *Log) Events(id session.ID) []event.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.devices[id]
	if d == nil {
		return nil
	}
	out := make([]event.Event, len(d.events))
	for i, r := range d.events {
		out[i] = *r.event
	}
	return out
}

// Summary is what a device did last. Times are ages in s, so that they need no
// calendar.
type Summary struct {
	Uplinks uint64  `json:"uplinks"` // since the start
	Uplink  *Uplink `json:"last_uplink,omitempty"`
	Join    *Join   `json:"last_join,omitempty"`
}

// Uplink is the last uplink of a device.
type Uplink struct {
	Age        float64         `json:"age_s"`
	ReceivedAt *time.Time      `json:"received_at,omitempty"` // absent where the calendar was not known
	FCnt       uint32          `json:"f_cnt"`
	FPort      uint8           `json:"f_port,omitempty"`
	Confirmed  bool            `json:"confirmed,omitempty"`
	FRMPayload []byte          `json:"frm_payload,omitempty"`
	Text       string          `json:"text,omitempty"` // the same, where it is one
	Decoded    json.RawMessage `json:"decoded_payload,omitempty"`
	Warnings   []string        `json:"decoded_payload_warnings,omitempty"`
	RSSI       float64         `json:"rssi"` // dBm, of the gateway that hears it best
	SNR        float64         `json:"snr"`  // dB
	DataRate   string          `json:"data_rate,omitempty"`
	Frequency  radio.Frequency `json:"frequency,omitempty"` // Hz
	Airtime    string          `json:"consumed_airtime,omitempty"`
	Gateways   []Heard         `json:"gateways"` // the best first
	Normalized json.RawMessage `json:"-"`        // normalized_payload
	// LossRate is the share of the last 20 frames that did not come, as their counters say.
	LossRate float64 `json:"packet_error_rate"`
}

// Heard is how a gateway has heard an uplink.
type Heard struct {
	Gateway string  `json:"gateway_id"`
	RSSI    float64 `json:"rssi"`
	SNR     float64 `json:"snr"`
}

// Join is the last try of a device to join.
type Join struct {
	Age      float64    `json:"age_s"`
	At       *time.Time `json:"at,omitempty"`
	Accepted bool       `json:"accepted"`
	Reason   string     `json:"reason,omitempty"` // as one word
	Error    string     `json:"error,omitempty"`
	Hint     string     `json:"hint,omitempty"` // what can be done about it
	Gateway  string     `json:"gateway_id,omitempty"`
}

// Summary returns what a device did last, or nil where nothing is remembered.
func (l *Log) Summary(id session.ID, now radio.HostTime) *Summary {
	l.mu.Lock()
	d := l.devices[id]
	if d == nil {
		l.mu.Unlock()
		return nil
	}
	s := &Summary{Uplinks: d.count}
	if d.join != nil {
		s.Join = joinOf(d.join.event, now)
	}
	var last *record
	if n := len(d.uplinks); n > 0 {
		last = d.uplinks[n-1]
	}
	l.mu.Unlock()
	if last != nil {
		s.Uplink = uplinkOf(last.payload, age(now, last.at))
	}
	if s.Uplink == nil && s.Join == nil {
		return nil
	}
	return s
}

// LastJoin returns the last try of a device to join; nil: none is remembered.
func (l *Log) LastJoin(id session.ID, now radio.HostTime) *Join {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.devices[id]; d != nil && d.join != nil {
		return joinOf(d.join.event, now)
	}
	return nil
}

func joinOf(e *event.Event, now radio.HostTime) *Join {
	j := &Join{
		Age: age(now, e.Host), Accepted: e.Kind == event.JoinAccepted, Reason: e.Word, Hint: e.Hint,
		Gateway: e.Gateway,
	}
	if !e.At.IsZero() {
		j.At = &e.At
	}
	if e.Err != nil {
		j.Error = e.Err.Error()
	}
	return j
}

// age is rounded to ms.
func age(now, t radio.HostTime) float64 {
	return radio.Seconds(max(now.Sub(t), 0).Round(time.Millisecond))
}

// message is what is read of an "up".
type message struct {
	Up struct {
		FPort      uint8           `json:"f_port"`
		FCnt       uint32          `json:"f_cnt"`
		FRMPayload []byte          `json:"frm_payload"`
		Decoded    json.RawMessage `json:"decoded_payload"`
		Warnings   []string        `json:"decoded_payload_warnings"`
		Normalized json.RawMessage `json:"normalized_payload"`
		Metadata   []struct {
			Gateway struct {
				ID string `json:"gateway_id"`
			} `json:"gateway_ids"`
			RSSI float64 `json:"rssi"`
			SNR  float64 `json:"snr"`
		} `json:"rx_metadata"`
		Settings struct {
			DataRate struct {
				LoRa *struct {
					Bandwidth       uint32 `json:"bandwidth"`
					SpreadingFactor uint8  `json:"spreading_factor"`
				} `json:"lora"`
				FSK *struct {
					BitRate uint32 `json:"bit_rate"`
				} `json:"fsk"`
			} `json:"data_rate"`
			Frequency radio.Frequency `json:"frequency,string"`
		} `json:"settings"`
		ReceivedAt *time.Time `json:"received_at"`
		Confirmed  bool       `json:"confirmed"`
		Airtime    string     `json:"consumed_airtime"`
		LossRate   float64    `json:"packet_error_rate"`
	} `json:"uplink_message"`
}

// UplinksLastHour returns how many uplinks were published in the hour before now.
func (l *Log) UplinksLastHour(now radio.HostTime) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hour.Count(now)
}

// Read reads an "up" that this program has published; nil: it cannot be read.
func (m *Message) Read(now radio.HostTime) *Uplink { return uplinkOf(m.Payload, age(now, m.At)) }

// uplinkOf reads an "up", which this program has written itself.
func uplinkOf(payload []byte, seconds float64) *Uplink {
	var m message
	if json.Unmarshal(payload, &m) != nil {
		return nil
	}
	u := &Uplink{
		Age: seconds, ReceivedAt: m.Up.ReceivedAt, FCnt: m.Up.FCnt, FPort: m.Up.FPort, Confirmed: m.Up.Confirmed,
		FRMPayload: m.Up.FRMPayload, Text: readable(m.Up.FRMPayload), Decoded: m.Up.Decoded, Warnings: m.Up.Warnings,
		Normalized: m.Up.Normalized,
		Frequency:  m.Up.Settings.Frequency, Airtime: m.Up.Airtime, LossRate: m.Up.LossRate, Gateways: []Heard{},
	}
	for _, r := range m.Up.Metadata {
		u.Gateways = append(u.Gateways, Heard{r.Gateway.ID, r.RSSI, r.SNR})
	}
	order.By(u.Gateways, func(a, b Heard) int {
		return cmp.Or(cmp.Compare(b.RSSI, a.RSSI), cmp.Compare(b.SNR, a.SNR))
	})
	if len(u.Gateways) > 0 {
		u.RSSI, u.SNR = u.Gateways[0].RSSI, u.Gateways[0].SNR
	}
	switch rate := m.Up.Settings.DataRate; {
	case rate.LoRa != nil:
		u.DataRate = radio.LoRaDataRate(rate.LoRa.SpreadingFactor, rate.LoRa.Bandwidth).String()
	case rate.FSK != nil:
		u.DataRate = radio.FSKDataRate(rate.FSK.BitRate).String()
	}
	return u
}

// readable returns a payload that is a text of printable characters, else "".
func readable(payload []byte) string {
	if !utf8.Valid(payload) {
		return ""
	}
	for _, r := range string(payload) {
		if !unicode.IsPrint(r) {
			return ""
		}
	}
	return string(payload)
}

// Suffixes are the kinds of messages that are remembered, by the name of their member.
var Suffixes = map[string]string{
	"uplink_message": v3.Up, "uplink_normalized": v3.Normalized, "join_accept": v3.Join, "location_solved": v3.Solved,
	"downlink_queued": v3.DownQueued, "downlink_sent": v3.DownSent, "downlink_ack": v3.DownAck, "downlink_nack": v3.DownNack,
	"downlink_failed": v3.DownFailed, "downlink_queue_invalidated": v3.DownInvalidated, "service_data": v3.ServiceData,
}
