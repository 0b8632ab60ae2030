package concentrator

import "strings"

// Metric is a number that a driver tells of itself.
type Metric struct {
	Name  string // without what tells the program: "gwmp_datagrams_total"
	Help  string // one sentence
	Value float64
	Gauge bool // it rises and falls; else it only rises, and its name ends in "_total"
}

// CheckMetrics tests that each metric has a name of the form that the exposition
// format wants, once, and that those in want are there.
func CheckMetrics(t Tester, got []Metric, want map[string]float64) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range got {
		if !isMetricName(m.Name) || seen[m.Name] || strings.HasSuffix(m.Name, "_total") == m.Gauge ||
			!strings.HasSuffix(m.Help, ".") {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
		if v, ok := want[m.Name]; ok && v != m.Value {
			t.Errorf("%s is %v, want %v", m.Name, m.Value, v)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}

// isMetricName tells whether a name is one of the exposition format, as we write
// them: words of small letters and digits.
func isMetricName(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
