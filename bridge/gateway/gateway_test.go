package gateway

import (
	"errors"
	"testing"

	"lorawand/radio"
)

func TestRegistry(t *testing.T) {
	r := NewRegistry()
	a := &Gateway{ID: "b-first", EUI: radio.EUI64{1}}
	b := &Gateway{ID: DefaultID(radio.EUI64{0xA1, 2}), EUI: radio.EUI64{0xA1, 2}}
	for _, g := range []*Gateway{b, a} {
		if err := r.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	if b.ID != "eui-a102000000000000" {
		t.Errorf("default id %s", b.ID)
	}
	for _, g := range []*Gateway{{ID: "b-first", EUI: radio.EUI64{9}}, {ID: "other", EUI: radio.EUI64{1}}} {
		if err := r.Add(g); !errors.Is(err, ErrExists) {
			t.Errorf("%+v: %v, want ErrExists", g, err)
		}
	}
	if r.Gateway(radio.EUI64{1}) != a || r.Gateway(radio.EUI64{9}) != nil {
		t.Error("Gateway")
	}
	if all := r.All(); len(all) != 2 || all[0] != a || all[1] != b {
		t.Errorf("All: %v", all)
	}
	if !r.SetOnline(a, true, 5) || r.SetOnline(a, true, 6) || a.Since != 5 || r.Online() != 1 {
		t.Errorf("on line %v since %d, %d in all", a.Online, a.Since, r.Online())
	}
	r.SetOnline(b, true, 7)
	n := 0
	r.EachOnline(func(*Gateway) bool { n++; return true })
	r.EachOnline(func(*Gateway) bool { n += 10; return false })
	if n != 12 {
		t.Errorf("EachOnline counted %d", n)
	}
	if !r.SetOnline(a, false, 8) || r.SetOnline(a, false, 9) || r.Online() != 1 {
		t.Error("off line")
	}
}

func TestIdentify(t *testing.T) {
	r := NewRegistry()
	standIn, known := radio.EUI64{7: 1}, radio.EUI64{0xA1, 7: 9}
	for _, g := range []*Gateway{
		{ID: DefaultID(standIn), EUI: standIn},
		{ID: "named", EUI: radio.EUI64{7: 2}},
		{ID: "other", EUI: radio.EUI64{5}},
	} {
		if err := r.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Identify(standIn, known); err != nil || r.Gateway(standIn) != nil ||
		r.Gateway(known).ID != DefaultID(known) {
		t.Errorf("%v, %+v", err, r.Gateway(known))
	}
	if err := r.Identify(radio.EUI64{7: 2}, radio.EUI64{6}); err != nil || r.Gateway(radio.EUI64{6}).ID != "named" {
		t.Errorf("%v: a name was lost", err)
	}
	if err := r.Identify(radio.EUI64{6}, known); !errors.Is(err, ErrExists) || r.Gateway(radio.EUI64{6}) == nil {
		t.Errorf("%v, want ErrExists", err)
	}
	if err := r.Identify(radio.EUI64{99}, radio.EUI64{98}); err != nil || r.Gateway(radio.EUI64{98}) != nil {
		t.Errorf("a gateway that there is not: %v", err)
	}
}
