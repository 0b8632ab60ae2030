package main

import (
	"cmp"
	"log/slog"
	"time"

	"lorawand/bridge/broker"
	"lorawand/bridge/broker/sessions"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

// sessionKinds maps the broker's kinds of records to those of the store.
var sessionKinds = [...]string{sessions.KindSession: state.KindMQTTSession, sessions.KindMessage: state.KindMQTTMessage}

// sessionVersion is the version of these records.
const sessionVersion = 1

// keeping returns how MQTT sessions outlive a restart, or nil if they do not. Then
// it deletes the sessions kept before.
func keeping(c *config.Config, s stateStore, log *slog.Logger) *broker.Keeping {
	var stored []sessions.Record
	for kind, name := range sessionKinds {
		for _, r := range s.Records(name) {
			if r.Version != sessionVersion {
				r.Data = nil // the broker reports a record without data as unusable
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
		return &broker.Keeping{Every: cmp.Or(c.Store.CommitInterval.D(), time.Second), Stored: stored, Store: put}
	}
	for i := range stored {
		stored[i].Data = nil
	}
	if err := put(stored); err != nil {
		log.Error("MQTT sessions that were kept before cannot be deleted", "error", err)
	}
	return nil
}
