//go:build !small

package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/radio"
)

// A device that both gateways hear gives one message with both, and the one that hears it better
// answers. While the way to the extender is cut the other one answers; then both are there again.
func TestExtender(t *testing.T) {
	x := newExtended(t)
	both := []string{extenderEUI.String(), centralEUI.String()}
	for range 2 { // until its first TX_ACK a gateway may have no queue
		heard, by := x.exchange()
		if slices.Sort(heard); !slices.Equal(heard, both) || by != extenderEUI {
			t.Errorf("heard by %v, answered by %v; want %v and %v", heard, by, both, extenderEUI)
		}
	}
	x.mu.Lock()
	x.betterAtEnd = false
	x.mu.Unlock()
	if heard, by := x.exchange(); len(heard) != 2 || by != centralEUI {
		t.Errorf("heard by %v, answered by %v; want the central", heard, by)
	}
	x.mu.Lock()
	x.betterAtEnd = true
	x.mu.Unlock()
	x.send()
	x.up()
	x.wire.cut(true) // after the frame, before its window
	if h := x.answer(); h == nil || h.Gateway != centralEUI {
		t.Errorf("behind the cut the device hears %+v, want the other gateway", h)
	}
	if heard, by := x.exchange(); len(heard) != 1 || by != centralEUI {
		t.Errorf("during the cut: heard by %v, answered by %v", heard, by)
	}
	x.eventually("the extender tells of it", func() bool {
		return strings.Contains(x.extender.must("", "status"), "The central "+x.wire.l.Addr().String()+" does not answer")
	})
	if status, out, _ := x.extender.cli("", "doctor"); status != 1 || !strings.Contains(out, "central_lost") {
		t.Errorf("doctor on the extender, status %d:\n%s", status, out)
	}
	x.eventually("the central tells of it", func() bool {
		return !x.connected(extenderEUI) && strings.Contains(x.central.must("", "status"), "is off line")
	})
	x.wire.cut(false)
	x.eventually("the extender is back", func() bool { return x.connected(extenderEUI) })
	if heard, by := x.exchange(); len(heard) != 2 || by != extenderEUI {
		t.Errorf("behind the cut: heard by %v, answered by %v", heard, by)
	}
	x.check()
	x.checkExtender()
}

// checkExtender checks that the extender keeps nothing, and says so.
func (x *extendedPair) checkExtender() {
	x.Helper()
	if _, err := filepath.Glob(filepath.Join(x.extender.dir, "store", "*")); err != nil {
		x.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(x.extender.dir, "store", "*")); len(files) > 0 {
		x.Errorf("the extender has a store: %v", files)
	}
	status, _, errOut := x.extender.cli("", "device", "list")
	if status == 0 || !strings.Contains(errOut, "this host is an extender") {
		x.Errorf("device list on the extender: %d, %s", status, errOut)
	}
	if out := x.extender.must("", "status"); !strings.Contains(out, "extender:") || strings.Contains(out, "in memory") {
		x.Errorf("status on the extender:\n%s", out)
	}
	if addrs := x.e.d.broker.Addrs(); len(addrs) > 0 {
		x.Errorf("the extender serves MQTT on %v", addrs)
	}
	out := x.central.must("", "gateway", "list", "--wide")
	for _, eui := range []radio.EUI64{centralEUI, extenderEUI} {
		if !strings.Contains(out, strings.ToLower(eui.String())) {
			x.Errorf("the central lists\n%s", out)
		}
	}
	if strings.Contains(x.central.must("", "application", "list"), "eui-") {
		x.Error("the gateway is an application")
	}
}

// A way that holds everything back for a while, without an end of the connection: what the central
// sends then is late, is refused, and nothing is sent twice.
func TestExtenderHeld(t *testing.T) {
	x := newExtended(t)
	x.exchange()
	x.exchange()
	x.send()
	x.up()
	x.wire.hold(true)
	if h := x.answer(); h != nil {
		t.Errorf("a way that holds everything back has an answer by %v", h.Gateway)
	}
	x.wire.hold(false)
	x.eventually("the late one is refused", func() bool {
		return len(x.e.d.bridge.Events().Recent(func(e *event.Event) bool {
			return e.Kind == event.ForeignRefused && e.Word == radio.TxTooLate.String()
		})) == 1
	})
	x.wire.mu.Lock()
	x.wire.slow = 100 * time.Millisecond // each way
	x.wire.mu.Unlock()
	for range 3 {
		if heard, by := x.exchange(); len(heard) != 2 || by != extenderEUI {
			t.Errorf("on a slow way: heard by %v, answered by %v", heard, by)
		}
	}
	if n := x.wire.connections(); n != 2 {
		t.Errorf("%d connections, want that of extend and one", n)
	}
	x.check()
}

