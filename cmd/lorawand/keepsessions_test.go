package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// With keep_sessions an application gets what came while it was away though the
// daemon was killed meanwhile; without, it hears that its session is gone, and
// nothing of it is left.
func TestSessionsOutliveKill(t *testing.T) {
	k := newKilled(t)
	conf, err := os.ReadFile(k.conf)
	if err != nil {
		t.Fatal(err)
	}
	k.write("lorawand.toml", strings.Replace(string(conf), "[mqtt]", "[mqtt]\nkeep_sessions = true", 1))
	k.start()
	flow, _, _ := k.flow()
	if s := flow.Subscribe("v3/+/devices/+/down/queued", 1, nil); !s.WaitTimeout(5*time.Second) || s.Error() != nil {
		t.Fatal(s.Error())
	}
	flow.Disconnect(100)
	for i := range 3 {
		push := fmt.Sprintf(`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","correlation_ids":["mine:%d"]}]}`, i)
		if p := k.client.Publish("v3/app1/devices/dev00/down/push", 1, false, push); !p.WaitTimeout(5*time.Second) || p.Error() != nil {
			t.Fatal(p.Error())
		}
	}
	time.Sleep(2 * time.Second) // four commit intervals
	k.kill()
	k.start()
	flow, present, got := k.flow()
	if !present {
		t.Fatal("the session is gone")
	}
	for i := range 3 {
		select {
		case m := <-got:
			if want := fmt.Sprintf("mine:%d", i); !strings.Contains(string(m.Payload()), want) {
				t.Errorf("got %s, want %s", m.Payload(), want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("message %d does not come", i)
		}
	}
	flow.Disconnect(100)
	k.kill()
	if n := k.keptRecords(); n == 0 {
		t.Error("no records of sessions in the store")
	}
	k.write("lorawand.toml", string(conf))
	k.start()
	flow, present, _ = k.flow()
	if present {
		t.Error("without keep_sessions the session is there")
	}
	flow.Disconnect(100)
	k.kill()
	if n := k.keptRecords(); n != 0 {
		t.Errorf("%d records of sessions are left", n)
	}
}

// flow connects a client with a persistent session.
func (k *killed) flow() (c paho.Client, present bool, got <-chan paho.Message) {
	k.Helper()
	ch := make(chan paho.Message, 100)
	c = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + k.mqtt).SetClientID("flow").SetUsername("app1").SetPassword(k.key).
		SetCleanSession(false).SetAutoReconnect(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { ch <- m }))
	token := c.Connect().(*paho.ConnectToken)
	if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		k.Fatalf("connect: %v", token.Error())
	}
	return c, token.SessionPresent(), ch
}

// keptRecords counts what the store has of sessions and their messages.
func (k *killed) keptRecords() int {
	k.Helper()
	s, err := store.Open(filepath.Join(k.dir, "store"), store.Options{})
	if err != nil {
		k.Fatal(err)
	}
	defer s.Close()
	return len(s.Records(state.KindMQTTSession)) + len(s.Records(state.KindMQTTMessage))
}
