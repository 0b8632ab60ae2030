package gateway

import (
	"errors"
	"slices"
	"testing"

	"lorawand/radio"
	"lorawand/radio/region"
)

// configured returns a registry with configured gateways, as filled names them.
func configured(t *testing.T, names ...string) *Registry {
	t.Helper()
	r := filled(t, names...)
	for _, g := range r.All() {
		g.Configured = true
	}
	return r
}

// reconfigurations are changes of the configuration, and what becomes of the gateways.
var reconfigurations = []struct {
	name      string
	names     []string // configured before, with the plan eu
	unknown   bool     // the last of them was only served by its driver
	next      []Gateway
	want      []string
	leaves    []string
	replanned []string
	err       error
}{
	{
		"nothing changes",
		[]string{"a", "b"},
		false,
		[]Gateway{{ID: "a", EUI: eui(1)}, {ID: "b", EUI: eui(2)}},
		[]string{"a 1", "b 2"},
		nil, nil, nil,
	},
	{
		"another gateway",
		[]string{"a"},
		false,
		[]Gateway{{ID: "a", EUI: eui(1)}, {ID: "b", EUI: eui(2)}},
		[]string{"a 1", "b 2"},
		nil, nil, nil,
	},
	{"another name", []string{"a"}, false, []Gateway{{ID: "c", EUI: eui(1)}}, []string{"c 1"}, nil, nil, nil},
	{"one goes", []string{"a", "b"}, false, []Gateway{{ID: "b", EUI: eui(2)}}, []string{"b 2"}, []string{"a"}, nil, nil},
	{"all go", []string{"a", "b"}, false, nil, nil, []string{"a", "b"}, nil, nil},
	{
		"two swap their names",
		[]string{"a", "b"},
		false,
		[]Gateway{{ID: "b", EUI: eui(1)}, {ID: "a", EUI: eui(2)}},
		[]string{"a 2", "b 1"},
		nil, nil, nil,
	},
	{
		"another plan",
		[]string{"a", "b"},
		false,
		[]Gateway{{ID: "a", EUI: eui(1), Plan: must("US_902_928_FSB_2")}, {ID: "b", EUI: eui(2)}},
		[]string{"a 1", "b 2"},
		nil,
		[]string{eui(1).String()},
		nil,
	},
	{
		"one that nobody has configured stays",
		[]string{"a", ""},
		true,
		[]Gateway{{ID: "a", EUI: eui(1)}},
		[]string{"a 1", "eui-0000000000000002 2"},
		nil, nil, nil,
	},
	{
		"its name goes to another",
		[]string{"a", ""},
		true,
		[]Gateway{{ID: "eui-0000000000000002", EUI: eui(1)}},
		[]string{"eui-0000000000000002 1", "eui-0000000000000002-unknown 2"},
		nil, nil, nil,
	},
	{
		"it is configured",
		[]string{"a", ""},
		true,
		[]Gateway{{ID: "a", EUI: eui(1)}, {ID: "roof", EUI: eui(2)}},
		[]string{"a 1", "roof 2"},
		nil, nil, nil,
	},
	{
		"two have one name",
		[]string{"a"},
		false,
		[]Gateway{{ID: "a", EUI: eui(1)}, {ID: "a", EUI: eui(2)}},
		[]string{"a 1"},
		nil, nil, ErrExists,
	},
}

func TestReconfigure(t *testing.T) {
	eu := must("EU_863_870_TTN")
	for _, tt := range reconfigurations {
		t.Run(tt.name, func(t *testing.T) {
			r := configured(t, tt.names...)
			for _, g := range r.All() {
				g.Plan = eu
			}
			if tt.unknown {
				r.Gateway(eui(byte(len(tt.names)))).Configured = false
			}
			var leaves, replanned []string
			next := make([]*Gateway, len(tt.next))
			for i := range tt.next {
				next[i] = &tt.next[i]
				if next[i].Plan == nil {
					next[i].Plan = eu
				}
			}
			err := r.Reconfigure(next, func(g *Gateway) { leaves = append(leaves, g.ID) },
				func(g *Gateway) { replanned = append(replanned, g.ID) })
			if !errors.Is(err, tt.err) || !slices.Equal(list(r), tt.want) {
				t.Errorf("%v, %v; want %v, %v", list(r), err, tt.want, tt.err)
			}
			if !slices.Equal(leaves, tt.leaves) || !slices.Equal(replanned, tt.replanned) {
				t.Errorf("leave: %v, other plan: %v; want %v, %v", leaves, replanned, tt.leaves, tt.replanned)
			}
			for _, n := range tt.next {
				if g := r.Gateway(n.EUI); tt.err == nil && g.Plan != n.Plan {
					t.Errorf("plan of %s: %v", g.ID, g.Plan.ID())
				}
			}
		})
	}
}

// A gateway that was taken out is not served again by chance, until it is configured or
// its driver serves every gateway.
func TestRemovedGateways(t *testing.T) {
	plan := must("EU_863_870_TTN")
	none := func(*Gateway) {}
	r := configured(t, "a")
	g := r.Gateway(eui(1))
	if r.IsRemoved(eui(1)) || r.Taken(eui(1), plan) != g {
		t.Error("a configured gateway counts as removed")
	}
	r.SetOnline(g, true, 1)
	if err := r.Reconfigure(nil, none, none); err != nil {
		t.Fatal(err)
	}
	if !r.IsRemoved(eui(1)) || r.Online() != 0 || r.Gateway(eui(1)) != nil {
		t.Errorf("removed: %v, %d on line", r.IsRemoved(eui(1)), r.Online())
	}
	if r.Taken(eui(1), plan) != g || len(r.All()) != 0 {
		t.Error("its frames bring it back")
	}
	r.Readmit(eui(1))
	if again := r.Taken(eui(1), plan); r.IsRemoved(eui(1)) || again == g || again.Configured || again.Plan != plan ||
		!again.EnforceDutyCycle || again.ID != "eui-0000000000000001" {
		t.Errorf("readmitted: %+v", again)
	}
	if err := r.Reconfigure(nil, none, none); err != nil || r.IsRemoved(eui(1)) {
		t.Errorf("a gateway that nobody has configured counts as removed: %v", err)
	}
}

// The default id of an unconfigured gateway gives way to the name that an owner has
// given to another one.
func TestTakenName(t *testing.T) {
	r := configured(t, "eui-0000000000000009")
	if g := r.Taken(eui(9), nil); g.ID != "eui-0000000000000009-unknown" || r.Gateway(eui(9)) != g {
		t.Errorf("%+v", g)
	}
}

// A gateway that was configured by a stand-in is found by the EUI that it has told, also
// by a later configuration that knows only the stand-in.
func TestReconfigureStandIn(t *testing.T) {
	none := func(*Gateway) {}
	standIn, told := radio.EUI64{1}, eui(7)
	for _, tt := range []struct {
		name, id, want string
	}{
		{"a name of its own", "roof", "roof 7"},
		{"the default name", DefaultID(standIn), "eui-0000000000000007 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRegistry()
			for i := range 2 {
				next := &Gateway{ID: tt.id, EUI: standIn}
				if err := r.Reconfigure([]*Gateway{next}, none, none); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					if err := r.Identify(standIn, told); err != nil {
						t.Fatal(err)
					}
				}
				if got := list(r); !slices.Equal(got, []string{tt.want}) {
					t.Errorf("configuration %d: %v, want %s", i+1, got, tt.want)
				}
			}
			if err := r.Reconfigure(nil, none, none); err != nil || !r.IsRemoved(told) {
				t.Errorf("it is not removed: %v", err)
			}
		})
	}
}

func must(id string) *region.Plan {
	p, err := region.Lookup(id)
	if err != nil {
		panic(err)
	}
	return p
}
