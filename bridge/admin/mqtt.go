package admin

import (
	"context"
	"time"

	"lorawand/radio"
)

// MQTTClient is what "mqtt.list" tells of an MQTT client that is connected, or whose
// session is kept.
type MQTTClient struct {
	ID          string  `json:"client_id"`
	Application string  `json:"application_id"`
	KeyID       string  `json:"key_id"`
	KeyName     string  `json:"key_name,omitempty"`
	Connected   bool    `json:"connected"`
	Since       float64 `json:"since_s"` // connected or away; an age, so that it needs no calendar
	Address     string  `json:"address,omitempty"`
	Over        string  `json:"over,omitempty"` // tcp, tls or websocket
	Version     string  `json:"mqtt_version,omitempty"`
	Queue       int     `json:"queue"`   // messages that wait for it or are on their way to it
	Dropped     uint64  `json:"dropped"` // messages that its session has lost
}

// versions are the names of MQTT's protocol levels.
var versions = map[byte]string{3: "3.1", 4: "3.1.1", 5: "5"}

// mqttClients answers with every MQTTClient, sorted by application and id.
func (a *Admin) mqttClients(_ context.Context, args ListArgs, r reply) error {
	if a.o.Broker == nil {
		return nil
	}
	for _, c := range a.o.Broker.Clients(args.Application) {
		k, _ := a.o.Keys.Key(c.Login.KeyID)
		err := r(MQTTClient{
			ID: c.ID, Application: c.Login.Application, KeyID: c.Login.KeyID, KeyName: k.Name, Connected: c.Connected,
			Since: radio.Seconds(c.Since.Round(time.Millisecond)), Address: c.Address, Over: c.Over,
			Version: versions[c.Version], Queue: c.Queue, Dropped: c.Dropped,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
