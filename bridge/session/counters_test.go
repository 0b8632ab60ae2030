package session

import (
	"math"
	"testing"
)

func TestReservation(t *testing.T) {
	for _, v := range []Version{V1_0_3, V1_1} {
		t.Run(v.String(), func(t *testing.T) {
			s := &Session{}
			if _, ok := s.NextFCntDown(v, true); ok {
				t.Fatal("a counter is used before any was reserved")
			}
			m, due := s.Reserve(v)
			if !due || m != (Marks{64, 64}) {
				t.Fatalf("reserves %+v, %v", m, due)
			}
			if _, ok := s.NextFCntDown(v, true); ok {
				t.Fatal("a counter is used before its reservation is stored")
			}
			s.Reserved(m, true)
			for want := uint32(1); want <= 64; want++ {
				fCnt, ok := s.NextFCntDown(v, true)
				if !ok || fCnt != want {
					t.Fatalf("next is %d, %v; want %d", fCnt, ok, want)
				}
				s.UseFCntDown(v, true)
				m, due := s.Reserve(v)
				if due != (want > 48) {
					t.Fatalf("after %d counters a reservation is due: %v", want, due)
				}
				if _, twice := s.Reserve(v); twice {
					t.Fatal("a reservation is asked for twice")
				}
				if due && s.Marks() != m {
					t.Fatalf("a record of now says %+v, want %+v", s.Marks(), m)
				}
				s.Reserved(m, false)
			}
			if _, ok := s.NextFCntDown(v, true); ok {
				t.Error("a counter beyond the reservation is used")
			}
			if n, ok := s.NextFCntDown(v, false); v == V1_1 && (n != 1 || !ok) || v != V1_1 && ok {
				t.Errorf("network counter %d, %v", n, ok)
			}
		})
	}
}

// After a crash counters go on behind what was reserved, and after a clean stop
// behind what was used.
func TestCountersNeverGoBack(t *testing.T) {
	s := &Session{DevAddr: [4]byte{1}}
	m, _ := s.Reserve(V1_0_3)
	s.Reserved(m, true)
	for range 5 {
		s.UseFCntDown(V1_0_3, false)
	}
	again := func(m Marks) uint32 {
		t.Helper()
		r := &Session{DevAddr: s.DevAddr}
		if err := r.SetCounterBytes(AppendCounters(nil, s, m)); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.NextFCntDown(V1_0_3, false); ok {
			t.Error("a counter is used without a reservation of this run")
		}
		next, _ := r.Reserve(V1_0_3)
		r.Reserved(next, true)
		fCnt, _ := r.NextFCntDown(V1_0_3, false)
		return fCnt
	}
	if got := again(s.Marks()); got != 65 {
		t.Errorf("after a crash the next is %d, want 65", got)
	}
	if got := again(s.Settled()); got != 6 {
		t.Errorf("after a clean stop the next is %d, want 6", got)
	}
	// The device's own record is older than the counters', or newer.
	r := &Session{DevAddr: s.DevAddr, NFCntDown: 200, AFCntDown: 200, NStored: 200, AStored: 200}
	if err := r.SetCounterBytes(AppendCounters(nil, s, s.Marks())); err != nil || r.NFCntDown != 200 {
		t.Errorf("counters went back to %d, %v", r.NFCntDown, err)
	}
}

func TestCountersEnd(t *testing.T) {
	s := &Session{NFCntDown: math.MaxUint32 - 2, NStored: math.MaxUint32 - 2}
	m, due := s.Reserve(V1_0_3)
	s.Reserved(m, true)
	if !due || m.N != math.MaxUint32 {
		t.Fatalf("reserves %+v, %v", m, due)
	}
	s.UseFCntDown(V1_0_3, false)
	if n, ok := s.NextFCntDown(V1_0_3, false); !ok || n != math.MaxUint32 {
		t.Errorf("the last counter is %d, %v", n, ok)
	}
	s.UseFCntDown(V1_0_3, false)
	if _, ok := s.NextFCntDown(V1_0_3, false); ok {
		t.Error("the counter wraps")
	}
	if _, due := s.Reserve(V1_0_3); due {
		t.Error("a reservation is due for ever")
	}
}
