// Package metrics writes the metrics of the daemon in the text format of Prometheus.
package metrics

import "strconv"

// Metric is a number that a driver has named.
type Metric struct {
	Name  string // without metricPrefix
	Help  string
	Value float64
	Gauge bool // it rises and falls; else it only rises

	// Labels are pairs of a name and a value. Metrics of one name follow each other.
	Labels []string
}

const metricPrefix = "lorawand_"

// Exposition is text in the format of Prometheus, version 0.0.4.
type Exposition struct {
	b    []byte
	last string // name of the last family of a driver
}

// Bytes returns the text.
func (e *Exposition) Bytes() []byte { return e.b }

// Family begins the samples of a name.
func (e *Exposition) Family(name, kind, help string) {
	e.b = append(e.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// Sample adds a value; labels are pairs of name and value.
func (e *Exposition) Sample(name string, v float64, labels ...string) {
	e.b = append(e.b, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		e.b = append(e.b, "{,"[min(i, 1)])
		e.b = append(append(e.b, labels[i]...), '=')
		e.b = strconv.AppendQuote(e.b, labels[i+1])
	}
	if len(labels) > 0 {
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, ' ')
	e.b = append(strconv.AppendFloat(e.b, v, 'f', -1, 64), '\n')
}

// Counter adds a number that only rises.
func (e *Exposition) Counter(name, help string, v uint64) {
	e.Family(name, "counter", help)
	e.Sample(name, float64(v))
}

// Gauge adds a number that rises and falls.
func (e *Exposition) Gauge(name, help string, v float64) {
	e.Family(name, "gauge", help)
	e.Sample(name, v)
}

// Metric adds a number that a driver has named.
func (e *Exposition) Metric(m Metric) {
	kind := "counter"
	if m.Gauge {
		kind = "gauge"
	}
	if e.last != m.Name {
		e.Family(metricPrefix+m.Name, kind, m.Help)
	}
	e.last = m.Name
	e.Sample(metricPrefix+m.Name, m.Value, m.Labels...)
}
