package v3

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// golden is a message that The Things Stack 3.32.1 has published.
type golden struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
}

// readGolden reads recorded messages.
func readGolden(t testing.TB, name string) []golden {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for line := range bytes.Lines(b) {
		var g golden
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, g)
	}
	return all
}

// suffix is the topic's, below the device.
func (g *golden) suffix() string { return strings.SplitN(g.Topic, "/", 5)[4] }

// goldenMessage is what the tests read out of one.
type goldenMessage struct {
	IDs struct {
		DeviceID       string `json:"device_id"`
		ApplicationIDs struct {
			ApplicationID string `json:"application_id"`
		} `json:"application_ids"`
		DevEUI  radio.EUI64    `json:"dev_eui"`
		JoinEUI *radio.EUI64   `json:"join_eui"`
		DevAddr *radio.DevAddr `json:"dev_addr"`
	} `json:"end_device_ids"`
	CorrelationIDs []string  `json:"correlation_ids"`
	ReceivedAt     time.Time `json:"received_at"`
	Join           struct {
		SessionKeyID []byte    `json:"session_key_id"`
		ReceivedAt   time.Time `json:"received_at"`
	} `json:"join_accept"`
	Queued goldenItem `json:"downlink_queued"`
	Sent   goldenItem `json:"downlink_sent"`
	Ack    goldenItem `json:"downlink_ack"`
	Nack   goldenItem `json:"downlink_nack"`
	Failed struct {
		Downlink goldenItem `json:"downlink"`
		Error    struct {
			Name          string         `json:"name"`
			Attributes    map[string]any `json:"attributes"`
			CorrelationID string         `json:"correlation_id"`
		} `json:"error"`
	} `json:"downlink_failed"`
	Uplink goldenUplink `json:"uplink_message"`
}

type goldenItem struct {
	SessionKeyID   []byte          `json:"session_key_id"`
	FPort          uint8           `json:"f_port"`
	FCnt           uint32          `json:"f_cnt"`
	FRMPayload     []byte          `json:"frm_payload"`
	Decoded        json.RawMessage `json:"decoded_payload"`
	Confirmed      bool            `json:"confirmed"`
	Priority       string          `json:"priority"`
	CorrelationIDs []string        `json:"correlation_ids"`
	Retry          struct {
		Attempt uint32 `json:"attempt"`
	} `json:"confirmed_retry"`
}

func (m *goldenMessage) deviceIDs() DeviceIDs {
	ids := DeviceIDs{
		ID:     session.ID{Application: m.IDs.ApplicationIDs.ApplicationID, Device: m.IDs.DeviceID},
		DevEUI: m.IDs.DevEUI,
	}
	if m.IDs.JoinEUI != nil {
		ids.JoinEUI, ids.HasJoinEUI = *m.IDs.JoinEUI, true
	}
	if m.IDs.DevAddr != nil {
		ids.DevAddr, ids.HasDevAddr = *m.IDs.DevAddr, true
	}
	return ids
}

func parseGolden(t testing.TB, g *golden) *goldenMessage {
	t.Helper()
	m := new(goldenMessage)
	if err := json.Unmarshal(g.Payload, m); err != nil {
		t.Fatalf("%s: %v", g.Topic, err)
	}
	return m
}

func compare(t *testing.T, g *golden, got []byte) {
	t.Helper()
	if !bytes.Equal(got, g.Payload) {
		t.Errorf("%s\ngot  %s\nwant %s", g.Topic, got, g.Payload)
	}
}

func TestJoinAsTheThingsStack(t *testing.T) {
	for _, g := range readGolden(t, "tts-join.jsonl") {
		m := parseGolden(t, &g)
		compare(t, &g, (&Encoder{}).AppendJoin(nil, &JoinAccept{
			DeviceIDs: m.deviceIDs(), CorrelationIDs: m.CorrelationIDs, ReceivedAt: m.ReceivedAt,
			SessionKeyID: m.Join.SessionKeyID, FrameReceivedAt: m.Join.ReceivedAt,
		}))
	}
}

// goldenDownlink makes a recorded message into a Downlink. What the message
// does not show is filled with something else, which must not be written.
func goldenDownlink(t testing.TB, kind string, m *goldenMessage) *Downlink {
	t.Helper()
	j := map[string]*goldenItem{
		DownQueued: &m.Queued, DownSent: &m.Sent, DownAck: &m.Ack, DownNack: &m.Nack, DownFailed: &m.Failed.Downlink,
	}[kind]
	priority := radio.PriorityLowest
	if j.Priority != "" {
		var ok bool
		if priority, ok = radio.ParsePriority(j.Priority); !ok {
			t.Fatalf("priority %s", j.Priority)
		}
	}
	d := &Downlink{
		DeviceIDs: m.deviceIDs(), CorrelationIDs: m.CorrelationIDs, ReceivedAt: m.ReceivedAt,
		Item: &session.Item{
			FPort: j.FPort, FRMPayload: j.FRMPayload, Decoded: j.Decoded, Confirmed: j.Confirmed,
			Priority: priority, CorrelationIDs: j.CorrelationIDs, Attempt: j.Retry.Attempt,
		},
		SessionKeyID: j.SessionKeyID, FCnt: j.FCnt, Priority: radio.PriorityLow,
	}
	if kind == DownFailed {
		d.Err = goldenError(t, m)
		d.Transmission = d.Err.Name == "transmission"
	}
	if kind == DownSent || d.Transmission {
		d.ItemCorrelationIDs, d.Item.CorrelationIDs = j.CorrelationIDs, []string{"others"}
		d.Priority, d.Item.Priority = priority, radio.PriorityLow
		d.Item.Attempt, d.Item.MaxAttempts, d.Item.ClassBC = 3, 5, new(session.ClassBC)
	}
	if kind == DownQueued {
		d.SessionKeyID, d.FCnt = []byte{1}, 7
	}
	return d
}

