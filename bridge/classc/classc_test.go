package classc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

const (
	second = radio.HostTime(time.Second)
	start  = 1000 * second
)

// house is a registry with the gateways a, b and c; off names those that are not connected.
func house(t *testing.T, off string) *gateway.Registry {
	t.Helper()
	r := gateway.NewRegistry()
	for i, id := range []string{"a", "b", "c"} {
		g := &gateway.Gateway{ID: "gw-" + id, EUI: radio.EUI64{byte(i + 1)}}
		if err := r.Add(g); err != nil {
			t.Fatal(err)
		}
		r.SetOnline(g, !strings.Contains(off, id), start)
	}
	return r
}

// heardBy are paths to a device, by the signal of its last uplink.
func heardBy(r *gateway.Registry, signals map[string]radio.Decibel) (paths []gateway.Path) {
	for _, g := range r.All() {
		if dB, ok := signals[g.ID]; ok {
			up := radio.Uplink{Receptions: []radio.Reception{{RSSI: dB, SNR: 500}}}
			paths = gateway.AppendPaths(paths, g, &up)
		}
	}
	return paths
}

func pathNames(paths []gateway.Path) string {
	var out []string
	for _, p := range paths {
		out = append(out, fmt.Sprintf("%s/%d", p.Gateway.ID, p.Antenna))
	}
	return strings.Join(out, " ")
}

// An item takes the gateways that it names, else those that have heard the device, else all.
func TestPaths(t *testing.T) {
	byID := func(id string, antenna, group uint32) session.GatewayAntenna {
		return session.GatewayAntenna{GatewayID: id, Antenna: antenna, Group: group}
	}
	byEUI := func(n byte) session.GatewayAntenna { return session.GatewayAntenna{EUI: radio.EUI64{n}} }
	near := map[string]radio.Decibel{"gw-b": -9000, "gw-c": -6000}
	for _, tt := range []struct {
		name  string
		off   string
		heard map[string]radio.Decibel
		named []session.GatewayAntenna
		group int
		want  string
		known bool
	}{
		{"never heard", "", nil, nil, -1, "gw-a/0 gw-b/0 gw-c/0", true},
		{"never heard, one is off", "b", nil, nil, -1, "gw-a/0 gw-c/0", true},
		{"heard, the best first", "", near, nil, -1, "gw-c/0 gw-b/0", true},
		{"heard, the best is off", "c", near, nil, -1, "gw-b/0", true},
		{"heard by gateways that are off", "bc", near, nil, -1, "gw-a/0", true},
		{"none is connected", "abc", near, nil, -1, "", true},
		{"named, against what was heard", "", near, []session.GatewayAntenna{byID("gw-a", 2, 0)}, -1, "gw-a/2", true},
		{"named, and off", "a", near, []session.GatewayAntenna{byID("gw-a", 0, 0)}, -1, "gw-a/0", true},
		{"named by its EUI", "", nil, []session.GatewayAntenna{byEUI(2)}, -1, "gw-b/0", true},
		{
			"in the order of the names", "", nil,
			[]session.GatewayAntenna{byEUI(3), byID("gw-a", 0, 0)},
			-1, "gw-c/0 gw-a/0", true,
		},
		{"an unknown one among them", "", nil, []session.GatewayAntenna{byID("gw-x", 0, 0), byEUI(1)}, -1, "gw-a/0", true},
		{"only unknown ones", "", near, []session.GatewayAntenna{byID("gw-x", 0, 0), byEUI(9)}, -1, "", false},
		{
			"the first group", "", nil,
			[]session.GatewayAntenna{byID("gw-a", 0, 7), byID("gw-b", 0, 4), byID("gw-c", 0, 7)},
			0, "gw-a/0 gw-c/0", true,
		},
		{
			"the second group", "", nil,
			[]session.GatewayAntenna{byID("gw-a", 0, 7), byID("gw-b", 0, 4), byID("gw-c", 0, 7)},
			1, "gw-b/0", true,
		},
		{"a group of unknown ones", "", nil, []session.GatewayAntenna{byID("gw-a", 0, 0), byID("gw-x", 0, 1)}, 1, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := house(t, tt.off)
			var l Listener
			l.Heard(heardBy(r, tt.heard))
			it := &session.Item{}
			if tt.named != nil {
				it.ClassBC = &session.ClassBC{Gateways: tt.named}
			}
			paths, known := l.Paths(r, it, tt.group)
			if pathNames(paths) != tt.want || known != tt.known {
				t.Errorf("paths %q, known %v; want %q, %v", pathNames(paths), known, tt.want, tt.known)
			}
		})
	}
}

// A gateway that was removed, or has another one in its place, is no path any more.
func TestPathsOfRemovedGateways(t *testing.T) {
	r := house(t, "")
	var l Listener
	l.Heard(heardBy(r, map[string]radio.Decibel{"gw-b": -9000, "gw-c": -6000}))
	r.Remove(r.Gateway(radio.EUI64{3}))
	if err := r.Add(&gateway.Gateway{ID: "gw-c", EUI: radio.EUI64{3}, Online: true}); err != nil {
		t.Fatal(err)
	}
	if paths, known := l.Paths(r, &session.Item{}, -1); pathNames(paths) != "gw-b/0" || !known {
		t.Errorf("paths %q, known %v; want gw-b/0", pathNames(paths), known)
	}
}

