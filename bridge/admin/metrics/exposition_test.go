package metrics

import "testing"

// A metric is written as Prometheus reads it, however large or odd its values.
func TestExposition(t *testing.T) {
	tests := []struct {
		name string
		add  func(*Exposition)
		want string
	}{
		{
			"counter", func(e *Exposition) { e.Counter("n_total", "Frames.", 7) },
			"# HELP n_total Frames.\n# TYPE n_total counter\nn_total 7\n",
		},
		{"large counter without exponent", func(e *Exposition) { e.Sample("n", 1<<53) }, "n 9007199254740992\n"},
		{
			"gauge below one", func(e *Exposition) { e.Gauge("n", "Share.", 0.0005) },
			"# HELP n Share.\n# TYPE n gauge\nn 0.0005\n",
		},
		{"negative", func(e *Exposition) { e.Sample("n", -2.5) }, "n -2.5\n"},
		{"one label", func(e *Exposition) { e.Sample("n", 1, "a", "b") }, "n{a=\"b\"} 1\n"},
		{
			"three labels", func(e *Exposition) { e.Sample("n", 0, "a", "1", "b", "2", "c", "3") },
			"n{a=\"1\",b=\"2\",c=\"3\"} 0\n",
		},
		{
			"label with quote, backslash and line end", func(e *Exposition) { e.Sample("n", 1, "a", "\"\\\n") },
			"n{a=\"\\\"\\\\\\n\"} 1\n",
		},
		{"empty label", func(e *Exposition) { e.Sample("n", 1, "a", "") }, "n{a=\"\"} 1\n"},
		{
			"counter of a driver", func(e *Exposition) { e.Metric(Metric{"x_total", "X.", 3, false, nil}) },
			"# HELP lorawand_x_total X.\n# TYPE lorawand_x_total counter\nlorawand_x_total 3\n",
		},
		{
			"gauge of a driver", func(e *Exposition) { e.Metric(Metric{"x", "X.", 3, true, nil}) },
			"# HELP lorawand_x X.\n# TYPE lorawand_x gauge\nlorawand_x 3\n",
		},
		{
			"labels of a driver", func(e *Exposition) {
				e.Metric(Metric{"x", "X.", 3, true, []string{"a", "1"}})
				e.Metric(Metric{"x", "X.", 4, true, []string{"a", "2"}})
			},
			"# HELP lorawand_x X.\n# TYPE lorawand_x gauge\nlorawand_x{a=\"1\"} 3\nlorawand_x{a=\"2\"} 4\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e Exposition
			tt.add(&e)
			if string(e.b) != tt.want {
				t.Errorf("%q, want %q", e.b, tt.want)
			}
		})
	}
}
