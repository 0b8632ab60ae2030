package core

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Whatever a gateway has sent when the power fails, the store has no less.
func TestLedgerLeads(t *testing.T) {
	s := newStand(t)
	g := s.c.opts.Gateways.Gateway(gwA)
	g.EnforceDutyCycle, g.Online, g.Local = true, true, true
	stored := state.Spent{}
	writes := 0
	const sub = radio.Frequency(868_000_000)
	var actual time.Duration
	for n := range 100 {
		start := s.now.Host.Add(time.Second)
		slot, v := s.c.schedule.Commit(s.now.Host, schedule.Emission{
			Gateway: g, Start: radio.ConcentratorTime(start / 1000), HostStart: start, Airtime: 60 * time.Millisecond,
			Frequency: 868_100_000, Priority: radio.PriorityHighest,
		})
		if slot == nil {
			t.Fatalf("%+v", v)
		}
		actual += 60 * time.Millisecond
		s.c.effects = nil
		s.c.now = s.now
		s.c.airtimePlanned(g, s.now.Host)
		for _, e := range s.c.effects {
			k := e.(Commit)
			eui, spent, err := spentIn(k.Records[0])
			if err != nil || eui != gwA || k.Lag {
				t.Fatalf("%+v, %v", k, err)
			}
			stored, writes = spent, writes+1
		}
		if stored[sub] < actual {
			t.Fatalf("after %d: the store has %v, spent are %v", n+1, stored[sub], actual)
		}
		s.wait(2 * time.Second)
	}
	if writes > 15 {
		t.Errorf("%d writes for 100 short downlinks", writes)
	}
	s.c.effects = nil
	s.c.airtimeLags(s.c.airtime.Settle(s.now.Host, s.c.calendar))
	if _, exact, _ := spentIn(s.c.effects[0].(Commit).Records[0]); exact[sub] != actual {
		t.Errorf("a clean stop leaves %v, spent are %v", exact[sub], actual)
	}
}

// After a restart what was spent counts as spent just now.
func TestLedgerAfterRestart(t *testing.T) {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway.Gateway{ID: "gw", EUI: gwA, Plan: plan, EnforceDutyCycle: true, Online: true, Local: true}
	sched := schedule.New()
	sched.Restore(gwA, state.Spent{868_000_000: 36 * time.Second, 869_400_000: time.Second})
	check := func(at time.Duration, f radio.Frequency) bool {
		start := radio.HostTime(at + time.Second)
		v := sched.Check(radio.HostTime(at), schedule.Emission{
			Gateway: g, Start: radio.ConcentratorTime(start / 1000), HostStart: start, Airtime: 50 * time.Millisecond,
			Frequency: f, Priority: radio.PriorityHighest,
		})
		return v.OK()
	}
	if check(0, 868_100_000) || check(59*time.Minute, 868_100_000) {
		t.Error("an hour has more than its duty cycle")
	}
	if !check(0, 869_525_000) || !check(61*time.Minute, 868_100_000) {
		t.Error("what was spent counts for ever, or in another sub-band")
	}
}

// A busy hour counts for an hour, and not at every start for ever.
func TestLedgerIsLowered(t *testing.T) {
	const sub = radio.Frequency(868_000_000)
	tests := []struct {
		name  string
		quiet time.Duration // after a busy time
		most  time.Duration // that a power cut makes of it; 0: nothing
	}{
		{"at once", 0, 31 * time.Second},
		{"half an hour later", 30 * time.Minute, 31 * time.Second},
		{"when most of it is an hour ago", 57 * time.Minute, 12 * time.Second},
		{"long ago", 3 * time.Hour, 0},
	}
	for _, tt := range tests {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after a start %v", tt.name, again), func(t *testing.T) {
				s := newStand(t)
				s.answering(gwA)
				s.online(gwA)
				s.gateway(gwA).EnforceDutyCycle = true
				for range 30 { // 15 minutes
					s.spend(gwA, time.Second)
					s.wait(30 * time.Second)
				}
				if again {
					s.restart(s.disk.firm)
					s.step(Starting{})
				}
				writes := len(s.commits)
				s.wait(tt.quiet)
				if n := len(s.commits) - writes; n > 8 {
					t.Errorf("%d writes while nothing is sent", n)
				}
				r, ok := s.disk.soft[recordID{state.KindLedger, gwA.String()}]
				actual := s.c.schedule.Spent(gwA, s.now.Host)[sub]
				if !ok && actual == 0 {
					return
				}
				_, spent, err := spentIn(r)
				if err != nil || spent[sub] < actual {
					t.Errorf("the store has %v, spent are %v, %v", spent[sub], actual, err)
				}
				if most := tt.most; spent[sub] > most && !again || spent[sub] > 0 && most == 0 {
					t.Errorf("the store has %v, at most %v is right", spent[sub], most)
				}
			})
		}
	}
}

// spend has a gateway send for a while.
func (s *stand) spend(eui radio.EUI64, airtime time.Duration) {
	s.Helper()
	start := s.now.Host.Add(time.Second)
	slot, v := s.c.schedule.Commit(s.now.Host, schedule.Emission{
		Gateway: s.gateway(eui), Start: radio.ConcentratorTime(start / 1000), HostStart: start, Airtime: airtime,
		Frequency: 868_100_000, Priority: radio.PriorityHighest,
	})
	if slot == nil {
		s.Fatalf("%+v", v)
	}
	s.c.effects, s.c.now = nil, s.now
	s.c.airtimePlanned(s.gateway(eui), s.now.Host)
	for _, e := range s.c.effects {
		k := e.(Commit)
		s.commits = append(s.commits, k)
		s.write(k)
	}
	s.step(TimerFired{})
}
