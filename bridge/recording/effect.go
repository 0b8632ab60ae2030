package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"lorawand/bridge/core"
	"lorawand/bridge/foreign"
	"lorawand/radio"
)

// Effect is what a core has decided at an input.
type Effect struct {
	Input  int            `json:"input"` // its number in the recording, from 1
	Host   radio.HostTime `json:"host"`  // ns
	On     string         `json:"on"`    // what the input was
	Effect string         `json:"effect"`
	Detail any            `json:"detail"`
}

type (
	published struct {
		Topic   string          `json:"topic"` // application/device/kind
		Payload json.RawMessage `json:"payload"`
	}
	transmitted struct {
		ID         uint64                 `json:"id"`
		Gateway    radio.EUI64            `json:"gateway_eui"`
		Antenna    uint8                  `json:"antenna"`
		PHYPayload string                 `json:"phy_payload"`
		Frequency  radio.Frequency        `json:"frequency"`
		DataRate   string                 `json:"data_rate"`
		Power      radio.Decibel          `json:"power"` // hundredths of a dBm
		Immediate  bool                   `json:"immediate,omitempty"`
		Time       radio.ConcentratorTime `json:"time"` // µs
		GPS        radio.GPSTime          `json:"gps,omitempty"`
		Beacon     bool                   `json:"beacon,omitempty"`
	}
	committed struct {
		Ticket  uint64        `json:"ticket,omitempty"`
		Lag     bool          `json:"lag,omitempty"`
		Records []storedBytes `json:"records"`
	}
	// storedBytes tells a record apart without its keys.
	storedBytes struct {
		Kind   string `json:"kind"`
		Key    string `json:"key"`
		Size   int    `json:"size"`
		SHA256 string `json:"sha256,omitempty"` // its first half; "": the record is deleted
	}
	answered struct {
		Ticket         uint64     `json:"ticket"`
		Error          string     `json:"error,omitempty"`
		CorrelationIDs [][]string `json:"correlation_ids,omitempty"`
	}
	armed struct {
		At radio.HostTime `json:"at"` // ns
	}
	forwarded struct {
		Gateway    radio.EUI64 `json:"gateway_eui"`
		PHYPayload string      `json:"phy_payload"`
		Own        bool        `json:"own"`
	}
	failed struct {
		Error string `json:"error"`
	}
)

// describe returns the word for an effect, and what is told of it.
func describe(e core.Effect) (word string, detail any) {
	switch e := e.(type) {
	case core.Publish:
		m := &e.Message
		return "publish", published{m.Application + "/" + m.Device + "/" + m.Suffix, m.Payload}
	case core.Commit:
		c := committed{Ticket: e.Ticket, Lag: e.Lag}
		for _, r := range e.Records {
			s := storedBytes{Kind: r.Kind, Key: r.Key, Size: len(r.Data)}
			if r.Data != nil {
				sum := sha256.Sum256(r.Data)
				s.SHA256 = hex.EncodeToString(sum[:len(sum)/2])
			}
			c.Records = append(c.Records, s)
		}
		return "commit", c
	case core.Transmit:
		d := &e.Downlink
		return "transmit", transmitted{
			ID: d.ID, Gateway: d.Gateway, Antenna: d.Antenna, PHYPayload: hex.EncodeToString(d.PHYPayload),
			Frequency: d.Frequency, DataRate: d.DataRate.String(), Power: d.Power, Immediate: d.Immediate, Time: d.Time,
			GPS: d.GPS, Beacon: d.Beacon,
		}
	case core.Answer:
		a := answered{Ticket: e.Ticket, CorrelationIDs: e.CorrelationIDs}
		if e.Err != nil {
			a.Error = e.Err.Error()
		}
		return "answer", a
	case *core.Arm:
		return "arm", armed{e.At}
	case core.Report:
		return "report", e.Event
	case core.Forward:
		return "forward", forwarded{e.Uplink.Gateway, hex.EncodeToString(e.Uplink.PHYPayload), e.Own}
	case core.Replied:
		return "reply", foreign.Result(e)
	}
	return "unknown", nil
}

// Text returns an effect as one line.
func (e *Effect) Text() ([]byte, error) {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return nil, fmt.Errorf("recording: effect of input %d: %w", e.Input, err)
	}
	return fmt.Appendf(nil, "%d %d.%09d %s %s %s\n", e.Input, e.Host/1e9, e.Host%1e9, e.On, e.Effect, detail), nil
}
