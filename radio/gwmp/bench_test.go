package gwmp

import "testing"

// One frame as Semtech's forwarder of sx1302_hal writes it, 33 bytes of PHYPayload.
const benchBody = `{"rxpk":[{"jver":1,"tmst":3512348514,"time":"2026-11-22T08:09:06.544321Z","chan":2,"rfch":0,"freq":868.500000,"mid": 8,"stat":1,` +
	`"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssis":-36,"lsnr":9.8,"foff":-713,"rssi":-35,"size":33,` +
	`"data":"QO/Nq4GABQAPAQIDBAUGBwgJCgsMDQ4PEBESExRSxmEO"}]}`

func BenchmarkParsePush(b *testing.B) {
	body := []byte(benchBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p, err := ParsePush(body); err != nil || len(p.Uplinks) != 1 {
			b.Fatalf("%+v, %v", p, err)
		}
	}
}
