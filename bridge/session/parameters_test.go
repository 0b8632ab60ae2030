package session

import (
	"encoding/json"
	"reflect"
	"testing"
)

// Parameters of stores of every version are read, and are written in numbers.
func TestStoredParameters(t *testing.T) {
	n := func(v uint8) *uint8 { return &v }
	tests := []struct {
		name, stored string
		want         Parameters
	}{
		{"nothing told", `{"RX1Delay":5}`, Parameters{RX1Delay: 5}},
		{
			"numbers", `{"RX1Delay":5,"ADRAckLimitExp":6,"ADRAckDelayExp":0,"MaxDutyCycle":15,"RejoinTimePeriod":1}`,
			Parameters{RX1Delay: 5, ADRAckLimitExp: n(6), ADRAckDelayExp: n(0), MaxDutyCycle: n(15), RejoinTimePeriod: n(1)},
		},
		{
			"words", `{"RX1Delay":5,"ADRAckLimitExp":"ADR_ACK_LIMIT_64","ADRAckDelayExp":"ADR_ACK_DELAY_32",` +
				`"MaxDutyCycle":"DUTY_CYCLE_1","RejoinTimePeriod":"REJOIN_TIME_3"}`,
			Parameters{RX1Delay: 5, ADRAckLimitExp: n(6), ADRAckDelayExp: n(5), MaxDutyCycle: n(0), RejoinTimePeriod: n(3)},
		},
		{
			"the largest words", `{"ADRAckLimitExp":"ADR_ACK_LIMIT_32768","RejoinTimePeriod":"REJOIN_TIME_15"}`,
			Parameters{ADRAckLimitExp: n(15), RejoinTimePeriod: n(15)},
		},
		{"empty words", `{"ADRAckLimitExp":"","ADRAckDelayExp":"","MaxDutyCycle":"","RejoinTimePeriod":""}`, Parameters{}},
		{"null", `{"ADRAckLimitExp":null,"MaxDutyCycle":null}`, Parameters{}},
		{"words that say no number", `{"ADRAckLimitExp":"ADR_ACK_LIMIT_","ADRAckDelayExp":"ADR_ACK_DELAY_33",` +
			`"MaxDutyCycle":"DUTY_CYCLE_0","RejoinTimePeriod":"REJOIN_TIME_16"}`, Parameters{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, again Parameters
			if err := json.Unmarshal([]byte(tt.stored), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("%+v, %v; want %+v", got, err, tt.want)
			}
			b, err := json.Marshal(&got)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again, tt.want) {
				t.Errorf("%s gives %+v, %v", b, again, err)
			}
		})
	}
	var p Parameters
	if err := json.Unmarshal([]byte(`{"MaxDutyCycle":256}`), &p); err == nil {
		t.Error("256 is no number of a MAC command")
	}
}

// A device with words in both of its sessions is read as a whole.
func TestStoredDeviceWithWords(t *testing.T) {
	d, err := UnmarshalDevice([]byte(`{"Session":{"Parameters":{"RX2DataRate":3,"MaxDutyCycle":"DUTY_CYCLE_8"}},` +
		`"Pending":{"Parameters":{"ADRAckLimitExp":"ADR_ACK_LIMIT_2"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	used, pending := d.Session.Parameters, d.Pending.Parameters
	if used.RX2DataRate != 3 || used.MaxDutyCycle == nil || *used.MaxDutyCycle != 3 {
		t.Errorf("session %+v", used)
	}
	if pending.ADRAckLimitExp == nil || *pending.ADRAckLimitExp != 1 {
		t.Errorf("pending session %+v", pending)
	}
}
