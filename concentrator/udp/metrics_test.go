package udp

import (
	"testing"

	"lorawand/concentrator"
)

func TestMetrics(t *testing.T) {
	s := Stats{Datagrams: 3, Panics: 1}
	concentrator.CheckMetrics(t, s.Metrics(),
		map[string]float64{"gwmp_datagrams_total": 3, "gwmp_faults_total": 1, "gwmp_malformed_total": 0})
}
