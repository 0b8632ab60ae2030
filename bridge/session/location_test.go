package session

import (
	"testing"
	"time"

	"lorawand/radio"
)

// A tracker that moves with each frame has its record written now and then only; what
// was handed out of its locations stays as it was.
func TestLocate(t *testing.T) {
	d := abp("dev1", 1, V1_0_3, 0)
	d.Locations = map[string]Location{"user": {Latitude: 1}}
	r := registry(t, d)
	before := d.Locations
	stored := 0
	for hour := range 24 {
		for minute := range 60 {
			at := radio.HostTime(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
			d.Locate("frm-payload", Location{Latitude: float64(hour), Longitude: float64(minute)}, at)
			if next := r.NextChanged(); next != nil {
				if what := next.TakeChange(); what != LocationChanged {
					t.Fatalf("change %v", what)
				}
				stored++
			}
		}
	}
	if stored != 4 || !d.Moved() {
		t.Errorf("stored %d times in a day, moved since: %v", stored, d.Moved())
	}
	if len(before) != 1 || len(d.Locations) != 2 || d.Locations["frm-payload"] != (Location{Latitude: 23, Longitude: 59}) {
		t.Errorf("before %v, now %v", before, d.Locations)
	}
	d.Changed()
	if r.NextChanged().TakeChange(); d.Moved() {
		t.Error("what the record has is not stored yet")
	}
	d.Locate("frm-payload", d.Locations["frm-payload"], radio.HostTime(100*time.Hour))
	if r.NextChanged() != nil || d.Moved() {
		t.Error("a place that is known is stored again")
	}
}
