package sx1302

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"lorawand/concentrator"
)

// Counts of drivers one after another add up, and each has a metric of its own.
func TestMetrics(t *testing.T) {
	var s DriverStats
	fill(reflect.ValueOf(&s).Elem())
	sum := s.Plus(s)
	if sum.JIT.MinLead != s.JIT.MinLead || sum.JIT.LastLead != s.JIT.LastLead || sum.JIT.Late != s.JIT.Late {
		t.Errorf("%+v", sum.JIT)
	}
	concentrator.CheckMetrics(t, sum.Metrics(), map[string]float64{
		"concentrator_starts_total": float64(2 * s.Starts), "concentrator_least_lead_seconds": s.JIT.MinLead.Seconds(),
	})
	for _, m := range sum.Metrics() {
		if m.Value == 0 || !m.Gauge && int64(m.Value)%2 != 0 {
			t.Errorf("%+v is not that of two drivers", m)
		}
	}
	if early := (DriverStats{}).Plus(s); early != s {
		t.Errorf("%+v, want %+v", early, s)
	}
}

// TestNoiseMetric: each channel of a gateway has a metric.
func TestNoiseMetric(t *testing.T) {
	a, b := Noise{868_100_000, -112_00}, Noise{868_300_000, -96_50}
	got := []concentrator.Metric{a.Metric(testEUI), b.Metric(testEUI)}
	concentrator.CheckMetrics(t, got, map[string]float64{})
	if want := []string{"gateway", "0016C001F1234567", "frequency", "868300000"}; got[1].Value != -96.5 ||
		!got[1].Gauge || !slices.Equal(got[1].Labels, want) {
		t.Errorf("%+v", got[1])
	}
}

// fill gives each number of a struct a value of its own, odd for counts.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			fill(f)
		case reflect.Uint64:
			f.SetUint(uint64(2*i + 1))
		case reflect.Int64:
			f.SetInt(int64(time.Second) + int64(i))
		}
	}
}
