//go:build !mips && !mipsle

package chirpstack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brocaar/chirpstack-api/go/v3/gw"
	"github.com/golang/protobuf/proto"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// random are the parts of a message that differ each time.
var random = regexp.MustCompile(`"uplinkId":\d+|"context":"[^"]*"`)

// An uplink in JSON, word for word as ChirpStack 4 names its fields.
func TestUplinkJSON(t *testing.T) {
	lora := radio.Uplink{
		Gateway: gwA, PHYPayload: []byte{1, 2, 3}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(12, 125_000),
		CodingRate:  radio.CodingRate46,
		GatewayTime: time.Date(2026, 11, 29, 22, 0, 0, 5_000_000, time.UTC), GPS: 1_480_000_000_123_456_789,
		Receptions: []radio.Reception{
			{Antenna: 1, Channel: 7, RSSI: -12049, SNR: -1325, HasFineTimestamp: true, FineTimestamp: 999_000_001},
		},
	}
	fsk := radio.Uplink{
		Gateway: gwA, PHYPayload: []byte{9}, Frequency: 868_800_000, DataRate: radio.FSKDataRate(50_000),
		Receptions: []radio.Reception{{RSSI: -50}},
	}
	place := &radio.Place{Latitude: 52.5, Longitude: -4.25, Altitude: 12}
	for _, tt := range []struct {
		up    radio.Uplink
		place *radio.Place
		want  string
	}{
		{lora, place, `{"phyPayload":"AQID","txInfo":{"frequency":868100000,"modulation":{"lora":{"bandwidth":125000,` +
			`"spreadingFactor":12,"codeRate":"CR_4_6"}}},"rxInfo":{"gatewayId":"0a00000000000001","uplinkId":1,` +
			`"gwTime":"2026-11-29T22:00:00.005Z","timeSinceGpsEpoch":"1480000000.123456789s",` +
			`"fineTimeSinceGpsEpoch":"1480000000.999000001s","rssi":-120,"snr":-13.25,"channel":7,"antenna":1,` +
			`"location":{"latitude":52.5,"longitude":-4.25,"altitude":12},"context":"","crcStatus":"CRC_OK"}}`},
		{fsk, nil, `{"phyPayload":"CQ==","txInfo":{"frequency":868800000,"modulation":{"fsk":{"datarate":50000}}},` +
			`"rxInfo":{"gatewayId":"0a00000000000001","uplinkId":1,"rssi":-1,"context":"","crcStatus":"CRC_OK"}}`},
	} {
		got := jsonForm{}.uplink(&heard{tt.up, 7, tt.place})
		text := random.ReplaceAllStringFunc(string(got), func(s string) string {
			return map[bool]string{true: `"uplinkId":1`, false: `"context":""`}[strings.HasPrefix(s, `"u`)]
		})
		if text != tt.want {
			t.Errorf("%s\nwant %s", text, tt.want)
		}
		b := protobuf{}.uplink(&heard{tt.up, 7, tt.place})
		var m gw.UplinkFrame
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		checkProtobuf(t, &m, &tt.up)
	}
}

// checkProtobuf compares an uplink as ChirpStack 3 reads it.
func checkProtobuf(t *testing.T, m *gw.UplinkFrame, up *radio.Uplink) {
	t.Helper()
	r, rx, tx := &up.Receptions[0], m.RxInfo, m.TxInfo
	if !bytes.Equal(m.PhyPayload, up.PHYPayload) || !bytes.Equal(rx.GatewayId, up.Gateway[:]) || len(rx.UplinkId) != 16 ||
		rx.CrcStatus != gw.CRCStatus_CRC_OK || rx.Channel != uint32(r.Channel) || rx.Antenna != uint32(r.Antenna) ||
		rx.LoraSnr != float64(r.SNR)/100 || tx.Frequency != uint32(up.Frequency) {
		t.Errorf("%v", m)
	}
	if up.DataRate.Modulation == radio.FSK {
		if tx.Modulation.String() != "FSK" || tx.GetFskModulationInfo().GetDatarate() != 50_000 || rx.Rssi != -1 ||
			rx.Time != nil {
			t.Errorf("%v", m)
		}
		return
	}
	l := tx.GetLoraModulationInfo()
	if tx.Modulation.String() != "LORA" || l.GetBandwidth() != 125 || l.GetSpreadingFactor() != 12 ||
		l.GetCodeRate() != "4/6" ||
		rx.Rssi != -120 || rx.Time.GetNanos() != 5_000_000 || rx.TimeSinceGpsEpoch.GetSeconds() != 1_480_000_000 ||
		rx.GetPlainFineTimestamp().GetTime().GetNanos() != 999_000_001 || rx.Location.GetLongitude() != -4.25 {
		t.Errorf("%v", m)
	}
}

