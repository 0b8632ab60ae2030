package concentrator

import "strings"

// Metric is a number that a driver reports about itself.
type Metric struct {
	Name  string // without the program's prefix: "gwmp_datagrams_total"
	Help  string // one sentence
	Value float64
	Gauge bool // it rises and falls; otherwise it only rises, and its name ends in "_total"

	// Labels are pairs of a name and a value. Metrics of one name follow each other.
	Labels []string
}

// CheckMetrics tests that each metric has a unique name and labels in the form of the
// exposition format, and that the metrics in want have their values.
func CheckMetrics(t Tester, got []Metric, want map[string]float64) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range got {
		sample := strings.Join(append([]string{m.Name}, m.Labels...), " ")
		if !isMetricName(m.Name) || seen[sample] || len(m.Labels)%2 != 0 || strings.HasSuffix(m.Name, "_total") == m.Gauge ||
			!strings.HasSuffix(m.Help, ".") {
			t.Errorf("%+v", m)
		}
		seen[m.Name], seen[sample] = true, true
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

// isMetricName reports whether a name is valid in the exposition format, in our
// form: words of lower-case letters and digits.
func isMetricName(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
