package recording

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"lorawand/bridge/core"
	"lorawand/radio"
)

// Effect is what a core has decided at an input.
type Effect struct {
	Input  int            `json:"input"`  // its number in the recording, from 1
	Host   radio.HostTime `json:"host"`   // ns
	On     string         `json:"on"`     // the type of the input
	Effect string         `json:"effect"` // its type, or Fault
	Detail any            `json:"detail"`
}

type (
	published struct {
		Topic   string // application/device/kind
		Payload json.RawMessage
	}
	committed struct {
		Ticket  uint64
		Lag     bool
		Records []string
	}
	answered struct {
		Ticket         uint64
		Err            string
		CorrelationIDs [][]string
	}
)

// detailOf returns what is told of an effect.
func detailOf(e core.Effect) any {
	switch e := e.(type) {
	case core.Publish:
		m := &e.Message
		return &published{m.Application + "/" + m.Device + "/" + m.Suffix, m.Payload}
	case core.Commit:
		c := &committed{Ticket: e.Ticket, Lag: e.Lag}
		for _, r := range e.Records { // there are keys in them
			sum := sha256.Sum256(r.Data)
			c.Records = append(c.Records, fmt.Sprintf("%s %s %d %x", r.Kind, r.Key, len(r.Data), sum[:16]))
		}
		return c
	case core.Answer:
		a := &answered{Ticket: e.Ticket, CorrelationIDs: e.CorrelationIDs}
		if e.Err != nil {
			a.Err = e.Err.Error()
		}
		return a
	case core.Report:
		return e.Event
	}
	return e
}

// Text returns an effect as one line.
func (e *Effect) Text() ([]byte, error) {
	detail, err := json.Marshal(e.Detail)
	return fmt.Appendf(nil, "%d %d.%09d %s %s %s\n", e.Input, e.Host/1e9, e.Host%1e9, e.On, e.Effect, detail), err
}
