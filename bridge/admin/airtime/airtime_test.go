package airtime

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/schedule"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Lower edges of sub-bands of EU868.
const (
	bandL = 865_000_000 // 1 %
	bandM = 868_000_000 // 1 %
	bandP = 869_400_000 // 10 %
)

// gateway is gw1 with a frequency plan, which has sent nothing.
func gateway(t *testing.T, plan string) *bridge.GatewayAirtime {
	t.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		t.Fatal(err)
	}
	g := &bridge.GatewayAirtime{}
	g.ID, g.Plan, g.EnforceDutyCycle = "gw1", p, true
	return g
}

// used notes what was sent in the last hour.
func used(t *testing.T, g *bridge.GatewayAirtime, low radio.Frequency, d time.Duration) {
	t.Helper()
	band, err := g.Plan.SubBand(low)
	if err != nil {
		t.Fatal(err)
	}
	g.Usage = append(g.Usage, schedule.Usage{SubBand: band, Used: d})
}

// hour notes one of the hours before, in which one sub-band was used.
func hour(g *bridge.GatewayAirtime, began time.Time, band schedule.BandHour) {
	g.Hours = append(g.Hours, state.AirtimeHour{Began: began, Bands: []schedule.BandHour{band}})
}

// The sub-bands of a gateway are listed in the order of their frequencies, each with what
// was used and with the fullest hour that is known.
func TestSubBands(t *testing.T) {
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	const s = time.Second
	for _, tt := range []struct {
		name string
		make func(*testing.T, *bridge.GatewayAirtime)
		want string // of sub_bands
	}{
		{"nothing was sent", func(*testing.T, *bridge.GatewayAirtime) {}, `[]`},
		{"used, and no hour is over", func(t *testing.T, g *bridge.GatewayAirtime) {
			used(t, g, bandP, 90*s)
			used(t, g, bandM, 0)
		}, `[{"low":868000000,"high":868600000,"allowed_s":36,"used_s":0,"worst_s":0},` +
			`{"low":869400000,"high":869650000,"allowed_s":360,"used_s":90,"worst_s":0}]`},
		{"the fullest of three hours", func(t *testing.T, g *bridge.GatewayAirtime) {
			used(t, g, bandM, 3*s)
			for i, worst := range []time.Duration{4 * s, 9 * s, 5 * s} {
				began := time.Duration(i) * time.Hour
				end := radio.HostTime(began + 35*time.Minute)
				hour(g, noon.Add(began), schedule.BandHour{Low: bandM, Worst: worst, WorstAt: end})
			}
		}, `[{"low":868000000,"high":868600000,"allowed_s":36,"used_s":3,"worst_s":9,"worst_at":"2026-11-29T13:35:00Z"}]`},
		{"the first of two that are alike", func(_ *testing.T, g *bridge.GatewayAirtime) {
			hour(g, noon, schedule.BandHour{Low: bandM, Worst: 9 * s, WorstAt: radio.HostTime(time.Minute)})
			hour(g, noon.Add(time.Hour), schedule.BandHour{Low: bandM, Worst: 9 * s, WorstAt: radio.HostTime(time.Hour)})
		}, `[{"low":868000000,"high":868600000,"allowed_s":36,"used_s":0,"worst_s":9,"worst_at":"2026-11-29T12:01:00Z"}]`},
		{"an hour at an unknown time", func(_ *testing.T, g *bridge.GatewayAirtime) {
			hour(g, time.Time{}, schedule.BandHour{Low: bandM, Worst: 9 * s, WorstAt: radio.HostTime(time.Minute)})
		}, `[{"low":868000000,"high":868600000,"allowed_s":36,"used_s":0,"worst_s":9}]`},
		{"an hour with the plan of before", func(_ *testing.T, g *bridge.GatewayAirtime) {
			hour(g, noon, schedule.BandHour{Low: 923_000_000, Worst: 9 * s})
			hour(g, noon, schedule.BandHour{Low: bandL, Worst: s})
		}, `[{"low":865000000,"high":868000000,"allowed_s":36,"used_s":0,"worst_s":1,"worst_at":"2026-11-29T12:00:00Z"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gateway(t, "EU_863_870_TTN")
			tt.make(t, g)
			if got := text(t, gatewayOf(g).SubBands); got != tt.want {
				t.Errorf("\ngot  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A limit of the dwell time is told where the plan has one.
func TestDwellTime(t *testing.T) {
	for plan, want := range map[string]string{
		"EU_863_870_TTN": `{"gateway_id":"gw1","frequency_plan_id":"EU_863_870_TTN","enforce_duty_cycle":true,"sub_bands":[]}`,
		"AS_920_923": `{"gateway_id":"gw1","frequency_plan_id":"AS_920_923","enforce_duty_cycle":true,"dwell_time_s":0.4,` +
			`"sub_bands":[]}`,
	} {
		if got := text(t, gatewayOf(gateway(t, plan))); got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	}
}

func TestHours(t *testing.T) {
	east := time.FixedZone("east", 2*3600)
	bands := []schedule.BandHour{{
		Low: bandM, Emissions: 7, Airtime: 1500 * time.Millisecond, Worst: 2 * time.Second,
		WorstAt: radio.HostTime(25*time.Hour + 30*time.Minute + 400*time.Millisecond),
	}}
	for _, tt := range []struct {
		name  string
		began time.Time
		bands []schedule.BandHour
		want  string
	}{
		{
			"a time of another zone, to the second", time.Date(2026, 1, 1, 1, 0, 7, 900_000_000, east), bands,
			`{"began":"2025-12-31T23:00:07Z","sub_bands":[{"low":868000000,"emissions":7,"airtime_s":1.5,"worst_s":2,` +
				`"worst_at":"2025-12-31T23:30:07Z"}]}`,
		},
		{
			"an unknown time",
			time.Time{},
			bands,
			`{"sub_bands":[{"low":868000000,"emissions":7,"airtime_s":1.5,"worst_s":2}]}`,
		},
		{"nothing was sent", time.Time{}, nil, `{"sub_bands":[]}`},
	} {
		if got := text(t, hourOf(tt.began, tt.bands)); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestEmissions(t *testing.T) {
	const now = radio.HostTime(5000 * time.Second) // beyond 31 bits of µs
	for _, tt := range []struct {
		name string
		sent schedule.Sent
		want string
	}{
		{"of an application", schedule.Sent{
			SubBand: bandP, Frequency: 869_525_000, Start: now - radio.HostTime(1500400000), Counter: 1 << 40,
			Airtime: 46336 * time.Microsecond, Priority: radio.PriorityNormal,
			Why: schedule.Why{Device: "app1/dev1", Window: "RX2", What: schedule.Item},
		}, `{"start_us":4998499600,"counter_us":1099511627776,"airtime_us":46336,"age_s":1.5,"sub_band":869400000,` +
			`"frequency":869525000,"priority":"NORMAL","device":"app1/dev1","window":"RX2","what":"application"}`},
		{"still to come", schedule.Sent{
			SubBand: bandM, Frequency: 868_100_000, Start: now + radio.HostTime(2*time.Second), Airtime: time.Second,
			Priority: radio.PriorityHighest, Why: schedule.Why{What: schedule.JoinAccept},
		}, `{"start_us":5002000000,"counter_us":0,"airtime_us":1000000,"age_s":-2,"sub_band":868000000,` +
			`"frequency":868100000,"priority":"HIGHEST","what":"join-accept"}`},
		{
			"before the start",
			schedule.Sent{SubBand: bandM, Airtime: 36 * time.Second, Priority: radio.PriorityHighest},
			`{"start_us":0,"counter_us":0,"airtime_us":36000000,"age_s":5000,"sub_band":868000000,"what":"unknown"}`,
		},
	} {
		if got := text(t, emissionOf(&tt.sent, now)); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// The answer about a gateway has its hours and emissions with the proof alone, in this
// order, and ends where nobody takes it any more.
func TestParts(t *testing.T) {
	g := gateway(t, "EU_863_870_TTN")
	hour(g, time.Time{}, schedule.BandHour{Low: bandM})
	hour(g, time.Time{}, schedule.BandHour{Low: bandM})
	g.Sent = []schedule.Sent{{SubBand: bandM}, {SubBand: bandM}}
	gone := errors.New("the client has gone")
	for _, tt := range []struct {
		name  string
		proof bool
		most  int // parts that are taken
		want  string
	}{
		{"without the proof", false, 9, "gateway"},
		{"with it", true, 9, "gateway hour hour emission emission"},
		{"nothing is taken", true, 0, "gateway"},
		{"the client goes during the hours", true, 2, "gateway hour hour"},
		{"the client goes during the emissions", true, 3, "gateway hour hour emission"},
	} {
		var got []string
		err := Parts(g, tt.proof, 1, func(v any) error {
			kind, _, _ := strings.Cut(strings.TrimPrefix(text(t, v), `{"`), `"`)
			if got = append(got, kind); len(got) > tt.most {
				return gone
			}
			return nil
		})
		if cut := len(got) > tt.most; strings.Join(got, " ") != tt.want || errors.Is(err, gone) != cut || !cut && err != nil {
			t.Errorf("%s: %v, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}
