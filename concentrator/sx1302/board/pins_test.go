package board

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

type testPin struct {
	name string
	log  *[]string
	err  error
}

func (p testPin) Set(high bool) error {
	level := " low"
	if high {
		level = " high"
	}
	*p.log = append(*p.log, p.name+level)
	return p.err
}

func TestPins(t *testing.T) {
	var log []string
	pin := func(name string) Pin { return testPin{name: name, log: &log} }
	tests := []struct {
		name string
		pins Pins
		want []string
	}{
		{"reset only", Pins{Reset: pin("reset")}, []string{"reset high", "reset low"}},
		{"all", Pins{Power: pin("power"), Reset: pin("reset"), SX1261Reset: pin("sx1261")}, []string{
			"power high", "reset high", "reset low", "sx1261 low", "sx1261 high",
		}},
		{"none", Pins{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log = nil
			tt.pins.Sleep = noSleep
			if err := tt.pins.Cycle(t.Context()); err != nil || !slices.Equal(log, tt.want) {
				t.Errorf("Cycle: %v, %v; want %v", log, err, tt.want)
			}
		})
	}
	bad := errors.New("busy")
	err := Pins{Reset: testPin{"reset", &log, bad}, Sleep: noSleep}.Cycle(t.Context())
	if !errors.Is(err, bad) || !strings.Contains(err.Error(), "SX1302 reset") {
		t.Errorf("Cycle: %v", err)
	}
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }
