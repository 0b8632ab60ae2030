package core

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/provision"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

const manyDevices = 200

// many is a stand with many devices, of which an import renames all, adds as
// many and removes two.
func many(t *testing.T) (*stand, Provisioned) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	p := Provisioned{Ticket: 1000, Remove: []session.ID{dev("dev1"), dev("dev2")}}
	for i := range manyDevices {
		d := abp(fmt.Sprintf("old-%03d", i), byte(i))
		next := d.Clone()
		next.Name = "new"
		p.Put = append(p.Put, state.DevicePut{Device: next, Replace: true})
		s.add(d)
		added := otaa(fmt.Sprintf("new-%03d", i), byte(i))
		added.Name = "new"
		p.Put = append(p.Put, state.DevicePut{Device: added, Replace: true})
	}
	return s, p
}

// renamed counts the devices that a power cut leaves with their new name.
func (s *stand) renamed() (n int) {
	s.Helper()
	for id, r := range s.disk.firm {
		if id.kind != state.KindDevice {
			continue
		}
		d, err := session.UnmarshalDevice(r.Data)
		if err != nil {
			s.Fatal(err)
		}
		if d.Name == "new" {
			n++
		}
	}
	return n
}

// provision carries a Provisioned out, with between after each step.
func (s *stand) provision(p Provisioned, between func(step int)) error {
	s.Helper()
	s.answers = nil
	s.step(p)
	for step := 0; len(s.answers) == 0; step++ {
		waits := s.c.provisions.Storing()
		if !waits && (s.arm == 0 || s.arm > s.now.Host) {
			s.Fatal("no step follows at once")
		}
		between(step)
		if waits {
			s.stored()
		}
		if len(s.answers) > 0 {
			break
		}
		s.arm = 0
		s.step(TimerFired{})
	}
	return s.answers[0].Err
}

// Many devices are changed in steps that are bounded, and a power cut between
// any two of them finds nothing of it or all.
func TestProvisionInSteps(t *testing.T) {
	s, p := many(t)
	before, steps := map[string]string{}, 0
	seen := func() (changed int) {
		for _, d := range s.c.opts.Devices.All() {
			if now := d.Name; before[d.ID.Device] != now {
				before[d.ID.Device] = now
				changed++
			}
		}
		return changed
	}
	seen()
	if err := s.provision(p, func(int) {
		steps++
		if n := seen(); n > provision.Step {
			t.Errorf("%d devices changed in a step", n)
		}
		if n := s.renamed(); n != 0 && n != 2*manyDevices {
			t.Fatalf("a power cut finds %d of %d", n, 2*manyDevices)
		}
	}); err != nil {
		t.Fatal(err)
	}
	all := len(p.Put) + len(p.Remove)
	if want := 2*(all/provision.Step) - 2; steps < want {
		t.Errorf("%d steps for %d devices", steps, all)
	}
	if n := s.renamed(); n != 2*manyDevices || s.c.opts.Devices.Device(dev("dev1")) != nil ||
		s.c.opts.Devices.Len() != 2*manyDevices+1 {
		t.Errorf("%d renamed, %d devices", n, s.c.opts.Devices.Len())
	}
}

// A fault in the last device, or a store that fails, leaves everything as it is.
func TestProvisionInStepsFails(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(s *stand, p *Provisioned)
		want  string // what the error says; "": it is a trial
	}{
		{"a fault", func(_ *stand, p *Provisioned) { p.Remove = append(p.Remove, dev("nobody")) }, "no such device"},
		{"the store", func(s *stand, _ *Provisioned) { s.fails = errDisk }, errDisk.Error()},
		{"a trial", func(_ *stand, p *Provisioned) { p.Trial = true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, p := many(t)
			s.hear(gwA, s.phy("old-000", 5, payload("x")))
			p.Put[0].Device.Session.FCntUp, p.Put[0].Device.Session.Heard = 100, true
			p.Put[0].Device.Session.NFCntDown = 100
			tt.spoil(s, &p)
			n := uint32(6)
			err := s.provision(p, func(int) {
				s.hear(gwA, s.phy("old-000", n, payload("x")))
				n++
			})
			if reason(err) != tt.want && !errorsHave(err, tt.want) {
				t.Errorf("answer %v, want %s", err, tt.want)
			}
			s.hear(gwA, s.phy("old-000", n, payload("x")))
			d := s.c.opts.Devices.Device(dev("old-000"))
			if d.Name != "" || d.Session.FCntUp != n || d.Session.NFCntDown != 0 || s.c.opts.Devices.Len() != manyDevices+3 ||
				s.renamed() != 0 {
				t.Errorf("%+v %+v, %d devices, %d renamed in the store", d, d.Session, s.c.opts.Devices.Len(), s.renamed())
			}
		})
	}
}

func errorsHave(err error, text string) bool {
	return err != nil && text != "" && (errors.Is(err, state.ErrNoDevice) || errors.Is(err, errDisk))
}

// The counters that devices use while they are changed are not lost, wherever the power
// fails: the stand checks each downlink and each step.
func TestProvisionInStepsServes(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprintf("slow store %v", slow), func(t *testing.T) {
			s, p := many(t)
			otaa := s.otaa("dev3", session.V1_0_4)
			next := otaa.Clone()
			next.Name = "new"
			p.Put = append([]state.DevicePut{{Device: next, Replace: true}}, p.Put...)
			n := uint32(0)
			err := s.provision(p, func(step int) {
				s.slow = slow
				if step == 3 {
					s.hear(gwA, s.joinRequest(otaa, 1))
				}
				if step%3 == 0 {
					for _, name := range []string{"old-001", "old-199"} {
						s.hear(gwA, s.phy(name, n, confirmed("x")))
					}
					n++
				}
				s.now.Host = s.now.Host.Add(5 * time.Millisecond)
			})
			if err != nil {
				t.Fatal(err)
			}
			s.stored()
			s.wait(20 * time.Second)
			if got := s.count(event.DownlinkSent); got != 3 { // the join-accept too
				t.Errorf("%d downlinks", got)
			}
			for _, name := range []string{"old-001", "old-199"} {
				d := s.restarted(s.disk.soft, name)
				if d.Session.FCntUp != n-1 || d.Name != "new" {
					t.Errorf("%s: the store has FCntUp %d of %d, name %q", name, d.Session.FCntUp, n-1, d.Name)
				}
			}
			if d := s.restarted(s.disk.firm, "dev3"); d.LastDevNonce != 1 || d.Pending == nil || d.Name != "new" {
				t.Errorf("the join is lost: %+v", d)
			}
		})
	}
}

func TestProvisionForget(t *testing.T) {
	r := newRegistry(t)
	d := r.devices["dev1"]
	r.uplink(d, 50, false)
	joins := otaa("new1", 1)
	joins.UsedDevNonces, joins.LastJoinNonce = []uint16{1, 2, 3}, 70_000
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: joins}}}); err != nil {
		t.Fatal(err)
	}
	err := r.change(Provisioned{Put: []state.DevicePut{
		{Device: d.Clone(), Must: true, ForgetFCntUp: true},
		{Device: r.device("new1").Clone(), Must: true, ForgetDevNonces: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.ups = nil
	r.uplink(d, 0, false)
	r.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
	if s := r.stored(dev("new1")); len(s.UsedDevNonces) != 0 || s.LastJoinNonce != 70_000 {
		t.Errorf("nonces %v, join nonce %d", s.UsedDevNonces, s.LastJoinNonce)
	}
}
