package backfill

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/bridge/forward"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// stand is a Backfill and a Forwarder with their The Things Stack, in fake time.
type stand struct {
	*testing.T
	*Backfill
	far     *tts
	disk    *storetest.Disk
	o       Options
	forward *links.Links
	stop    func()
	sent    int
	starts  int
}

var gatewayA, gatewayB = radio.EUI64{0xa, 7: 1}, radio.EUI64{0xb, 7: 2}

func newStand(t *testing.T) *stand {
	to, err := url.Parse("https://tts.example")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{T: t, far: newTTS(), disk: storetest.NewDisk(nil)}
	s.o = Options{
		Name: "tts", Applications: []string{"app1"}, Rate: 5, URL: to, Dial: s.far.dial, Agent: "lorawand/test",
		Key:    func() (string, error) { return "NNSXS.KEY", nil },
		Commit: 15 * time.Second, Journal: journal.Options{Bytes: 8 << 20}, Calendar: time.Now,
		Logger: slog.New(slog.DiscardHandler),
	}
	return s
}

// inTime runs a test with a stand, which it stops, in fake time.
func inTime(t *testing.T, run func(*stand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		run(s)
		s.stop()
	})
}

// start begins to work, with two gateways.
func (s *stand) start() {
	s.Helper()
	s.o.Folder, s.starts = s.disk, s.starts+1
	b, err := New(s.o)
	if err != nil {
		s.Fatal(err)
	}
	s.Backfill = b
	s.forward, err = forward.New(forward.Options{
		Ask: func(foreign.Request, func(foreign.Result)) {},
		Servers: []forward.Server{{
			Address: "tts.example:1700", Selection: foreign.Selection{Own: true}, Dial: s.far.socket, Watch: b,
		}},
	})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, forwarded := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	go func() { defer close(forwarded); _ = s.forward.Run(ctx) }()
	s.forward.Gateway(gatewayA, true, nil)
	s.forward.Gateway(gatewayB, true, nil)
	s.stop = func() {
		cancel()
		<-ended
		<-forwarded
		s.far.cut(s.far.off)
		s.wait(time.Second) // for the goroutines of the other end
	}
	s.wait(time.Second)
}

// wait waits until so much later nothing is left to do.
func (s *stand) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// outage has uplinks sent, one each so long, while there is no network, and waits until the journal has them.
func (s *stand) outage(uplinks int, each time.Duration) {
	s.far.cut(true)
	for range uplinks {
		s.up()
		s.wait(each)
	}
	s.wait(time.Minute)
}

// phyOf is the frame of an uplink.
func phyOf(n int) []byte {
	return append([]byte{0x40, 1, 0, 0xbb, 0, 0, byte(n), byte(n >> 8)}, make([]byte, 8)...)
}

// up has both gateways hear the next uplink, and publishes it.
func (s *stand) up() {
	n := s.sent
	s.sent++
	phy := phyOf(n)
	for _, g := range []radio.EUI64{gatewayA, gatewayB} {
		s.forward.Uplink(radio.Uplink{
			Gateway: g, PHYPayload: phy, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
			CodingRate: radio.CodingRate45, Receptions: []radio.Reception{{RSSI: -9000}},
		}, true)
	}
	time.Sleep(200 * time.Millisecond) // for other gateways
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: upPayload(n, "dev1", time.Now())})
}

// upPayload is the uplink with a frame counter.
func upPayload(n int, device string, at time.Time) []byte {
	counter := ""
	if n > 0 {
		counter = fmt.Sprintf(`"f_cnt":%d,`, n)
	}
	received := at.UTC().Format(time.RFC3339Nano)
	return []byte(`{"end_device_ids":{"device_id":"` + device + `","application_ids":{"application_id":"app1"},` +
		`"dev_eui":"70B3D57ED0000001","dev_addr":"00BB0001"},"correlation_ids":["as:up:01"],"received_at":"` + received +
		`","uplink_message":{"session_key_id":"AYfg8g==","f_port":1,` + counter + `"frm_payload":"AQ==","decoded_payload":` +
		`{"f_cnt":7},"rx_metadata":[{"gateway_ids":{"gateway_id":"a"}}],"settings":{"frequency":"868100000"},"received_at":"` +
		received + `"}}`)
}

// counts returns how often each uplink has arrived, by its frame or by a post.
func (s *stand) counts() []int {
	s.Helper()
	s.far.mu.Lock()
	defer s.far.mu.Unlock()
	out := make([]int, s.sent)
	for n, times := range s.far.heard {
		out[n] += min(times, 1) // of two gateways
	}
	for _, p := range s.far.got {
		ids := []string{fmt.Sprintf("lorawand:frame:AYfg8g==:%d", p.fCnt), "lorawand:lane:backfill", "as:up:01"}
		if p.topic != "app1/dev1 up" || p.fCnt >= s.sent || !slices.Equal(p.ids, ids) {
			s.Errorf("posted: %+v", p)
			continue
		}
		out[p.fCnt]++
	}
	return out
}

// check checks what holds after every run: no uplink is lost, at most so many came once more, those that
// were posted came in their order, and nothing is left.
func (s *stand) check(again int) {
	s.Helper()
	more := 0
	for n, times := range s.counts() {
		if times == 0 {
			s.Errorf("uplink %d is lost", n)
		}
		more += max(times-1, 0)
	}
	if more > again {
		s.Errorf("%d came once more, at most %d may", more, again)
	}
	last := -1
	for _, p := range s.far.posts() {
		if p.fCnt < last {
			s.Errorf("uplink %d is posted behind %d", p.fCnt, last)
		}
		last = p.fCnt
	}
	s.checkEmpty()
}

func (s *stand) checkEmpty() {
	s.Helper()
	st := s.Status()
	s.mu.Lock()
	watched := len(s.watch.list)
	s.mu.Unlock()
	if st.Waiting != 0 || st.Journal.Messages != 0 || len(s.disk.Files()) != 0 || st.Lost+st.Refused != 0 || watched != 0 {
		s.Errorf("left: %+v, %d files, %d watched", st, len(s.disk.Files()), watched)
	}
	if sum := st.Posted + st.Elsewhere; sum != st.Missed && s.starts == 1 {
		s.Errorf("%d were missed, %d are posted", st.Missed, sum)
	}
}
