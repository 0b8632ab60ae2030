//go:build !small && !mips && !mipsle && !arm

package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"

	"lorawand/bridge/upstream"
)

// farNATS is a nats-server that speaks MQTT 3.1.1, in the process of the test. It can be killed and started again with
// what it has kept.
type farNATS struct {
	*testing.T
	options server.Options
	now     *server.Server

	mu     sync.Mutex
	came   map[int]int // uplinks by their counter
	last   []int       // in their order
	status []string
	wrong  []string // uplinks without a counter
}

func newFarNATS(t *testing.T) *farNATS {
	t.Helper()
	f := &farNATS{T: t, came: map[int]int{}}
	f.options = server.Options{
		ServerName: "far", Host: "127.0.0.1", Port: portOf(t, freeTCP(t)), JetStream: true, StoreDir: t.TempDir(),
		NoSigs: true, NoLog: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		MQTT: server.MQTTOpts{Host: "127.0.0.1", Port: portOf(t, freeTCP(t))},
	}
	f.start()
	t.Cleanup(func() { f.kill() })
	return f
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	_, text, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *farNATS) address() string { return fmt.Sprintf("127.0.0.1:%d", f.options.MQTT.Port) }

func (f *farNATS) start() {
	f.Helper()
	o := f.options.Clone()
	s, err := server.NewServer(o)
	if err != nil {
		f.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		f.Fatal("nats-server does not serve")
	}
	f.now = s
}

func (f *farNATS) kill() {
	if f.now != nil {
		f.now.Shutdown()
		f.now.WaitForShutdown()
		f.now = nil
	}
}

// client logs a client in, which sees what comes while it is away too.
func (f *farNATS) client() paho.Client {
	f.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + f.address()).SetClientID("test").SetCleanSession(false)
	o.SetAutoReconnect(true).SetMaxReconnectInterval(time.Second).SetConnectRetry(true)
	c := paho.NewClient(o.SetConnectRetryInterval(time.Second).SetDefaultPublishHandler(f.message))
	if token := c.Connect(); !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		f.Fatal(token.Error())
	}
	f.Cleanup(func() { c.Disconnect(100) })
	if token := c.Subscribe("site1/#", 1, f.message); !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		f.Fatal(token.Error())
	}
	return c
}

func (f *farNATS) message(_ paho.Client, m paho.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.Topic() == farStatus {
		f.status = append(f.status, string(m.Payload()))
	}
	if m.Topic() != farUp || m.Duplicate() { // what it sends its own client once more is not of ours
		return
	}
	n := -1
	_, rest, _ := strings.Cut(string(m.Payload()), `"lorawand:frame:01ABCDEF:`)
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil { // the test may be over
		f.wrong = append(f.wrong, string(m.Payload()))
	}
	f.came[n]++
	f.last = append(f.last, n)
}

// counts returns how often each of the first uplinks has come.
func (f *farNATS) counts(n int) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]int, n)
	for i := range out {
		out[i] = f.came[i]
	}
	return out
}

func (f *farNATS) waitFor(r *running, n int) {
	f.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all := true
		for _, times := range f.counts(n) {
			all = all && times > 0
		}
		if all {
			return
		}
		if time.Now().After(end) {
			f.Fatalf("of %d uplinks came %v; %+v\n%s", n, f.counts(n), r.upstreamStatus(), r.logged())
		}
	}
}

// A nats-server is the far side: over a cut of the way and its own restart each uplink comes, once, and its clients'
// downlinks come back, once.
func TestUpstreamNATS(t *testing.T) {
	far := newFarNATS(t)
	c := far.client()
	s := newSite(t, "")
	h := newHop(t, far.address())
	s.add(fmt.Sprintf("[[upstream]]\nname = \"far\"\nurl = \"mqtt://127.0.0.1:%s\"\napplications = [\"app1\"]\n"+
		"prefix = \"site1/\"\n", h.port()))
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	r := s.start()
	r.waitUpstream("connected", func(s upstream.Status) bool { return s.Connected && s.Version == 4 })
	f := r.forwarder(testEUI)
	n := 0
	send := func(times int) {
		for range times {
			f.send(uint32(n), "x")
			n++
		}
	}
	push := func() {
		t.Helper()
		token := c.Publish("site1/v3/app1/devices/dev1/down/push", 1, false, `{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`)
		if !token.WaitTimeout(30*time.Second) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	empty := func(s upstream.Status) bool { return s.Journal.Messages == 0 && s.Waiting == 0 }
	send(5)
	far.waitFor(r, n)
	push()
	r.waitUpstream("push", func(s upstream.Status) bool { return s.Downlinks == 1 })
	r.waitUpstream("empty", empty) // what has come is acknowledged too

	h.cut(true)
	r.waitUpstream("off", func(s upstream.Status) bool { return !s.Connected })
	push() // while we are away
	send(10)
	r.waitUpstream("journal", func(s upstream.Status) bool { return s.Journal.Messages == 10 })
	h.cut(false)
	far.waitFor(r, n)
	r.waitUpstream("push from the time away", func(s upstream.Status) bool { return s.Downlinks == 2 })
	r.waitUpstream("empty", empty)

	far.kill()
	r.waitUpstream("off again", func(s upstream.Status) bool { return !s.Connected })
	send(10)
	far.start()
	far.waitFor(r, n)
	send(5)
	far.waitFor(r, n)
	r.waitUpstream("empty", empty)
	r.checkBeyond(s, far.counts(n), 0, nil)
	if st := r.upstreamStatus(); st.Downlinks != 2 || st.Live+st.Backfilled < uint64(n) {
		t.Errorf("%+v", st)
	}
	far.checkOrder()
}

// checkOrder checks that what came after the cut came in its order, and that the status of the site came with it.
func (f *farNATS) checkOrder() {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 5; i < 15; i++ {
		if f.last[i] != i {
			f.Errorf("they come as %v", f.last)
			break
		}
	}
	if len(f.wrong) > 0 {
		f.Errorf("uplinks without a counter: %q", f.wrong)
	}
	if len(f.status) < 3 || !strings.Contains(f.status[0], "online") || !strings.Contains(f.status[1], "offline") {
		f.Errorf("birth and last will: %q", f.status)
	}
}
