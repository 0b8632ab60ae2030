package core

import (
	"errors"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Two devices with one address and one key could not be told apart: the second one
// is refused, whichever way it comes.
func TestProvisionTwins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(d, one *session.Device)
		twin   bool
	}{
		{"address and keys", func(*session.Device, *session.Device) {}, true},
		{"another AppSKey", func(d, _ *session.Device) { d.Session.Keys.AppSKey = frame.Key{9} }, true},
		{"another address", func(d, _ *session.Device) { d.Session.DevAddr = radio.DevAddr{1, 9, 9, 9} }, false},
		{"another network key", func(d, _ *session.Device) {
			d.Session.Keys.FNwkSIntKey, d.Session.Keys.SNwkSIntKey = frame.Key{9}, frame.Key{9}
		}, false},
		{"LoRaWAN 1.1, another SNwkSIntKey", func(d, _ *session.Device) { d.Session.Keys.SNwkSIntKey = frame.Key{9} }, false},
		{"one that joins, with that session", func(d, _ *session.Device) {
			s := d.Session
			*d = *otaa("two", 2)
			d.Session = s
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRegistry(t)
			one, two := abp("one", 1), abp("two", 2)
			two.Session = one.Clone().Session
			tt.change(two, one)
			// Both in one change, and one after the other.
			err := r.change(Provisioned{Put: []state.DevicePut{{Device: one.Clone()}, {Device: two.Clone()}}, Trial: true})
			if errors.Is(err, session.ErrTwin) != tt.twin {
				t.Errorf("both: %v", err)
			}
			if err := r.change(Provisioned{Put: []state.DevicePut{{Device: one.Clone()}}}); err != nil {
				t.Fatal(err)
			}
			if err := r.change(Provisioned{Put: []state.DevicePut{{Device: two.Clone()}}}); errors.Is(err,
				session.ErrTwin) != tt.twin {
				t.Errorf("one after the other: %v", err)
			}
			if tt.twin {
				if err := r.change(Provisioned{Put: []state.DevicePut{{Device: abp("two", 2)}}}); err != nil {
					t.Fatal(err)
				}
				if err := r.change(Provisioned{Put: []state.DevicePut{{Device: two.Clone(), Replace: true}}}); !errors.Is(err,
					session.ErrTwin) {
					t.Errorf("as a replacement: %v", err)
				}
			}
			if err := r.change(Provisioned{Put: []state.DevicePut{{Device: one.Clone(), Replace: true}}}); err != nil {
				t.Errorf("the first one again: %v", err)
			}
		})
	}
}
