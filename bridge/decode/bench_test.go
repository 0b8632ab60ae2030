package decode

import "testing"

// BenchmarkLocation is what a decoded uplink costs besides, to find where it places
// its device.
func BenchmarkLocation(b *testing.B) {
	const weather = `{"battery":3.3,"flags":["door","rain"],"humidity":45,"pressure":1013.2,"status":"ok",` +
		`"temperature":23.5,"time":"2026-11-28T16:34:28.000Z","wind":{"direction":270,"name":"W","speed":4.5}`
	for _, bb := range []struct {
		name, payload string
		placed        bool
	}{
		{"none", weather + `}`, false},
		{"members", weather + `,"latitude":42.3519,"longitude":-87.9094,"altitude":10}`, true},
		{"gps", weather + `,"gps_1":{"altitude":10,"latitude":42.3519,"longitude":-87.9094}}`, true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			payload := []byte(bb.payload)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := locationIn(payload); ok != bb.placed {
					b.Fatalf("a place: %v", ok)
				}
			}
		})
	}
}
