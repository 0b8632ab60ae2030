package concentrator

import (
	"fmt"
	"testing"
)

type failures []string

func (*failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *failures) Fatalf(format string, args ...any) { f.Errorf(format, args...) }

func TestCheckMetrics(t *testing.T) {
	good := Metric{"a_frames_total", "Frames.", 3, false, nil}
	for name, tt := range map[string]struct {
		got   []Metric
		fails bool
	}{
		"good":                         {[]Metric{good, {"a_delay_seconds", "Delay.", 0.5, true, nil}}, false},
		"another value":                {[]Metric{{good.Name, good.Help, 4, false, nil}}, true},
		"not there":                    {nil, true},
		"twice":                        {[]Metric{good, good}, true},
		"a capital":                    {[]Metric{good, {"a_Frames_total", "Frames.", 3, false, nil}}, true},
		"begins with a digit":          {[]Metric{good, {"1_frames_total", "Frames.", 3, false, nil}}, true},
		"no name":                      {[]Metric{good, {"", "Frames.", 3, false, nil}}, true},
		"a counter that is no total":   {[]Metric{good, {"b", "Frames.", 3, false, nil}}, true},
		"a gauge that calls itself so": {[]Metric{good, {"b_total", "Frames.", 3, true, nil}}, true},
		"labels": {
			[]Metric{good, {"b", "B.", 1, true, []string{"x", "1"}}, {"b", "B.", 2, true, []string{"x", "2"}}}, false,
		},
		"the same labels": {
			[]Metric{good, {"b", "B.", 1, true, []string{"x", "1"}}, {"b", "B.", 2, true, []string{"x", "1"}}}, true,
		},
		"a label without a value": {[]Metric{good, {"b", "B.", 1, true, []string{"x"}}}, true},
		"no sentence":             {[]Metric{good, {"b_total", "", 3, false, nil}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var f failures
			CheckMetrics(&f, tt.got, map[string]float64{"a_frames_total": 3})
			if (len(f) > 0) != tt.fails {
				t.Errorf("%q", f)
			}
		})
	}
}
