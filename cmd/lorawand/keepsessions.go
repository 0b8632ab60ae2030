package main

import (
	"cmp"
	"time"

	"lorawand/bridge/broker"
	"lorawand/bridge/broker/sessions"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

// sessionKinds are the kinds of the store's records, by those of the broker.
var sessionKinds = [...]string{sessions.KindSession: state.KindMQTTSession, sessions.KindMessage: state.KindMQTTMessage}

// sessionVersion is the version of these records.
const sessionVersion = 1

// keeping returns how MQTT sessions outlive a restart, or nil if they do not. Then
// what was kept before is deleted.
func keeping(c *config.Config, s *store.Store) (*broker.Keeping, error) {
	var stored []sessions.Record
	for kind, name := range sessionKinds {
		for _, r := range s.Records(name) {
			if r.Version != sessionVersion {
				r.Data = nil // which is reported as unusable
			}
			stored = append(stored, sessions.Record{Kind: sessions.Kind(kind), Key: r.Key, Data: r.Data})
		}
	}
	put := func(records []sessions.Record) error {
		out := make([]store.Record, len(records))
		for i, r := range records {
			out[i] = store.Record{Kind: sessionKinds[r.Kind], Key: r.Key, Version: sessionVersion, Data: r.Data}
		}
		return s.Commit(out...)
	}
	if c.MQTT.KeepSessions {
		return &broker.Keeping{Every: cmp.Or(c.Store.CommitInterval.D(), time.Second), Stored: stored, Store: put}, nil
	}
	for i := range stored {
		stored[i].Data = nil
	}
	if len(stored) > 0 {
		return nil, put(stored)
	}
	return nil, nil
}
