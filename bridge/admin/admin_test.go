package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/admin/admintest"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// house is an Admin on a bridge that runs.
type house struct {
	*testing.T
	*admintest.House
	admin *Admin
	path  string // of the control socket
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, House: admintest.New(t), path: filepath.Join(t.TempDir(), "run", "control.sock")}
	var err error
	h.admin, err = New(Options{
		Bridge: h.Bridge, Store: h.Store, Keys: h.State.Keys, Applications: h.State.Applications,
		Codecs: h.State.Codecs, Resolver: h.Resolver, Build: Build{Version: "1"}, Logger: h.Logger,
		Links: func() map[radio.EUI64]Link {
			return map[radio.EUI64]Link{admintest.GatewayEUI: {Pulled: 1, Version: 2}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) listen() (stop func()) {
	h.Helper()
	s, err := Listen(h.admin, h.path)
	if err != nil {
		h.Fatal(err)
	}
	s.patience, s.most = 3*time.Second, 1<<20
	return admintest.Run(h.T, s.Run)
}

// call returns the parts of an answer.
func (h *house) call(op string, args any) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []string
	err := Client{h.path}.Call(ctx, op, args, func(raw json.RawMessage) error {
		out = append(out, string(raw))
		return nil
	})
	return out, err
}

// raw writes text to the socket and returns what comes back.
func (h *house) raw(text string) string {
	h.Helper()
	c, err := net.Dial("unix", h.path)
	if err != nil {
		h.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	_, _ = io.WriteString(c, text)
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestDoors(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.GatewayEvent(radio.GatewayEvent{
		Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1,
		Address: "127.0.0.1:1",
	})
	var gw []string
	for end := time.Now().Add(3 * time.Second); len(gw) == 0 || !strings.Contains(gw[0], `"connected":true`); {
		if time.Now().After(end) {
			t.Fatalf("gateways %v", gw)
		}
		var err error
		if gw, err = h.call("gateway.list", nil); err != nil || len(gw) != 1 {
			t.Fatalf("%v, %v", gw, err)
		}
	}
	var g Gateway
	if err := json.Unmarshal([]byte(gw[0]), &g); err != nil {
		t.Fatal(err)
	}
	if g.ID != "gw1" || g.EUI != admintest.GatewayEUI || g.Plan != "EU_863_870_TTN" || g.Address != "127.0.0.1:1" ||
		g.LastPull == nil || g.LastUplink != nil || g.LastTxAck != nil || g.Confirmed || g.Lead != 0.8 {
		t.Errorf("%+v", g)
	}
	status, err := h.call("status", struct{}{})
	if err != nil || len(status) != 1 {
		t.Fatalf("%v, %v", status, err)
	}
	var s Status
	if err := json.Unmarshal([]byte(status[0]), &s); err != nil || s.Version != "1" || s.Gateways != 1 ||
		s.GatewaysConnected != 1 || s.PID != os.Getpid() {
		t.Errorf("%+v, %v", s, err)
	}
	// The same without a socket.
	var direct []string
	err = h.admin.Call(t.Context(), "events", EventsArgs{Text: true}, func(raw json.RawMessage) error {
		direct = append(direct, string(raw))
		return nil
	})
	over, err2 := h.call("events", EventsArgs{Text: true})
	if err != nil || err2 != nil || len(direct) != 1 || !strings.Contains(direct[0], "gateway connected") ||
		fmt.Sprint(direct) != fmt.Sprint(over) {
		t.Errorf("%v, %v; %v, %v", direct, err, over, err2)
	}
	if _, err := h.call("why", WhyArgs{CorrelationID: "as:downlink:X"}); err == nil ||
		!strings.Contains(err.Error(), ErrNotRemembered.Error()) {
		t.Errorf("why: %v", err)
	}
}

func TestEventsMatch(t *testing.T) {
	h := newHouse(t)
	h.listen()
	stranger := radio.EUI64{9, 8, 7, 6, 5, 4, 3, 2}
	join := append([]byte{0}, make([]byte, 22)...)
	for i := range 8 {
		join[9+i] = stranger[7-i]
	}
	h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	h.Uplink(radio.Uplink{
		Gateway: admintest.GatewayEUI, PHYPayload: join, Frequency: 868_100_000,
		DataRate: radio.LoRaDataRate(7, 125_000), Receptions: []radio.Reception{{}},
	})
	h.Uplink(radio.Uplink{Gateway: radio.EUI64{2}, PHYPayload: []byte{1}, Receptions: []radio.Reception{{}}})
	for end := time.Now().Add(30 * time.Second); len(h.Events().Recent(nil)) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no events")
		}
	}
	for _, tt := range []struct {
		args EventsArgs
		want int
		with string
	}{
		{EventsArgs{}, 3, "unknown_dev_eui"},
		{EventsArgs{Device: "0908070605040302"}, 1, "0908070605040302"},
		{EventsArgs{Device: "0908070605040303"}, 0, ""},
		{EventsArgs{Device: "dev1"}, 0, ""},
		{EventsArgs{Gateway: "gw1"}, 2, "gateway_connected"},
		{EventsArgs{Gateway: "eui-0200000000000000"}, 1, "malformed"},
		{EventsArgs{Gateway: "gw1", Device: "0908070605040302"}, 1, "join_refused"},
	} {
		got, err := h.call("events", tt.args)
		if err != nil || len(got) != tt.want || !strings.Contains(strings.Join(got, "\n"), tt.with) {
			t.Errorf("%+v: %v, %v", tt.args, got, err)
		}
	}
}

// A follower gets the remembered events and the new ones, and frees his place when he goes.
func TestFollow(t *testing.T) {
	h := newHouse(t)
	h.listen()
	connect := func(n byte) {
		h.GatewayEvent(radio.GatewayEvent{Gateway: radio.EUI64{n}, Kind: radio.GatewayConnected, At: 1})
	}
	connect(1)
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 1000)
	done := make(chan error, 1)
	go func() {
		done <- Client{h.path}.Call(ctx, "events", EventsArgs{Follow: true, Text: true}, func(raw json.RawMessage) error {
			lines <- string(raw)
			return nil
		})
	}()
	for n := byte(1); n <= 3; n++ {
		if n > 1 {
			connect(n)
		}
		select {
		case l := <-lines:
			if !strings.Contains(l, fmt.Sprintf("eui-%02d", n)) {
				t.Errorf("event %d: %s", n, l)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("event %d does not come", n)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the end: %v", err)
	}
	// Those who have gone leave their places.
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		err := Client{h.path}.Call(ctx, "events", EventsArgs{Follow: true}, func(json.RawMessage) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("following: %v", err)
		}
	}
}

// A follower that does not read holds up neither the core nor the end.
func TestFollowerDoesNotRead(t *testing.T) {
	h := newHouse(t)
	stopServer := h.listen()
	stuck, err := net.Dial("unix", h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprintln(stuck, `{"version":1,"op":"events","args":{"follow":true}}`)
	begin := time.Now()
	for i := range 20_000 {
		h.GatewayEvent(radio.GatewayEvent{Gateway: radio.EUI64{1}, Kind: radio.GatewayCounterReset, At: radio.HostTime(i)})
	}
	if _, err := h.call("status", nil); err != nil {
		t.Errorf("beside a stuck client: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("a stuck client holds the core up for %v", d)
	}
	stopServer() // the end does not wait for it either
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("a stuck client holds the end up for %v", d)
	}
}

func TestRequests(t *testing.T) {
	h := newHouse(t)
	h.listen()
	for name, tt := range map[string]struct{ text, want string }{
		"good":           {`{"version":1,"op":"status"}` + "\n", `{"end":true}`},
		"not JSON":       {"status\n", "not a request"},
		"empty":          {"\n", "not a request"},
		"two":            {`{"version":1,"op":"status"}{}` + "\n", "more than one"},
		"no version":     {`{"op":"status"}` + "\n", "version 0"},
		"newer version":  {`{"version":2,"op":"status"}` + "\n", "speaks version 2 of the control protocol, the daemon 1"},
		"unknown member": {`{"version":1,"op":"status","user":"x"}` + "\n", "unknown field"},
		"unknown op":     {`{"version":1,"op":"reboot"}` + "\n", `no such operation: \"reboot\"`},
		"no op":          {`{"version":1}` + "\n", "no such operation"},
		"arguments":      {`{"version":1,"op":"why","args":{"id":1}}` + "\n", "arguments: "},
		"kind":           {`{"version":1,"op":"why","args":{"correlation_id":1}}` + "\n", "arguments: "},
		"long":           {`{"version":1,"op":"why","args":{"correlation_id":"` + strings.Repeat("x", 200_000) + `"}}` + "\n", "no event about it is remembered"},
		"too long":       {`{"version":1,"op":"why","args":{"correlation_id":"` + strings.Repeat("x", 2<<20) + `"}}` + "\n", "more than 1024 KiB"},
	} {
		if got := h.raw(tt.text); !strings.Contains(got, tt.want) || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: %.300s\nwant %s", name, got, tt.want)
		}
	}
	_, err := h.call("why", WhyArgs{CorrelationID: strings.Repeat("x", 2<<20)})
	if err == nil || !strings.Contains(err.Error(), "more than 1024 KiB") {
		t.Errorf("the client is told %v", err)
	}
}

// Connections are bounded, and so is the time to send a request.
func TestLimits(t *testing.T) {
	h := newHouse(t)
	h.listen()
	var conns []net.Conn
	for range maxConns {
		c, err := net.Dial("unix", h.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	_, err := h.call("status", nil)
	for end := time.Now().Add(3 * time.Second); err == nil && time.Now().Before(end); { // until all are taken
		_, err = h.call("status", nil)
	}
	if err == nil || !strings.Contains(err.Error(), "commands are at work already") {
		t.Errorf("one connection too many: %v", err)
	}
	begin := time.Now()
	_ = conns[0].SetReadDeadline(begin.Add(5 * time.Second))
	line, err := bufio.NewReader(conns[0]).ReadString('\n')
	if d := time.Since(begin); err != nil || !strings.Contains(line, "no request came") || d > 4*time.Second {
		t.Errorf("a silent client: %q, %v after %v", line, err, d)
	}
}

func TestSocketFile(t *testing.T) {
	h := newHouse(t)
	if _, err := h.call("status", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
	stop := h.listen()
	info, err := os.Lstat(h.path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Listen(h.admin, h.path); !errors.Is(err, ErrSocket) ||
		!strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("a second one: %v", err)
	}
	stop()
	if _, err := os.Lstat(h.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	// One that was left by a daemon that is gone.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := h.call("status", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a stale socket: %v", err)
	}
	stop = h.listen()
	if _, err := h.call("status", nil); err != nil {
		t.Errorf("after a stale socket: %v", err)
	}
	stop()
	if err := os.WriteFile(h.path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(h.admin, h.path); !errors.Is(err, ErrSocket) {
		t.Errorf("over a file: %v", err)
	}
	if b, _ := os.ReadFile(h.path); string(b) != "mine" {
		t.Errorf("the file is now %q", b)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an Admin of nothing")
	}
}

// A panic costs one connection.
func TestFault(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.admin.o.Links = func() map[radio.EUI64]Link { panic("oops") }
	if _, err := h.call("gateway.list", nil); err == nil ||
		!strings.Contains(err.Error(), "internal fault of the daemon") {
		t.Errorf("%v", err)
	}
	if _, err := h.call("status", nil); err != nil {
		t.Errorf("after a fault: %v", err)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"version":1,"op":"events","args":{"follow":true,"device":"dev1"}}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"op":"why","args":{"correlation_id":"x"}}{}`))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err == nil && r.Version != protocolVersion {
			t.Fatalf("%q gives %+v", b, r)
		}
		if op, ok := operations[r.Op]; ok && op.run == nil {
			t.Fatalf("%s does nothing", r.Op)
		}
	}))
}
