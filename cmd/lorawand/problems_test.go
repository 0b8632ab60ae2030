package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/admin/problems"
)

// codes returns what status --json says is wrong.
func (s *site) codes() (out []string) {
	s.Helper()
	var got struct {
		Problems []problems.Problem `json:"problems"`
	}
	if err := json.Unmarshal([]byte(s.must("", "status", "--json")), &got); err != nil {
		s.Fatal(err)
	}
	for _, p := range got.Problems {
		out = append(out, p.Code)
	}
	return out
}

// A daemon with real sockets, store and gateway says what is wrong.
func TestProblems(t *testing.T) {
	s := newSite(t, "")
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-eui", "70B3D57ED0000002", "--join-eui",
		"0000000000000000", "--app-key", strings.Repeat("3", 32), "--plan", "US_902_928_FSB_2")
	d := s.start()
	if got := s.codes(); !slices.Contains(got, "mqtt_loopback") || slices.Contains(got, "plan_unserved") {
		t.Errorf("without a gateway: %v", got)
	}
	out := s.must("", "status")
	if want := "note  MQTT cannot be reached from the LAN\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in\n%s", want, out)
	}
	d.forwarder(testEUI)
	s.until("No gateway listens to the plan US_902_928_FSB_2", "status")
	if got := s.codes(); !slices.Contains(got, "plan_unserved") {
		t.Errorf("with a gateway: %v", got)
	}
}