// goldenError makes the error anew from its attributes.
func goldenError(t testing.TB, m *goldenMessage) *Error {
	t.Helper()
	recorded := m.Failed.Error
	var e *Error
	switch recorded.Name {
	case "no_f_port":
		e = NoFPort()
	case "application_downlink_too_long":
		most, err := strconv.Atoi(recorded.Attributes["max"].(string))
		if err != nil {
			t.Fatal(err)
		}
		e = ApplicationDownlinkTooLong(int(recorded.Attributes["length"].(float64)), most)
	case "transmission":
		e = TransmissionFailed(radio.ParseTxResult(recorded.Attributes["result"].(string)))
	default:
		t.Fatalf("error %s", recorded.Name)
	}
	e.CorrelationID = recorded.CorrelationID
	return e
}

func TestDownlinksAsTheThingsStack(t *testing.T) {
	var kinds []string
	for _, g := range readGolden(t, "tts-down.jsonl") {
		d := goldenDownlink(t, g.suffix(), parseGolden(t, &g))
		compare(t, &g, (&Encoder{}).AppendDownlink(nil, g.suffix(), d))
		kinds = append(kinds, g.suffix())
	}
	slices.Sort(kinds)
	if kinds = slices.Compact(kinds); len(kinds) != 5 {
		t.Errorf("recorded are only %v", kinds)
	}
}

type goldenUplink struct {
	SessionKeyID []byte `json:"session_key_id"`
	FPort        uint8  `json:"f_port"`
	FCnt         uint32 `json:"f_cnt"`
	FRMPayload   []byte `json:"frm_payload"`
	RxMetadata   []struct {
		GatewayIDs struct {
			GatewayID string      `json:"gateway_id"`
			EUI       radio.EUI64 `json:"eui"`
		} `json:"gateway_ids"`
		RSSI            int64     `json:"rssi"`
		SNR             float64   `json:"snr"`
		FrequencyOffset int32     `json:"frequency_offset,string"`
		UplinkToken     string    `json:"uplink_token"`
		ChannelIndex    uint8     `json:"channel_index"`
		ReceivedAt      time.Time `json:"received_at"`
	} `json:"rx_metadata"`
	Settings struct {
		Frequency uint32    `json:"frequency,string"`
		Timestamp uint32    `json:"timestamp"`
		Time      time.Time `json:"time"`
	} `json:"settings"`
	ReceivedAt      time.Time `json:"received_at"`
	Confirmed       bool      `json:"confirmed"`
	ConsumedAirtime string    `json:"consumed_airtime"`
}

// All but the uplink token, which is opaque, is as recorded.
func TestConfirmedUplinkAsTheThingsStack(t *testing.T) {
	confirmed := 0
	for _, g := range readGolden(t, "tts-up.jsonl") {
		m := parseGolden(t, &g)
		j, rx := m.Uplink, m.Uplink.RxMetadata[0]
		airtime, err := time.ParseDuration(j.ConsumedAirtime)
		if err != nil {
			t.Fatal(err)
		}
		up := &radio.Uplink{
			Frequency: radio.Frequency(j.Settings.Frequency), DataRate: radio.LoRaDataRate(7, 125_000),
			CodingRate: radio.CodingRate45,
			Time:       radio.ConcentratorTime(j.Settings.Timestamp), GPS: radio.GPSTimeOf(j.Settings.Time),
			Receptions: []radio.Reception{{
				Channel: rx.ChannelIndex, RSSI: radio.Decibel(rx.RSSI * 100), SNR: radio.Decibel(rx.SNR * 100),
				FrequencyOffset: rx.FrequencyOffset,
			}},
		}
		got := (&Encoder{}).AppendUplink(nil, &Uplink{
			DeviceIDs: m.deviceIDs(), CorrelationIDs: m.CorrelationIDs, ReceivedAt: m.ReceivedAt,
			SessionKeyID: j.SessionKeyID, FPort: j.FPort, FCnt: j.FCnt, FRMPayload: j.FRMPayload,
			Receptions: []Reception{{
				Gateway: &gateway.Gateway{ID: rx.GatewayIDs.GatewayID, EUI: rx.GatewayIDs.EUI},
				Uplink:  up, Antenna: &up.Receptions[0], ReceivedAt: rx.ReceivedAt, ShowTime: true,
			}},
			Settings:        Settings{Uplink: up, ShowTime: true},
			FrameReceivedAt: j.ReceivedAt, Confirmed: j.Confirmed, ConsumedAirtime: airtime,
		})
		token := string(up.Receptions[0].Token.AppendText(nil))
		compare(t, &g, bytes.Replace(got, []byte(token), []byte(rx.UplinkToken), 1))
		if j.Confirmed {
			confirmed++
		}
	}
	if confirmed == 0 {
		t.Error("no confirmed uplink is recorded")
	}
}
