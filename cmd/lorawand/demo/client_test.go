package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/broker"
	"lorawand/bridge/v3"
)

var login = Login{User: "app1", Password: "secret"}

// A client that hears something all the time has to send pings all the same.
func TestWatchPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		heard, ended := 0, make(chan error, 1)
		go func() { ended <- login.watch(client, "#", nil, func(string, []byte) { heard++ }) }()
		pings := make(chan int)
		go func() {
			n := 0
			for r := bufio.NewReader(server); ; {
				first, _, err := readPacket(r)
				if err != nil {
					pings <- n
					return
				}
				if first == pingreq {
					n++
				}
			}
		}()
		message := appendPacket(nil, publish, append(appendText(nil, "t"), 'x'))
		const minutes = 10
		for range minutes * 60 / 4 {
			if _, err := server.Write(message); err != nil {
				t.Fatalf("%v; the client: %v", err, <-ended)
			}
			time.Sleep(4 * time.Second)
		}
		_ = client.Close()
		if n := <-pings; n < minutes*60/keepalive {
			t.Errorf("%d pings in %d minutes, with a keep-alive of %d s", n, minutes, keepalive)
		}
		if <-ended; heard != minutes*60/4 {
			t.Errorf("%d messages heard", heard)
		}
	})
}

// A packet of the broker is taken, or ends the watching with a reason.
func TestReceived(t *testing.T) {
	long := strings.Repeat("t", 300)
	for _, tt := range []struct {
		name string
		in   []byte
		want []string // what is called
		err  string
	}{
		{"granted", []byte{connack, 2, 0, 0, suback, 3, 0, 1, 0}, []string{"ready"}, ""},
		{"login refused", []byte{connack, 2, 0, 5}, nil, "code 5"},
		{"subscription refused", []byte{connack, 2, 0, 0, suback, 3, 0, 1, 0x80}, nil, "refused"},
		{"a message", appendPacket(nil, publish, append(appendText(nil, "a/b"), "{}"...)), []string{"a/b {}"}, ""},
		{"no payload", appendPacket(nil, publish, appendText(nil, "a")), []string{"a "}, ""},
		{"two bytes of length", appendPacket(nil, publish, append(appendText(nil, long), 'x')), []string{long + " x"}, ""},
		{"a ping's answer", []byte{0xd0, 0}, nil, ""},
		{"QoS that was not asked for", []byte{publish | qos1, 5, 0, 1, 'a', 0, 1}, nil, "not a packet"},
		{"a topic beyond the end", []byte{publish, 3, 0, 9, 'a'}, nil, "not a packet"},
		{"a short CONNACK", []byte{connack, 1, 0}, nil, "not a packet"},
		{"a short SUBACK", []byte{suback, 2, 0, 1}, nil, "refused"},
		{"far too long", []byte{publish, 0xff, 0xff, 0xff, 0x7f}, nil, "not a packet"},
		{"cut off", []byte{publish, 5, 0}, nil, "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			var err error
			for r := bufio.NewReader(bytes.NewReader(tt.in)); err == nil; {
				var first byte
				var body []byte
				if _, err = r.Peek(1); err != nil {
					err = nil
					break
				}
				if first, body, err = readPacket(r); err == nil {
					err = received(first, body, "#", func() { got = append(got, "ready") }, func(topic string, payload []byte) {
						got = append(got, fmt.Sprintf("%s %s", topic, payload))
					})
				}
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%.80q, want %.80q", got, tt.want)
			}
		})
	}
}

// Publish ends with what the broker answers, and when its context does.
func TestPublish(t *testing.T) {
	for name, tt := range map[string]struct {
		answer []byte
		err    string
	}{
		"acknowledged":  {[]byte{connack, 2, 0, 0, puback, 2, 0, 1}, ""},
		"refused":       {[]byte{connack, 2, 0, 4}, "code 4"},
		"never answers": {nil, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			sent := make(chan []byte, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = c.Write(tt.answer)
				var b bytes.Buffer
				_, _ = b.ReadFrom(c)
				sent <- b.Bytes()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err = Login{l.Addr().String(), "app1", "secret"}.Publish(ctx, "a/b", []byte("{}"))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("%v, want %q", err, tt.err)
			}
			if got := <-sent; tt.err == "" {
				r := bufio.NewReader(bytes.NewReader(got))
				var firsts []byte
				for {
					first, _, err := readPacket(r)
					if err != nil {
						break
					}
					firsts = append(firsts, first)
				}
				if !bytes.Equal(firsts, []byte{connect, publish | qos1, disconnect}) {
					t.Errorf("packets %x", firsts)
				}
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	var refused *net.OpError
	if err := (Login{Broker: "127.0.0.1:1"}).Watch(t.Context(), "#", nil, nil); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}

// The real broker takes what the client says.
func TestAtTheBroker(t *testing.T) {
	keys := access.NewRegistry("ttn")
	text, key, err := access.New(rand.Reader, "app1")
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(key); err != nil {
		t.Fatal(err)
	}
	pushed := make(chan broker.Push, 1)
	b, err := broker.New(broker.Options{
		Listen: []string{"127.0.0.1:0"}, Keys: keys, Logger: slog.New(slog.DiscardHandler),
		Push: func(_ context.Context, p broker.Push) error { pushed <- p; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = b.Run(ctx) })

	l := Login{b.Addrs()[0].String(), "app1@ttn", text}
	ready, got := make(chan struct{}), make(chan string, 1)
	watched, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- l.Watch(watched, "#", func() {
			close(ready)
		}, func(topic string, payload []byte) { got <- topic + " " + string(payload) })
	}()
	<-ready
	b.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("one")})
	if m := <-got; m != "v3/app1@ttn/devices/dev1/up one" {
		t.Errorf("heard %q", m)
	}
	if err := l.Publish(ctx, "v3/app1@ttn/devices/dev1/down/push", []byte("{}")); err != nil {
		t.Error(err)
	}
	if p := <-pushed; p.Device != "dev1" || p.Replace || string(p.Payload) != "{}" {
		t.Errorf("pushed %+v", p)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Watch: %v", err)
	}
	wrong := l
	wrong.Password = "wrong"
	if err := wrong.Watch(ctx, "#", nil, nil); err == nil || !strings.Contains(err.Error(), "code 5") {
		t.Errorf("wrong key: %v", err)
	}
	if err := l.Watch(ctx, "v3/app2/#", nil, nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("foreign filter: %v", err)
	}
}

// A message is one line with what people look for.
func TestBrief(t *testing.T) {
	for payload, want := range map[string]string{
		`{"uplink_message":{"f_port":15,"f_cnt":7,"frm_payload":"vu8=","rx_metadata":[{"rssi":-50.5,"snr":9.5}]}}`: "  f_cnt 7  f_port 15  BEEF  RSSI -50.5 SNR 9.5",
		`{"uplink_message":{"f_port":15,"frm_payload":"vu8="}}`:                                                    "  f_cnt 0  f_port 15  BEEF",
		`{"downlink_queued":{"f_port":15,"frm_payload":"vu8="}}`:                                                   "  f_cnt 0  f_port 15  BEEF",
		`{"downlink_sent":{"f_port":15,"f_cnt":3,"frm_payload":"vu8="}}`:                                           "  f_cnt 3  f_port 15  BEEF",
		`{"end_device_ids":{"dev_addr":"01ABCDEF"},"join_accept":{}}`:                                              "  DevAddr 01ABCDEF",
		`{"service_data":{}}`: "", `none`: "",
	} {
		if got := brief([]byte(payload)); got != want {
			t.Errorf("%s: %q, want %q", payload, got, want)
		}
	}
}