// The caller may change the paths that it gave to Heard: the device keeps its own. A path
// that was lost once is tried again for the next item.
func TestHeardKeepsItsPaths(t *testing.T) {
	r := house(t, "")
	heard := heardBy(r, map[string]radio.Decibel{"gw-b": -9000, "gw-c": -6000})
	for i := range heard {
		heard[i].Lost = true
	}
	var l Listener
	l.Heard(heard)
	clear(heard)
	paths, _ := l.Paths(r, &session.Item{}, -1)
	if pathNames(paths) != "gw-c/0 gw-b/0" || paths[0].Lost {
		t.Errorf("paths %q, the first lost: %v", pathNames(paths), paths[0].Lost)
	}
}

func TestGroups(t *testing.T) {
	for _, tt := range []struct {
		groups []uint32 // of the gateways that the item names
		want   []uint32
	}{
		{nil, nil},
		{[]uint32{0}, []uint32{0}},
		{[]uint32{3, 1, 3, 1, 0}, []uint32{3, 1, 0}},
	} {
		it := &session.Item{ClassBC: &session.ClassBC{}}
		for _, g := range tt.groups {
			it.ClassBC.Gateways = append(it.ClassBC.Gateways, session.GatewayAntenna{GatewayID: "gw-a", Group: g})
		}
		if got := Groups(it); !slices.Equal(got, tt.want) {
			t.Errorf("groups of %v are %v, want %v", tt.groups, got, tt.want)
		}
	}
	if got := Groups(&session.Item{}); got != nil {
		t.Errorf("an item that names nothing has groups %v", got)
	}
}

// A device does not hear while it deals with a frame, nor while it may answer one.
func TestHears(t *testing.T) {
	var l Listener
	for _, tt := range []struct {
		name      string
		end       radio.HostTime // of the frame that is sent; 0: none
		confirmed bool
		now, want radio.HostTime
	}{
		{"nothing sent", 0, false, start, start},
		{"a frame", start + second, false, start, start + second + second/10},
		{"afterwards", 0, false, start + 5*second, start + 5*second},
		{"a confirmed frame", start + 10*second, true, start, start + 12*second},
		{"one that ends while the answer is waited for", start + 11*second, false, start, start + 12*second},
	} {
		if tt.end != 0 {
			l.Sent(tt.end, tt.confirmed)
		}
		if got := l.Hears(tt.now); got != tt.want {
			t.Errorf("%s: hears from %v on, want %v", tt.name, got.Sub(start), tt.want.Sub(start))
		}
	}
}

// An item fails 30 s after it came, after the items began to wait, or after the device got
// the one before: whichever is the latest.
func TestDeadline(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(l *Listener)
		it   session.Item
		want radio.HostTime
	}{
		{"it came last", func(l *Listener) {
			l.Waits(start, true)
		}, session.Item{Arrived: start + 5*second}, start + 35*second},
		{"it came before the daemon", func(l *Listener) { l.Waits(start, true) }, session.Item{}, start + 30*second},
		{
			"still waiting", func(l *Listener) { l.Waits(start, true); l.Waits(start+9*second, true) },
			session.Item{},
			start + 30*second,
		},
		{
			"waiting again", func(l *Listener) { l.Waits(start, true); l.Waits(start, false); l.Waits(start+9*second, true) },
			session.Item{},
			start + 39*second,
		},
		{
			"behind another", func(l *Listener) { l.Waits(start, true); l.Sent(start+20*second, true) },
			session.Item{},
			start + 52*second,
		},
	} {
		var l Listener
		tt.do(&l)
		if got := l.Deadline(&tt.it); got != tt.want {
			t.Errorf("%s: fails at %v, want %v", tt.name, got.Sub(start), tt.want.Sub(start))
		}
	}
}

// The longer a gateway was not heard, the earlier it gets a frame, up to 5 s: the clocks
// drift by 50 parts of a million.
func TestAhead(t *testing.T) {
	g := &gateway.Gateway{HasClock: true, Clock: gateway.Moment{Counter: 7_000_000, Host: start}}
	lead := g.Lead()
	for _, tt := range []struct{ since, want time.Duration }{
		{0, 0},
		{-time.Second, 0},
		{100 * time.Second, 5 * time.Millisecond},
		{24 * time.Hour, 4320 * time.Millisecond},
		{48 * time.Hour, 5 * time.Second},
		{1000 * 24 * time.Hour, 5 * time.Second},
	} {
		if got := Ahead(g, start.Add(tt.since)) - lead; got != tt.want {
			t.Errorf("%v after its last uplink: %v more, want %v", tt.since, got, tt.want)
		}
	}
	for _, d := range []time.Duration{time.Second, -time.Second} {
		want := gateway.Moment{Counter: 7_000_000 + radio.ConcentratorTime(d/time.Microsecond), Host: start.Add(d)}
		if got := At(g, start.Add(d)); got != want {
			t.Errorf("the moment %v after the clock is %+v, want %+v", d, got, want)
		}
	}
}