// Each gateway is there as long as it is connected to us, and the network is told at once when it is not,
// also by the broker.
func TestConnState(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		s.connect(gwB)
		s.Gateway(gwB, false, nil)
		if got := s.retained(topic(gwB, "state/conn")); !bytes.Equal(got, s.state(gwB, false)) {
			s.Errorf("it is gone: %q", got)
		}
		s.Gateway(gwB, true, nil)
		s.Gateway(gwB, false, nil)
		s.Gateway(gwB, true, nil)
		time.Sleep(3 * afterEnd)
		s.connect(gwB)
		s.cut(true)
		time.Sleep(10 * time.Second)
		for _, g := range []radio.EUI64{gwA, gwB} {
			if got := s.retained(topic(g, "state/conn")); !bytes.Equal(got, s.state(g, false)) {
				s.Errorf("after a cut: %q", got)
			}
		}
		s.hear(gwA, 1, false)
		st := s.States()[0]
		if st.Answered != 0 || st.Gateways != 2 || st.Lost != 1 || st.Silence < 9*time.Second ||
			!strings.Contains(st.Fault, "no route to host") {
			s.Errorf("%+v", st)
		}
		s.cut(false)
		time.Sleep(time.Minute)
		s.connect(gwA)
		s.hear(gwA, 1, false)
		if st := s.States()[0]; st.Answered != 2 || st.Lost != 1 || st.Forwarded != 1 {
			s.Errorf("%+v", st)
		}
		s.stop()
		if got := s.retained(topic(gwA, "state/conn")); !bytes.Equal(got, s.state(gwA, false)) {
			s.Errorf("at the end: %q", got)
		}
		if got := fmt.Sprint(s.told); strings.Count(got, "cs:1883 1 connected") != 2 ||
			strings.Count(got, "cs:1883 1 the connection has ended") != 1 {
			s.Errorf("people are told %q", s.told)
		}
	})
}

// A status comes at once and then each 30 s, with what has happened since the one before.
func TestStats(t *testing.T) {
	inForms(t, func(s *stand) {
		s.Gateway(gwA, true, &radio.Place{Latitude: 52.5, Longitude: -4.25, Altitude: 12})
		if n := len(s.take(topic(gwA, "event/stats"))); n != 1 {
			s.Fatalf("%d statuses at once", n)
		}
		for range 3 {
			s.hear(gwA, 1, false)
		}
		s.hear(gwA, 1, true) // is heard too
		for i, answer := range []radio.TxResult{radio.TxOK, radio.TxTooLate} {
			s.down(gwA, gwA, uint32(i), want{"x", 869_525_000, "now", 0, nil, 7})
			s.answer(foreign.Result{Answer: answer})
		}
		time.Sleep(31 * time.Second)
		stats := s.take(topic(gwA, "event/stats"))
		if len(stats) != 1 {
			s.Fatalf("%d statuses in 31 s", len(stats))
		}
		want := `{"gatewayId":"0a00000000000001","time":"2000-01-01T00:00:30Z","location":{"latitude":52.5,` +
			`"longitude":-4.25,"altitude":12},"rxPacketsReceived":4,"rxPacketsReceivedOk":4,"txPacketsReceived":2,` +
			`"txPacketsEmitted":1,"txPacketsPerFrequency":{"869525000":1},"rxPacketsPerFrequency":{"868300000":4},` +
			`"txPacketsPerStatus":{"OK":1,"TOO_LATE":1}}`
		if s.form == "json" && string(stats[0]) != want {
			s.Errorf("%s\nwant %s", stats[0], want)
		}
		if s.form == "protobuf" {
			var m gw.GatewayStats
			if err := proto.Unmarshal(stats[0], &m); err != nil || !bytes.Equal(m.GatewayId, gwA[:]) || len(m.StatsId) != 16 ||
				m.RxPacketsReceived != 4 || m.RxPacketsReceivedOk != 4 || m.TxPacketsReceived != 2 || m.TxPacketsEmitted != 1 ||
				m.TxPacketsPerFrequency[869_525_000] != 1 || m.RxPacketsPerFrequency[868_300_000] != 4 ||
				m.TxPacketsPerStatus["TOO_LATE"] != 1 || m.Location.GetLatitude() != 52.5 || m.Time.GetSeconds() != 946_684_830 {
				s.Errorf("%v, %v", &m, err)
			}
		}
		time.Sleep(30 * time.Second)
		if next := s.take(topic(gwA, "event/stats")); len(next) != 1 || len(next[0]) >= len(stats[0]) {
			s.Errorf("the next: %d", len(next))
		}
	})
}

// A gateway keeps its channels whatever a network wishes; people are told once for each wish.
func TestChannels(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		s.told = nil
		for _, version := range []string{"v1", "v1", "v2", "v1"} {
			s.wish(version)
			time.Sleep(wishEvery)
		}
		if !slices.Equal(s.told, []string{"cs:1883 1 wants v1", "cs:1883 1 wants v2", "cs:1883 1 wants v1"}) {
			s.Errorf("%q", s.told)
		}
	})
}

