package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/cmd/lorawand/demo"
)

// BenchmarkLatency measures from the datagram of a packet forwarder to the
// message at an MQTT client, at 50 uplinks a second, and beside it in the same
// run the bare MQTT library: the same messages, number and rate, published
// inline and read by the same client.
func BenchmarkLatency(b *testing.B) {
	const rounds, every = 500, 20 * time.Millisecond
	for b.Loop() {
		daemon, control := measureLatency(b, rounds, every)
		d50, d99 := quantile(daemon, 50), quantile(daemon, 99)
		c50, c99 := quantile(control, 50), quantile(control, 99)
		b.ReportMetric(float64(d50.Microseconds()), "daemon-p50-us")
		b.ReportMetric(float64(d99.Microseconds()), "daemon-p99-us")
		b.ReportMetric(float64(c50.Microseconds()), "control-p50-us")
		b.ReportMetric(float64(c99.Microseconds()), "control-p99-us")
		b.ReportMetric(float64(d50)/float64(c50), "p50-ratio")
		b.ReportMetric(0, "ns/op")
	}
}

func quantile(d []time.Duration, percent int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*percent/100]
}

// stopwatch matches messages with the times at which they were sent.
type stopwatch struct {
	mu    sync.Mutex
	began []time.Time
	took  []time.Duration
	done  chan struct{}
	want  int
}

func newStopwatch(n int) *stopwatch { return &stopwatch{done: make(chan struct{}), want: n} }

func (s *stopwatch) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = append(s.began, time.Now())
}

// end is called for each message; they come in the order in which they went.
func (s *stopwatch) end(string, []byte) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, now.Sub(s.began[len(s.took)]))
	if len(s.took) == s.want {
		close(s.done)
	}
}

func measureLatency(b *testing.B, n int, every time.Duration) (daemon, control []time.Duration) {
	s := newSite(b, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	defer r.stop()
	f := r.forwarder(testEUI)
	bare, publish, stopBare := benchBare(b)
	defer stopBare()

	own, other := newStopwatch(n), newStopwatch(n)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	subscribe := func(addr string, end func(string, []byte)) {
		ready := make(chan struct{})
		wg.Go(func() {
			_ = demo.Login{Broker: addr, User: "app1", Password: key}.Watch(ctx, "v3/app1/devices/+/up", func() {
				close(ready)
			}, end)
		})
		<-ready
	}
	var message []byte // what the daemon publishes, for the control
	first := make(chan struct{})
	subscribe(r.d.mqttAddr().String(), func(topic string, payload []byte) {
		if message == nil {
			message = slices.Clone(payload)
			close(first)
			return
		}
		own.end(topic, payload)
	})
	subscribe(bare, other.end)
	text := strings.Repeat("x", 20)
	f.send(0, text)
	<-first
	for i := range n {
		own.begin()
		f.send(uint32(i+1), text)
		time.Sleep(every / 2)
		other.begin()
		publish(message)
		time.Sleep(every / 2)
	}
	for _, sw := range []*stopwatch{own, other} {
		select {
		case <-sw.done:
		case <-time.After(5 * time.Second):
			b.Fatalf("%d messages missing", n-len(sw.took))
		}
	}
	return own.took, other.took
}

// allowHook lets everybody do everything.
type allowHook struct{ mqtt.HookBase }

func (*allowHook) ID() string { return "allow" }
func (*allowHook) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (*allowHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*allowHook) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// benchBare is the MQTT library as it comes.
func benchBare(b *testing.B) (addr string, publish func([]byte), stop func()) {
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(allowHook), nil); err != nil {
		b.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := server.AddListener(l); err != nil {
		b.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		b.Fatal(err)
	}
	return l.Address(), func(p []byte) {
		_ = server.Publish("v3/app1/devices/dev1/up", p, false, 0)
	}, func() { _ = server.Close() }
}