// A way that ends again and again: each frame is one message, each is answered by a gateway that is
// there, and nothing is sent twice.
func TestExtenderFlapping(t *testing.T) {
	x := newExtended(t)
	x.exchange()
	x.exchange()
	ctx, end := context.WithCancel(context.Background())
	var flapping sync.WaitGroup
	flapping.Go(func() {
		for i := 0; sleep(ctx, time.Duration(300+i%7*250)*time.Millisecond); i++ {
			x.wire.cut(false)
		}
	})
	settle := func() { end(); flapping.Wait() }
	defer settle()
	answered := 0
	for range 8 {
		if _, by := x.exchange(); by != (radio.EUI64{}) {
			answered++
		}
	}
	settle()
	x.eventually("it settles", func() bool { return x.connected(extenderEUI) })
	if n := x.wire.connections(); n < 6 || answered < 5 {
		t.Errorf("%d connections, and %d of 8 frames answered", n, answered)
	}
	x.check()
}

// Who does not come in: the extender is told so before it writes its configuration, and the owner of
// the central is told why.
func TestExtenderRefused(t *testing.T) {
	x := newExtended(t)
	good := x.pairLine()
	fresh := newSite(t, "")
	with := func(name, value string) []string {
		words := slices.Clone(good)
		words[slices.Index(words, name)+1] = value
		return words
	}
	key := good[slices.Index(good, "--key")+1]
	wrong := key[:len(key)-4] + "AAAA"
	before := fresh.read("lorawand.toml")
	for _, tt := range []struct {
		name  string
		words []string
		told  string // to the extender
		event string // on the central
	}{
		{"wrong key", with("--key", wrong), "does not let this gateway in: wrong", "wrong_key"},
		{"no key at all", with("--key", "secret"), "does not let this gateway in: wrong", "no_api_key"},
		{"expired key", x.pairLine("--expires", "2020-01-01"), "its key has expired", "has expired"},
		{"key of another gateway", x.keyOfAnother(), "does not let this gateway in", "key_of_another_gateway"},
		{
			"wrong fingerprint", with("--fingerprint", strings.Repeat("AB:", 31)+"AB"), "shows another certificate",
			"bad certificate",
		},
	} {
		status, _, errOut := fresh.cli("", tt.words...)
		if status == 0 || !strings.Contains(errOut, tt.told) {
			t.Errorf("%s: status %d, %s; want %q", tt.name, status, errOut, tt.told)
		}
		x.eventually(tt.name+" is told of", func() bool { return strings.Contains(x.central.must("", "events"), tt.event) })
	}
	if fresh.read("lorawand.toml") != before {
		t.Error("the configuration is written")
	}
	other := newSite(t, "")
	other.replace(extenderEUI.String(), "0102030405060708")
	status, _, errOut := other.cli("", good...)
	if status != exitUsage || !strings.Contains(errOut, "has the gateway 0102030405060708") {
		t.Errorf("a host with another gateway: %d, %s", status, errOut)
	}
	// A key of a gateway is of no use to a client, and a revoked one to nobody.
	for _, line := range strings.Split(strings.TrimSpace(x.central.must("", "api-key", "list", "--json", "--application",
		"eui-"+strings.ToLower(extenderEUI.String()))), "\n") {
		id := strings.Split(line, `"`)[3]
		x.central.must("", "api-key", "revoke", id)
	}
	x.eventually("it is put out", func() bool {
		return strings.Contains(x.central.must("", "events"), "revoked") && !x.connected(extenderEUI)
	})
}

// keyOfAnother is the command of another gateway, for this one.
func (x *extendedPair) keyOfAnother() []string {
	line := strings.Fields(x.central.must("", "gateway", "pair", "0807060504030201", "--host", "127.0.0.1"))[1:]
	line[2], line[4] = x.wire.l.Addr().String(), extenderEUI.String()
	return line
}
