//go:build !small

package formatter

import (
	"os"
	"slices"
	"testing"
	"time"
)

// decoder is a script of 200 lines, as device makers write them, and an uplink
// for it.
func decoder(b testing.TB) Request {
	source, err := os.ReadFile("testdata/weather.js")
	if err != nil {
		b.Fatal(err)
	}
	return Request{
		Formatter: javaScript(b, string(source)), Task: DecodeUplink, FPort: 2, Received: time.Unix(1795883668, 0),
		Bytes: []byte{
			0x01, 0x01, 0x0c, 0xe4, 0x02, 0x00, 0xeb, 0x03, 0x5a, 0x04, 0x27, 0x94, 0x05, 0x00, 0x2d, 0x01, 0x0e,
			0x06, 0x03, 0x06, 0x76, 0x5f, 0xf2, 0x96, 0x0a, 0x00, 0x64, 0x07, 0x03, 0x08, 0x6f, 0x6b,
		},
	}
}

func TestWeatherScript(t *testing.T) {
	r := newPool(t, Options{}).Do(within(t, 2*time.Minute), decoder(t))
	const want = `{"battery":3.3,"flags":["door","rain"],"gps":{"altitude":100,"latitude":42.3519,"longitude":-87.9094},"humidity":45,` +
		`"pressure":1013.2,"status":"ok","summary":"temperature=23.5 humidity=45 pressure=1013.2","temperature":23.5,"time":"2026-11-28T16:34:28.000Z","version":1,` +
		`"wind":{"direction":270,"name":"W","speed":4.5}}`
	if string(r.Data) != want || r.Fail != nil {
		t.Errorf("%s, %v", r.Data, r.Fail)
	}
	if len(r.Normalized) != 1 || string(r.Normalized[0]) != `{"air":{"pressure":1013.2,"relativeHumidity":45,"temperature":23.5},"wind":{"direction":270,"speed":4.5}}` {
		t.Errorf("%s, %q", r.Normalized, r.NormalizedWarnings)
	}
}

// BenchmarkDecode is a decoded uplink, with the way to the child and back: one
// after another, which is as many as can be decoded a second.
func BenchmarkDecode(b *testing.B) {
	p, r := newPool(b, Options{}), decoder(b)
	ctx := within(b, time.Minute)
	p.Do(ctx, r)
	var child time.Duration
	var took []time.Duration
	b.ReportAllocs()
	own := cpuTime()
	for b.Loop() {
		res := p.Do(ctx, r)
		if res.Fail != nil {
			b.Fatal(res.Fail)
		}
		child += res.Cost.CPU
		took = append(took, res.Cost.Wall)
	}
	own = cpuTime() - own
	n := time.Duration(len(took))
	slices.Sort(took)
	b.ReportMetric(float64((own / n).Microseconds()), "daemon-CPU-µs/op")
	b.ReportMetric(float64((child / n).Microseconds()), "child-CPU-µs/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "uplinks/s")
	r.Measure = true
	res := p.Do(ctx, r)
	b.ReportMetric(float64(res.Cost.Allocated), "child-B/op")
	b.ReportMetric(float64(res.Cost.RSS)/1e6, "child-MB")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStart is the start of a child until it has decoded an uplink.
func BenchmarkStart(b *testing.B) {
	r := decoder(b)
	for b.Loop() {
		p := newPool(b, Options{})
		if res := p.Do(within(b, time.Minute), r); res.Fail != nil {
			b.Fatal(res.Fail)
		}
	}
}

func BenchmarkCayenneLPP(b *testing.B) {
	r := Request{Formatter: NewCayenneLPP(false), Task: DecodeUplink, Bytes: []byte{
		3, 0x67, 1, 0x10, 1, 0x88, 6, 0x76,
		0x5f, 0xf2, 0x96, 0x0a, 0, 3, 0xe8,
	}}
	b.ReportAllocs()
	for b.Loop() {
		if res, _ := direct(r); res.Fail != nil {
			b.Fatal(res.Fail)
		}
	}
}
