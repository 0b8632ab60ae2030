package main

import (
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Texts from outside (names, topics of any client with an API key) do nothing to the
// owner's terminal, and are one line.
func TestTerminal(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	const bad = "a\tb\n\x1b[2Jc\u202e"
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-addr", testAddr.String(), "--nwk-s-key",
		testNwk, "--app-s-key", testApp, "--name", bad)
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--name", bad))
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		r.d.mqttAddr().String()).SetClientID("app").SetUsername("app1").SetPassword(key).
		SetAutoReconnect(false))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	body := `{"downlinks":[{"f_port":1,"frm_payload":"AQ==","correlation_ids":["as:downlink:\u001b[2J"]}]}`
	for _, device := range []string{"dev1", "x\x1b[2J"} {
		if token := c.Publish("v3/app1/devices/"+device+"/down/push", 1, false, body); !token.WaitTimeout(patience) ||
			token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	s.until("downlink failed", "events")
	for _, args := range []string{
		"device list", "device get dev1 --application app1", "api-key list", "events",
		"downlink list app1 dev1", "why as:downlink:\x1b[2J",
	} {
		words := strings.Split(args, " ")
		out := s.must("", words...)
		if !strings.Contains(out, "\ufffd[2J") && !strings.HasPrefix(args, "why") {
			t.Errorf("%q: the text from outside is not in\n%q", args, out)
		}
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%q prints\n%q", args, out)
		}
	}
	if list := s.must("", "device", "list"); strings.Count(list, "\n") != 2 ||
		!strings.Contains(list, "a\ufffdb\ufffd\ufffd[2Jc\ufffd\n") {
		t.Errorf("%q", list)
	}
	if _, _, errOut := s.cli("", "device", "import", "x\x1b[2J", "--application", "app1"); strings.Contains(errOut,
		"\x1b") {
		t.Errorf("an error prints %q", errOut)
	}
}
