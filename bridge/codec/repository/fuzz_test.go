package repository

import (
	"testing"
	"time"

	"lorawand/radio/fuzztest"
)

// Reading any files ends soon, with codecs that can be used or with faults.
func FuzzRead(f *testing.F) {
	all := files(nil)
	f.Add(string(all["acme/sensor.yaml"].Data), string(all["acme/sensor-codec.yaml"].Data))
	f.Add(string(all["acme/meter.yaml"].Data),
		uplink+"{input: {fPort: 2, bytes: [0]}, output: {data: {a: &x [1], b: *x}}}\n")
	f.Add(bomb()+"firmwareVersions: *a8\n", bomb()+"uplinkDecoder: *a8\n")
	f.Add("firmwareVersions: &a [*a]", "uplinkDecoder: {fileName: ../x}")
	f.Add("<<: *x\n? [a]\n: !!binary x\n", "!!float x: .nan")
	f.Fuzz(fuzztest.Quick(func(t *testing.T, model, codec string) {
		begin := time.Now()
		changed := map[string]string{"acme/sensor.yaml": model, "acme/sensor-codec.yaml": codec}
		s, err := Read(files(changed), []Name{{"acme", "sensor"}}, nil)
		if err != nil || len(s.Models)+len(s.Faults) != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		for _, m := range s.Models {
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		}
		for i := range s.Examples {
			_, _ = s.Examples[i].Request()
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	}))
}
