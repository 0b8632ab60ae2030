package session

import (
	"maps"
	"time"

	"lorawand/radio"
)

// storeLocation is how often the record of a device is written because it has moved.
// A tracker would wear the flash otherwise: its next uplink tells anew where it is.
const storeLocation = 6 * time.Hour

// Locate notes where a service has found the device. Who has the Locations from before keeps them.
func (d *Device) Locate(service string, l Location, now radio.HostTime) {
	if old, known := d.Locations[service]; known && old == l {
		return
	}
	all := make(map[string]Location, len(d.Locations)+1)
	maps.Copy(all, d.Locations)
	all[service] = l
	d.Locations, d.moved = all, true
	if d.nextLocation <= now {
		d.nextLocation = now.Add(storeLocation)
		d.changed(LocationChanged)
	}
}

// Moved reports whether the store has another location.
func (d *Device) Moved() bool { return d.moved }
