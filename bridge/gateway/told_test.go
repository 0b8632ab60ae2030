package gateway

import (
	"testing"
	"time"

	"lorawand/radio"
)

// A gateway with a receiver tells each second what its counter shows, and where it is.
func TestToldClock(t *testing.T) {
	g := &Gateway{}
	if _, ok := g.AtGPS(1); ok {
		t.Error("GPS time is known before it was told")
	}
	here := &radio.Place{Latitude: 52.5, Longitude: 4.5, Altitude: 12}
	e := radio.GatewayEvent{
		Kind: radio.GatewayClock, At: radio.HostTime(10 * time.Second), Counter: 7_000_000,
		GPS: radio.GPSTime(1000 * time.Second), Place: here,
	}
	g.Told(&e)
	m, ok := g.AtGPS(radio.GPSTime(1003 * time.Second))
	if want := (Moment{10_000_000, radio.HostTime(13 * time.Second)}); !ok || m != want {
		t.Errorf("3 s later it is %+v, %v; want %+v", m, ok, want)
	}
	place := g.Location
	if place == nil || *place != (Location{52.5, 4.5, 12, true}) {
		t.Fatalf("it is at %+v", place)
	}
	if g.Told(&e); g.Location != place {
		t.Error("the same place is another one")
	}
	e.GPS, e.Place = 0, nil
	g.Told(&e)
	if _, ok := g.AtGPS(1); ok || !g.HasClock || g.Location != place {
		t.Errorf("the time was lost: %v, %+v", ok, g)
	}
}

// What the owner says of the place goes before what the receiver tells.
func TestToldPlace(t *testing.T) {
	owners := &Location{Latitude: 1, Longitude: 2, Altitude: 3}
	told := radio.GatewayEvent{Kind: radio.GatewayClock, Place: &radio.Place{Latitude: 52.5}}
	r := filled(t, "a")
	g := r.Gateway(eui(1))
	for _, tt := range []struct {
		name string
		as   *Location
		want Location
	}{
		{"only told", nil, Location{Latitude: 52.5, GPS: true}},
		{"the owner says another", owners, *owners},
		{"the owner says none any more", nil, Location{Latitude: 52.5, GPS: true}},
	} {
		if err := r.Configure(g, &Gateway{ID: "a", Location: tt.as}); err != nil {
			t.Fatal(err)
		}
		if g.Told(&told); *g.Location != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, *g.Location, tt.want)
		}
	}
}
