package main

import (
	"strings"
	"testing"
)

// The events show who has logged in, and from where.
func TestLoginEvents(t *testing.T) {
	s := newSite(t, "")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	r.watch("app1", key, "#")
	contains(t, "the events", s.until("has logged in", "events"), "MQTT client has logged in  application app1  client ",
		"  at 127.0.0.1\n")
	contains(t, "the events", s.must("", "events", "--json"), `"kind":"mqtt_client_has_logged_in","application_id":"app1"`)
}
