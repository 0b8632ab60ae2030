package enddevice

import (
	"encoding/json"
	"testing"
)

// Exponents of MAC commands are read by name or number, and are written by name.
func TestExponents(t *testing.T) {
	tests := []struct {
		name, json string
		want       int // -1: none
		word       string
	}{
		{"least word", `"DUTY_CYCLE_1"`, 0, "DUTY_CYCLE_1"},
		{"largest word", `"DUTY_CYCLE_32768"`, 15, "DUTY_CYCLE_32768"},
		{"number", `3`, 3, "DUTY_CYCLE_8"},
		{"wrapped word", `{"value":"DUTY_CYCLE_16"}`, 4, "DUTY_CYCLE_16"},
		{"null", `null`, -1, ""},
		{"empty word", `""`, -1, ""},
		{"word beyond the largest", `"DUTY_CYCLE_65536"`, -1, ""},
		{"word of another enumeration", `"ADR_ACK_LIMIT_8"`, -1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e enum[dutyCycleNames]
			if err := json.Unmarshal([]byte(tt.json), &e); err != nil {
				t.Fatal(err)
			}
			n, got := e.exponent(), -1
			if n != nil {
				got = int(*n)
			}
			if word := wordOf[dutyCycleNames](n); got != tt.want || string(word) != tt.word {
				t.Errorf("%d, %q; want %d, %q", got, word, tt.want, tt.word)
			}
		})
	}
	if n := enum[rejoinNames]("REJOIN_TIME_15").exponent(); n == nil || *n != 15 {
		t.Errorf("REJOIN_TIME_15 is %v", n)
	}
	if word := wordOf[ackDelayNames](new(uint8)); word != "ADR_ACK_DELAY_1" {
		t.Errorf("ADR_ACK_DELAY of 2^0 is %s", word)
	}
}
