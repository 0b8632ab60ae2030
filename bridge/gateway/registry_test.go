package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

func eui(n byte) radio.EUI64 { return radio.EUI64{7: n} }

// filled is a registry with gateways of the names given, whose EUIs end in 1, 2
// and so on; "" is a gateway without a name.
func filled(t *testing.T, names ...string) *Registry {
	t.Helper()
	r := NewRegistry()
	for i, name := range names {
		g := &Gateway{ID: name, EUI: eui(byte(i + 1))}
		if name == "" {
			g.ID = DefaultID(g.EUI)
		}
		if err := r.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// list is what a registry holds: id and the last byte of the EUI.
func list(r *Registry) (out []string) {
	for _, g := range r.All() {
		out = append(out, fmt.Sprintf("%s %d", g.ID, g.EUI[7]))
	}
	return out
}

func TestAdd(t *testing.T) {
	for _, tt := range []struct {
		name string
		g    Gateway
		err  error
		want []string
	}{
		{"another", Gateway{ID: "c", EUI: eui(3)}, nil, []string{"a 1", "b 2", "c 3"}},
		{"sorted by id, not by EUI", Gateway{ID: "0", EUI: eui(9)}, nil, []string{"0 9", "a 1", "b 2"}},
		{"a taken id", Gateway{ID: "a", EUI: eui(3)}, ErrExists, []string{"a 1", "b 2"}},
		{"a taken EUI", Gateway{ID: "c", EUI: eui(2)}, ErrExists, []string{"a 1", "b 2"}},
		{"the same again", Gateway{ID: "a", EUI: eui(1)}, ErrExists, []string{"a 1", "b 2"}},
		{"the zero EUI is one like others", Gateway{ID: "z"}, nil, []string{"a 1", "b 2", "z 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := filled(t, "a", "b")
			if err := r.Add(&tt.g); !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			if got := list(r); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	plan, err := region.Lookup("EU_863_870")
	if err != nil {
		t.Fatal(err)
	}
	place := &Location{Latitude: 52.5, Longitude: 4.5, Altitude: -3}
	for _, tt := range []struct {
		name string
		as   Gateway
		err  error
		want []string
	}{
		{"its own name", Gateway{ID: "a", Plan: plan}, nil, []string{"a 1", "b 2"}},
		{
			"a new name",
			Gateway{ID: "roof", Plan: plan, AntennaGain: 250, EnforceDutyCycle: true, Location: place},
			nil,
			[]string{"b 2", "roof 1"},
		},
		{"the name of another", Gateway{ID: "b", Plan: plan}, ErrExists, []string{"a 1", "b 2"}},
		{"a place that is taken away", Gateway{ID: "a", Plan: plan}, nil, []string{"a 1", "b 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := filled(t, "a", "b")
			g := r.Gateway(eui(1))
			r.SetOnline(g, true, 5)
			g.Location, g.Connection = &Location{Latitude: 1}, "conn"
			g.Answered(100 * time.Millisecond)
			before := *g
			err := r.Configure(g, &tt.as)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if got := list(r); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if err != nil {
				if g.ID != before.ID || g.Location != before.Location || g.Configured {
					t.Errorf("it was refused, and has changed: %+v", g)
				}
				return
			}
			if !g.Configured || g.Plan != plan || g.Location != tt.as.Location || g.AntennaGain != tt.as.AntennaGain ||
				g.EnforceDutyCycle != tt.as.EnforceDutyCycle {
				t.Errorf("%+v", g)
			}
			if !g.Online || g.Connection != "conn" || g.RoundTrip() != before.RoundTrip() || r.Online() != 1 {
				t.Errorf("what is known of its work is lost: %+v", g)
			}
		})
	}
}

func TestIdentifyKinds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		was, is byte
		err     error
		want    []string
	}{
		{"the id goes with the EUI", 1, 9, nil, []string{DefaultID(eui(9)) + " 9", "named 2", "other 3"}},
		{"a name stays", 2, 9, nil, []string{DefaultID(eui(1)) + " 1", "named 9", "other 3"}},
		{"the EUI of another", 1, 3, ErrExists, []string{DefaultID(eui(1)) + " 1", "named 2", "other 3"}},
		{"a named one, to the EUI of another", 2, 1, ErrExists, []string{DefaultID(eui(1)) + " 1", "named 2", "other 3"}},
		{"no change", 1, 1, nil, []string{DefaultID(eui(1)) + " 1", "named 2", "other 3"}},
		{"nobody", 8, 9, nil, []string{DefaultID(eui(1)) + " 1", "named 2", "other 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := filled(t, "", "named", "other")
			if err := r.Identify(eui(tt.was), eui(tt.is)); !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			if got := list(r); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	r := filled(t, "", "x")
	r.Gateway(eui(2)).ID = DefaultID(eui(9)) // its owner has called it so
	if err := r.Identify(eui(1), eui(9)); !errors.Is(err, ErrExists) {
		t.Errorf("the id that it would get is taken: %v", err)
	}
}

// The number of gateways on line is right after any of them comes or goes.
func TestOnlineCount(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := NewRegistry()
	for i := range 5000 {
		id := eui(byte(1 + rnd.IntN(6)))
		switch g := r.Gateway(id); {
		case g == nil:
			if err := r.Add(&Gateway{ID: DefaultID(id), EUI: id}); err != nil {
				t.Fatal(err)
			}
		case rnd.IntN(10) == 0:
			r.Remove(g)
		default:
			was, to := g.Online, rnd.IntN(2) == 0
			if is := r.SetOnline(g, to, radio.HostTime(i)); is != (was != to) || g.Online != to ||
				is && g.Since != radio.HostTime(i) {
				t.Fatalf("SetOnline(%v) of %+v: %v", to, g, is)
			}
		}
		online, each := 0, 0
		for _, g := range r.All() {
			if g.Online {
				online++
			}
		}
		r.EachOnline(func(*Gateway) bool { each++; return true })
		if r.Online() != online || each != online {
			t.Fatalf("%d on line, %d seen; %d are", r.Online(), each, online)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	const ms = time.Millisecond
	rising := func(n int) (out []time.Duration) {
		for i := range n {
			out = append(out, time.Duration(i+1)*ms)
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		trips []time.Duration
		want  time.Duration
	}{
		{"none", nil, 0},
		{"one", rising(1), ms},
		{"ten", rising(10), 10 * ms},
		{"nine of ten, and an outlier", append(make([]time.Duration, 18), 5*ms, 900*ms), 5 * ms},
		{"a whole ring", rising(32), 29 * ms},
		{"only the last 32", rising(64), 61 * ms},
		{"a negative one counts as none", []time.Duration{-ms, -ms}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var g Gateway
			for _, d := range tt.trips {
				g.Answered(d)
			}
			if got := g.RoundTrip(); got != tt.want || g.Answers != (len(tt.trips) > 0) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
