package mac

import (
	"errors"
	"testing"

	"lorawand/bridge/session"
)

// nonceStep is what happens to a device between its joins.
type nonceStep = func(*testing.T, *session.Device) *session.Device

func forget(_ *testing.T, d *session.Device) *session.Device { d.ForgetDevNonces(); return d }

func skip(_ *testing.T, d *session.Device) *session.Device { d.SkipAhead(); return d }

// kept returns the device as the next start finds it.
func kept(t *testing.T, d *session.Device) *session.Device {
	t.Helper()
	b, err := session.MarshalDevice(d)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = session.UnmarshalDevice(b); err != nil {
		t.Fatal(err)
	}
	return d
}

// set registers the device anew, as it is.
func set(_ *testing.T, d *session.Device) *session.Device {
	next := d.Clone()
	next.Succeed(d)
	return next
}

// update imports the device from a file without nonces.
func update(_ *testing.T, d *session.Device) *session.Device {
	next := d.Clone()
	next.UsedDevNonces, next.LastDevNonce, next.LastJoinNonce, next.DevNoncesForgotten = nil, 0, 0, false
	next.Succeed(d)
	return next
}

// A device that may forget its DevNonces may begin with 0, whatever its version
// and whatever it has used before; each DevNonce is good once again.
func TestForgottenDevNonces(t *testing.T) {
	for _, tt := range []struct {
		name  string
		joins []uint16 // before
		steps []nonceStep
		again bool // DevNonce 0 was not used, or may be used again
	}{
		{"never joined", nil, nil, true},
		{"never joined, then restored", nil, []nonceStep{skip, kept}, true},
		{"joined with 0", []uint16{0}, nil, false},
		{"joined with 0, then restored", []uint16{0}, []nonceStep{skip}, false},
		{"forgotten", []uint16{0, 1, 7}, []nonceStep{forget}, true},
		{"forgotten, kept", []uint16{0, 1, 7}, []nonceStep{forget, kept}, true},
		{"forgotten before a join", nil, []nonceStep{forget}, true},
		{"forgotten, set, kept", []uint16{0, 7}, []nonceStep{forget, set, kept}, true},
		{"forgotten, updated", []uint16{0, 7}, []nonceStep{forget, update}, true},
		{"forgotten, restored", []uint16{0, 7}, []nonceStep{forget, skip, kept}, true},
		{"set", []uint16{0}, []nonceStep{set}, false},
		{"updated", []uint16{0}, []nonceStep{update}, false},
	} {
		for v := session.V1_0_0; v <= session.V1_1; v++ {
			t.Run(tt.name+", LoRaWAN "+v.String(), func(t *testing.T) {
				d := otaa(v)
				for _, n := range tt.joins {
					join(t, d, n, nil)
				}
				for _, f := range tt.steps {
					d = f(t, d)
				}
				var want error
				if !tt.again {
					want = ErrDevNonce
				}
				join(t, d, 0, want)
				join(t, d, 0, ErrDevNonce)
				join(t, d, 8, nil)
				join(t, d, 8, ErrDevNonce)
				if v >= session.V1_0_4 {
					join(t, d, 0, ErrDevNonce)
				}
			})
		}
	}
}

// join has a device join with a DevNonce, which gives the error want.
func join(t *testing.T, d *session.Device, nonce uint16, want error) {
	t.Helper()
	key := d.RootKeys.AppKey
	if d.Version >= session.V1_1 {
		key = d.RootKeys.NwkKey
	}
	r := request(t, d, nonce, key)
	err := CheckJoin(d, r)
	if !errors.Is(err, want) {
		t.Fatalf("DevNonce %d: %v, want %v", nonce, err, want)
	}
	if err != nil {
		return
	}
	j, err := Join(d, r, plan(t, d.Plan), JoinParameters{RX1Delay: 5})
	if err != nil {
		t.Fatal(err)
	}
	j.Use(d, nonce)
}
