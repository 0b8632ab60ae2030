package enddevice

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"lorawand/bridge/session"
)

// Bounds of what the owner of a device may say of it. Each message of the device may
// carry it, and the memory of a gateway holds it for each device.
//
// Source: api/ttn/lorawan/v3/end_device.proto of lorawan-stack v3.32, where they are
// in characters; maxLocations is our own.
const (
	maxName           = 50
	maxDescription    = 2000
	maxAttributes     = 10
	maxAttributeValue = 200
	maxModel          = session.MaxIDLength // of brand_id and model_id
	maxModelVersion   = 32                  // of the versions and the band of a model
	maxPlan           = 64
	maxLocations      = 10
)

// ErrTooLong is the reason for refusing a text that is longer than its field holds.
var ErrTooLong = errors.New("too long")

// checkBounds returns the first field of a device that holds more than it may.
func checkBounds(d *session.Device) error {
	v := &d.VersionIDs
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"name", d.Name, maxName},
		{"description", d.Description, maxDescription},
		{"frequency_plan_id", d.Plan, maxPlan},
		{"version_ids.brand_id", v.Brand, maxModel},
		{"version_ids.model_id", v.Model, maxModel},
		{"version_ids.hardware_version", v.Hardware, maxModelVersion},
		{"version_ids.firmware_version", v.Firmware, maxModelVersion},
		{"version_ids.band_id", v.Band, maxModelVersion},
	} {
		if err := tooLong(f.name, f.text, f.most); err != nil {
			return err
		}
	}
	if n := len(d.Attributes); n > maxAttributes {
		return fmt.Errorf("attributes: %d, at most %d", n, maxAttributes)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Attributes)) {
		if err := session.CheckID(key); err != nil {
			return fmt.Errorf("attributes: %w", err)
		}
		if err := tooLong("attributes."+key, d.Attributes[key], maxAttributeValue); err != nil {
			return err
		}
	}
	if n := len(d.Locations); n > maxLocations {
		return fmt.Errorf("locations: %d, at most %d", n, maxLocations)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Locations)) {
		if err := session.CheckID(key); err != nil {
			return fmt.Errorf("locations: %w", err)
		}
	}
	return nil
}

func tooLong(field, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return fmt.Errorf("%s: %w: %d characters, at most %d", field, ErrTooLong, n, most)
	}
	return nil
}
