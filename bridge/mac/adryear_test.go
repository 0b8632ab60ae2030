package mac

import (
	"fmt"
	"math"
	"math/rand"
	"runtime"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

const (
	yearDevices = 100
	yearUplinks = 365 * 24 // one each hour
	yearPayload = 12       // bytes
	yearPlan    = "EU_863_870_TTN"

	sentDBm  = 14.0                // EIRP of a device at TXPower 0 less what its antenna loses
	noiseDBm = -174.0 + 51.0 + 6.0 // thermal noise in 125 kHz, and the receiver's own
	maxSNR   = 1200                // that receivers tell, hundredths of a dB
)

// site is where a device stands: how much weaker than with full power and no obstacle
// each gateway hears it, and what else is lost.
type site struct {
	pathLoss []float64 // dB, by gateway
	slow     []float64 // dB, of shadows that come and go within hours
	rician   float64   // share of the power that comes straight
	lost     float64   // share of the frames that others disturb
	moves    int       // the uplink before which it is put elsewhere; 0: never
	r        *rand.Rand
	heard    []radio.Decibel
}

func newSite(seed int64) *site {
	s := &site{r: rand.New(rand.NewSource(seed))}
	for range 1 + s.r.Intn(3) {
		s.pathLoss, s.slow = append(s.pathLoss, 0), append(s.slow, 4*s.r.NormFloat64())
	}
	s.rician = []float64{0, 0.5, 0.8}[s.r.Intn(3)]
	s.lost = []float64{0.01, 0.01, 0.03, 0.03, 0.1, 0.2}[s.r.Intn(6)]
	if s.r.Intn(10) == 0 {
		s.moves = 1 + s.r.Intn(yearUplinks)
	}
	s.place()
	return s
}

// place puts the device somewhere within 6 km of each gateway: in a town 128.1 dB are lost
// over 1 km at 868 MHz, 37.6 dB more with each tenfold distance (3GPP TR 36.942, 4.5.2).
func (s *site) place() {
	for i := range s.pathLoss {
		km := 0.1 + 3.4*math.Sqrt(s.r.Float64())
		s.pathLoss[i] = 120.5 + 37.6*math.Log10(km) + 3*s.r.NormFloat64()
	}
}

// hour lets an hour pass.
func (s *site) hour(n int) {
	if n == s.moves {
		s.place()
	}
	const keep = 0.9
	for i := range s.slow {
		s.slow[i] = keep*s.slow[i] + math.Sqrt(1-keep*keep)*4*s.r.NormFloat64()
	}
}

// fade is how much a frame gains or loses by its many ways to the gateway, in dB.
func (s *site) fade() float64 {
	los, scatter := math.Sqrt(s.rician), math.Sqrt((1-s.rician)/2)
	x, y := los+scatter*s.r.NormFloat64(), scatter*s.r.NormFloat64()
	return 10 * math.Log10(x*x+y*y+1e-9)
}

// transmission returns with which SNR each gateway hears a frame, those that do. As much
// is drawn whatever comes of it, so that two networks have the same weather. What it
// returns holds until the next call.
func (s *site) transmission(floor radio.Decibel, below radio.Decibel) (snrs []radio.Decibel) {
	s.heard = s.heard[:0]
	disturbed := s.r.Float64() < s.lost
	for i, loss := range s.pathLoss {
		snr := radio.Decibel(100*(sentDBm-loss-s.slow[i]+s.fade()-noiseDBm)) - below
		if snr = min(snr, maxSNR); snr >= floor && !disturbed {
			s.heard = append(s.heard, snr)
		}
	}
	return s.heard
}

// adrServer decides about a device. heard takes an uplink; what comes back is what is
// sent in answer: whether anything, and whether a LinkADRReq is in it.
type adrServer interface {
	heard(fCnt uint32, l link, snrs []radio.Decibel, ackReq, answer bool) (down bool, req *link)
	heardAgain() // the last uplink, which was sent once more
}

// yearDevice follows the rules of LoRaWAN L2 1.0.4, 4.3.1.1, with an ADR_ACK_LIMIT of 64 and
// an ADR_ACK_DELAY of 32.
type yearDevice struct {
	link
	site   *site
	server adrServer
	silent int  // uplinks since the last downlink
	answer bool // to LinkADRReq, due with the next uplink
}

// yearSum is what a year came to.
type yearSum struct {
	sent, delivered     int
	up, down            time.Duration
	requests, downlinks int
	byRate              [6]int // uplinks
}

func (y *yearSum) add(o *yearSum) {
	y.sent, y.delivered, y.up, y.down = y.sent+o.sent, y.delivered+o.delivered, y.up+o.up, y.down+o.down
	y.requests, y.downlinks = y.requests+o.requests, y.downlinks+o.downlinks
	for i, n := range o.byRate {
		y.byRate[i] += n
	}
}

// perByte is the airtime of both directions for each byte that an application has got.
func (y *yearSum) perByte() time.Duration {
	return (y.up + y.down) / time.Duration(max(y.delivered*yearPayload, 1))
}

// yearRate is what the simulation needs to know of a data rate.
type yearRate struct {
	floor                    radio.Decibel
	uplink, answer, downlink time.Duration
}

func yearRates(t testing.TB, p *region.Plan) (rates [6]yearRate) {
	for i := range rates {
		dr, err := p.DataRate(uint8(i))
		if err != nil {
			t.Fatal(err)
		}
		r := &rates[i]
		r.floor, _ = Floor(dr)
		for _, at := range []struct {
			d    *time.Duration
			size int
		}{{&r.uplink, 13 + yearPayload}, {&r.answer, 15 + yearPayload}, {&r.downlink, 17}} {
			if *at.d, err = radio.TimeOnAir(radio.Packet{
				DataRate: dr, Size: at.size,
				CodingRate: radio.CodingRate45,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rates
}

// uplink sends a frame as often as the device was told, until it hears an answer.
func (d *yearDevice) uplink(fCnt uint32, p *region.Plan, rates *[6]yearRate, sum *yearSum) {
	if d.silent >= 96 && d.silent%32 == 0 {
		d.backOff()
	}
	d.silent++
	used, answer, rate := d.link, d.answer, &rates[d.dataRate]
	d.answer = false // it is sent once
	below, _ := p.TXPower(used.power)
	sum.sent++
	sum.byRate[used.dataRate]++
	for n, heard, stopped := uint8(0), false, false; n < maxNbTrans; n++ {
		back := len(d.site.transmission(rate.floor, 0)) > 0 // the gateway has the power of a device
		snrs := d.site.transmission(rate.floor, below)
		if n >= used.nbTrans || stopped {
			continue
		}
		sum.up += map[bool]time.Duration{true: rate.answer, false: rate.uplink}[answer]
		if len(snrs) == 0 {
			continue
		}
		if heard {
			d.server.heardAgain()
			continue
		}
		heard = true
		sum.delivered++
		if down, req := d.server.heard(fCnt, used, snrs, d.silent > 64, answer); down {
			sum.answered(rate, req)
			if stopped = back; stopped {
				d.silent = 0
				d.obey(req)
			}
		}
	}
}

func (y *yearSum) answered(rate *yearRate, req *link) {
	y.downlinks++
	y.down += rate.downlink
	if req != nil {
		y.requests++
	}
}

func (d *yearDevice) obey(req *link) {
	if req != nil {
		d.link, d.answer = *req, true
	}
}

func (d *yearDevice) backOff() {
	switch {
	case d.power > 0:
		d.power = 0
	case d.dataRate > 0:
		d.dataRate--
	default:
		d.nbTrans = 1
	}
}

// upPerByte is that of the uplinks alone.
func (y *yearSum) upPerByte() time.Duration {
	return y.up / time.Duration(max(y.delivered*yearPayload, 1))
}

func (y *yearSum) String() string {
	return fmt.Sprintf("%v a byte (%v of uplinks), %.1f %% of %d delivered, %v up, %v down in %d downlinks, %d "+
		"LinkADRReq, data rates %v",
		y.perByte(), y.upPerByte(), 100*y.share(), y.sent,
		y.up.Round(time.Second), y.down.Round(time.Second), y.downlinks, y.requests, y.byRate)
}

// year runs a year of devices with servers of a kind.
func year(t testing.TB, seed int64, devices, uplinks int, server func(testing.TB) adrServer) (sum yearSum) {
	p, err := region.Lookup(yearPlan)
	if err != nil {
		t.Fatal(err)
	}
	rates := yearRates(t, p)
	for n := range devices {
		d := &yearDevice{link: link{nbTrans: 1}, site: newSite(seed + int64(n)), server: server(t)}
		var own yearSum
		for fCnt := range uplinks {
			d.site.hour(fCnt)
			d.uplink(uint32(fCnt), p, &rates, &own)
		}
		sum.add(&own)
	}
	return sum
}

// ourServer is this package with the device that it knows.
type ourServer struct{ e *endDevice }

func newOurServer(t testing.TB) adrServer {
	return &ourServer{newEndDevice(t, yearPlan, session.V1_0_4, link{nbTrans: 1})}
}

func (s *ourServer) heard(fCnt uint32, l link, snrs []radio.Decibel, ackReq, answer bool) (bool, *link) {
	e := s.e
	e.fCnt, e.link = fCnt, l
	rate, _ := e.plan.DataRate(l.dataRate)
	var answers []byte
	if answer {
		answers = []byte{cidLinkADR, 7}
	}
	e.d.History.Uplink(fCnt, rate)
	for i, snr := range snrs {
		e.d.History.HeardBy(&radio.Uplink{Gateway: radio.EUI64{byte(i)}, Receptions: []radio.Reception{{SNR: snr}}})
	}
	ctx := UplinkContext{Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: fCnt, Rate: rate, RX1Delay: 1}
	o := Uplink(&frame.Data{MType: frame.UnconfirmedUp, ADR: true, ADRACKReq: ackReq}, answers, ctx)
	if !o.IsZero() {
		e.d.History.Answered()
	}
	due := o.Requests()
	if len(due) == 0 {
		return o.Any, nil
	}
	o.sent(e.d.Session, fCnt)
	req := linkOf(&due[0])
	return true, &req
}

func (s *ourServer) heardAgain() { s.e.d.History.Repeated() }

// shortened reports whether a test is to take less time: under an emulator, for one.
func shortened() bool {
	return testing.Short() || underRace || strings.HasPrefix(runtime.GOARCH, "mips") || runtime.GOARCH == "arm"
}

// In a year of devices, near and far, before one gateway or several, with shadows and
// fading, disturbed and moved, a byte costs less airtime than with The Things Stack's
// algorithm, and more bytes arrive. The constants were chosen with devices of other seeds.
func TestADRYear(t *testing.T) {
	devices, uplinks, seeds := 30, yearUplinks, []int64{40000, 41000, 42000, 43000, 44000}
	if shortened() {
		devices, uplinks, seeds = 12, 1500, seeds[:2]
	}
	var ours, theirs yearSum
	for _, seed := range seeds {
		o, s := year(t, seed, devices, uplinks, newOurServer), year(t, seed, devices, uplinks, newTheirServer)
		ours.add(&o)
		theirs.add(&s)
	}
	t.Logf("lorawand: %v", &ours)
	t.Logf("The Things Stack: %v", &theirs)
	if ours.perByte() > theirs.perByte() || ours.upPerByte() > theirs.upPerByte() {
		t.Error("a byte costs more airtime than with The Things Stack's algorithm")
	}
	if ours.downlinks > theirs.downlinks {
		t.Error("there are more downlinks than with The Things Stack's algorithm")
	}
	if !shortened() && ours.share() < theirs.share() { // the first weeks alone say less
		t.Error("fewer frames are delivered than with The Things Stack's algorithm")
	}
}

// share is that of the frames which were delivered.
func (y *yearSum) share() float64 { return float64(y.delivered) / float64(max(y.sent, 1)) }
