package mac

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lorawand/radio"
	"lorawand/radio/region"
)

// theirServer is The Things Stack's algorithm.
//
// Source: The Things Stack 3.32.1, pkg/networkserver/mac/adr.go, as observed.
type theirServer struct {
	plan    *region.Plan
	now     link
	asked   *link
	uplinks []theirUplink // since the last change, at most 20
}

type theirUplink struct {
	fCnt uint32
	snr  radio.Decibel
}

func newTheirServer(t testing.TB) adrServer {
	p, err := region.Lookup(yearPlan)
	if err != nil {
		t.Fatal(err)
	}
	return &theirServer{plan: p, now: link{nbTrans: 1}}
}

func (s *theirServer) heard(fCnt uint32, l link, snrs []radio.Decibel, ackReq, answer bool) (bool, *link) {
	if answer && s.asked != nil {
		s.now, s.asked, s.uplinks = *s.asked, nil, s.uplinks[:0]
	}
	if s.now.dataRate != l.dataRate {
		s.now.dataRate, s.uplinks = l.dataRate, s.uplinks[:0]
	}
	if len(s.uplinks) == 20 {
		s.uplinks = append(s.uplinks[:0], s.uplinks[1:]...)
	}
	s.uplinks = append(s.uplinks, theirUplink{fCnt, slices.Max(snrs)})
	want := s.decide()
	if want == s.now {
		s.asked = nil
		return ackReq, nil
	}
	s.asked = &want
	return true, &want
}

func (s *theirServer) heardAgain() {}

func (s *theirServer) decide() link {
	best := radio.Decibel(math.MinInt32)
	for _, u := range s.uplinks {
		best = max(best, u.snr)
	}
	rate, _ := s.plan.DataRate(s.now.dataRate)
	floor, _ := Floor(rate)
	n := len(s.uplinks)
	margin := best - floor - 1500
	if n < 20 {
		margin -= 250
	}
	want := s.now
	for margin >= 250 && want.dataRate < 5 {
		want.dataRate++
		margin -= 250
	}
	if want.dataRate > s.now.dataRate {
		margin += 200 * radio.Decibel(s.now.power)
		want.power = 0
	}
	for margin >= 200 && want.power < s.plan.MaxTXPower() {
		want.power++
		margin -= 200
	}
	for (margin < -250 || n >= 20 && margin < 0) && want.power > 0 {
		want.power--
		margin += 200
	}
	if of := s.uplinks[n-1].fCnt - s.uplinks[0].fCnt + 1; n >= 10 {
		switch lost := of - uint32(n); {
		case lost*100 < of*5:
			want.nbTrans = 1 + want.nbTrans/3
		case lost*100 < of*10:
		case lost*100 < of*30:
			want.nbTrans = 2 + want.nbTrans/2
		default:
			want.nbTrans = 3
		}
		want.nbTrans = min(want.nbTrans, 3)
	}
	return want
}

// The algorithm that ours is compared with is the one that was measured: LinkADRReq by the
// number of the uplink, for a device that starts at DR0.
func TestTheirADRAsMeasured(t *testing.T) {
	for _, tt := range []struct {
		name      string
		full      radio.Decibel // SNR at full power
		lostEvery int           // frames; 0: none
		want      string
	}{
		{"10 dB", 1000, 0, "0:{5 0 1} 20:{5 1 1}"},
		{"0 dB", 0, 0, "0:{1 0 1} 20:{2 0 1}"},
		{"-10 dB", -1000, 0, ""},
		{"-18 dB", -1800, 0, ""},
		{"-10 dB, every 4th lost", -1000, 4, "9:{0 0 2} 19:{0 0 3}"},
		{"-10 dB, every 2nd lost", -1000, 2, "9:{0 0 3}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, now, answer, heard := newTheirServer(t), link{nbTrans: 1}, false, 0
			var got []string
			for fCnt := 0; heard < 42; fCnt++ {
				if tt.lostEvery > 0 && (fCnt+1)%tt.lostEvery == 0 {
					continue
				}
				snr := tt.full - 200*radio.Decibel(now.power)
				_, req := server.heard(uint32(fCnt), now, []radio.Decibel{snr}, false, answer)
				if answer = req != nil; answer {
					now = *req
					got = append(got, fmt.Sprintf("%d:%v", heard, now))
				}
				heard++
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}