// A network that wishes for ever more channels, by long names, fills neither memory nor the log.
func TestWishFlood(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		s.told = nil
		for n := range 130 {
			s.wish(fmt.Sprint(n, "é\n\x1b", strings.Repeat("é", 10_000)))
			time.Sleep(time.Second)
		}
		const begin = "cs:1883 1 wants "
		want := []string{
			begin + "0é\ufffd\ufffd" + strings.Repeat("é", 60), begin + "60é\ufffd\ufffd" + strings.Repeat("é", 59),
			begin + "120é\ufffd\ufffd" + strings.Repeat("é", 58),
		}
		if !slices.Equal(s.told, want) {
			s.Errorf("%.1000q, want %q", s.told, want)
		}
		if got := name("\xff" + strings.Repeat("\xc3", 100)); got != strings.Repeat("\ufffd", 64) {
			s.Errorf("%q", got)
		}
	})
}

// wish has the network wish for channels.
func (s *stand) wish(version string) {
	s.Helper()
	b, err := json.Marshal(map[string]string{"gatewayId": hexOf(gwA), "version": version, "statsInterval": "30s"})
	if s.form == "protobuf" {
		b, err = proto.Marshal(&gw.GatewayConfiguration{
			GatewayId: gwA[:], Version: version, Channels: []*gw.ChannelConfiguration{{Frequency: 868_100_000}},
		})
	}
	if err != nil {
		s.Fatal(err)
	}
	s.send(gwA, "config", b)
}

// A network gets the frames that are selected for it, by the reception that can be answered.
func TestSelected(t *testing.T) {
	inForms(t, func(s *stand) {
		s.hear(gwA, 1, false) // it is not connected
		s.connect(gwA)
		s.hear(gwA, 1, true)
		s.hear(gwB, 1, false)
		at := s.hear(gwA, 2, false)
		ups := s.take(topic(gwA, "event/up"))
		if len(ups) != 1 {
			s.Fatalf("%d frames", len(ups))
		}
		var context []byte
		if s.form == "json" {
			var m struct {
				RxInfo struct {
					Context []byte
					RSSI    int32
				}
			}
			if err := json.Unmarshal(ups[0], &m); err != nil || m.RxInfo.RSSI != -91 {
				s.Errorf("%s: %v", ups[0], err)
			}
			context = m.RxInfo.Context
		} else {
			var m gw.UplinkFrame
			if err := proto.Unmarshal(ups[0], &m); err != nil || m.RxInfo.Rssi != -91 || m.PhyPayload[1] != 2 {
				s.Errorf("%v: %v", &m, err)
			}
			context = m.RxInfo.Context
		}
		token, err := radio.ParseUplinkToken(base64.StdEncoding.EncodeToString(context[4:]))
		if err != nil || token.Time != at || token.Gateway != gwA || token.Antenna != 1 {
			s.Errorf("%+v, %v", token, err)
		}
		if st := s.States()[0]; st.Heard != 2 || st.Forwarded != 1 || st.Lost != 0 {
			s.Errorf("%+v", st)
		}
	})
}

// Many gateways and many frames cost bounded memory, and nobody waits for a broker that takes nothing.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, "json")
		defer s.end()
		for n := range 100 {
			s.Gateway(radio.EUI64{7: byte(n)}, true, nil)
		}
		synctest.Wait()
		if st := s.States()[0]; st.Gateways != links.Max || st.Answered != links.Max {
			t.Fatalf("%+v", st)
		}
		up := radio.Uplink{
			PHYPayload: append([]byte{0x40}, make([]byte, 11)...), Receptions: make([]radio.Reception, 1), Frequency: 1,
		}
		for n := range 10_000 {
			up.Frequency = radio.Frequency(n)
			s.Uplink(up, false)
		}
		synctest.Wait()
		st := s.States()[0]
		if st.Heard != 10_000 || st.Forwarded+st.Lost != 10_000 || st.Forwarded < links.QueueSize {
			t.Errorf("%+v", st.Counts)
		}
		time.Sleep(31 * time.Second)
		for _, b := range s.take(topic(radio.EUI64{}, "event/stats")) {
			if len(b) > 4096 {
				t.Errorf("a status of %d bytes", len(b))
			}
		}
	})
}

// Whatever a network sends, reading it ends with a command or an error.
func FuzzCommand(f *testing.F) {
	s := &stand{form: "json", T: &testing.T{}}
	f.Add(s.command(gwA, 7, rx([]byte{1})...))
	s.form = "protobuf"
	f.Add(s.command(gwA, 7, rx([]byte{1})...))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		l := newLink(&Options{Now: func() radio.HostTime { return 0 }}, &Server{}, &links.Link{EUI: gwA})
		for _, c := range []codec{protobuf{}, jsonForm{}} {
			_, _ = c.channels(b)
			got, err := c.downlink(b)
			for i := range got.items {
				d, why := l.downlink(&got.items[i])
				if why == ignored && (err != nil || len(d.PHYPayload) == 0 || len(d.PHYPayload) > maxPHY) {
					t.Errorf("%+v", d)
				}
			}
		}
	}))
}

// When a broker is there again for one gateway, the others connect at once too.
func TestOthersConnectToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, "json")
		defer s.end()
		s.cut(true)
		for n := range 20 {
			s.Gateway(radio.EUI64{7: byte(n)}, true, nil)
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		s.cut(false)
		for s.States()[0].Answered == 0 && time.Since(s.begun) < time.Hour {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if st := s.States()[0]; st.Answered != 20 {
			t.Errorf("%+v", st)
		}
	})
}
