package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
	if s := flow.Subscribe("v3/+/devices/+/down/queued", 1, nil); !s.WaitTimeout(20*time.Second) || s.Error() != nil {
		t.Fatal(s.Error())
	}
	flow.Disconnect(100)
	for i := range 3 {
		push := fmt.Sprintf(`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","correlation_ids":["mine:%d"]}]}`, i)
		if p := k.client.Publish("v3/app1/devices/dev00/down/push", 1, false, push); !p.WaitTimeout(20*time.Second) ||
			p.Error() != nil {
			t.Fatal(p.Error())
		}
	}
	// the session and its messages
	for end := time.Now().Add(time.Minute); k.keptRecords() != 4; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d records of the session and its messages", k.keptRecords())
		}
	}
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
		case <-time.After(20 * time.Second):
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
	c = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		k.mqtt).SetClientID("flow").SetUsername("app1").SetPassword(k.key).
		SetCleanSession(false).SetAutoReconnect(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		ch <- m
	}))
	token := c.Connect().(*paho.ConnectToken)
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		k.Fatalf("connect: %v", token.Error())
	}
	return c, token.SessionPresent(), ch
}

// keptRecords counts what the store has of sessions and their messages, as it would be
// found if the power went now.
func (k *killed) keptRecords() int {
	k.Helper()
	dir := k.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(k.dir, "store"))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{Ephemeral: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		k.Fatal(err)
	}
	defer s.Close()
	return len(s.Records(state.KindMQTTSession)) + len(s.Records(state.KindMQTTMessage))
}
