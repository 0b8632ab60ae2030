package air

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

var (
	gatewayA = radio.EUI64{0xa1, 1}
	gatewayB = radio.EUI64{0xa1, 2}
	addr1    = radio.DevAddr{0x01, 0xAB, 0xCD, 0xEF}
)

func plan(t testing.TB) *region.Plan {
	t.Helper()
	p, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sessionKeys(nwk, app byte) frame.SessionKeys {
	k := frame.Key{nwk}
	return frame.SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: frame.Key{app}}
}

// bench is an air that runs, and all that it has told.
type bench struct {
	testing.TB
	a      *Air
	r      *Receiver
	ups    []radio.Uplink
	heard  []Heard
	missed []Missed
	silent []Sent
	log    []Transmission
}

// onAir runs f on an air with one gateway, in fake time.
func onAir(t *testing.T, f func(b *bench)) {
	t.Helper()
	onAirWith(t, ReceiverOptions{Counter: 4_290_000_000}, f)
}

func onAirWith(t *testing.T, o ReceiverOptions, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBench(t, o)) })
}

func newBench(t testing.TB, o ReceiverOptions) *bench {
	b := &bench{TB: t, a: New(1)}
	b.a.Log(func(tx Transmission) { b.log = append(b.log, tx) })
	o.EUI, o.Hear = gatewayA, func(up radio.Uplink) { b.ups = append(b.ups, up) }
	b.r = b.a.Listen(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return b
}

// device puts a device on the air that tells b.
func (b *bench) device(o DeviceOptions) *Device {
	b.Helper()
	if o.Plan == nil {
		o.Plan = plan(b)
	}
	o.Heard = func(h Heard) { b.heard = append(b.heard, h) }
	o.Missed = func(m Missed) { b.missed = append(b.missed, m) }
	o.Silent = func(s Sent) { b.silent = append(b.silent, s) }
	v, err := b.a.Device(o)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// abp puts a personalised device on the air.
func (b *bench) abp() *Device {
	return b.device(DeviceOptions{Name: "dev1", DevAddr: addr1, Keys: sessionKeys(1, 2), DataRate: 5})
}

// sends sends a frame and waits until it was heard.
func (b *bench) sends(v *Device, d frame.Data) (Sent, radio.Uplink) {
	b.Helper()
	return b.sent(func() (Sent, error) { return v.Send(d) })
}

// sent has a device send and waits until the gateway has heard it.
func (b *bench) sent(send func() (Sent, error)) (Sent, radio.Uplink) {
	b.Helper()
	n := len(b.ups)
	s, err := send()
	if err != nil {
		b.Fatal(err)
	}
	time.Sleep(time.Until(s.End))
	synctest.Wait()
	if len(b.ups) != n+1 || string(b.ups[n].PHYPayload) != string(s.PHYPayload) {
		b.Fatalf("%d uplinks after %d, want one more, %x", len(b.ups), n, s.PHYPayload)
	}
	return s, b.ups[n]
}

// answer returns a downlink for a window of an uplink.
func answer(up radio.Uplink, w Window, phy []byte) radio.Downlink {
	return radio.Downlink{
		Gateway: up.Gateway, PHYPayload: phy, Time: up.Time.Add(w.Delay), Frequency: w.Frequency, DataRate: w.DataRate,
		Power: 1400,
	}
}

func (b *bench) down(d frame.Data, fCnt uint32) []byte {
	b.Helper()
	if d.MType == 0 {
		d.MType = frame.UnconfirmedDown
	}
	if d.DevAddr.IsZero() {
		d.DevAddr = addr1
	}
	phy, err := frame.BuildDownlink(d, fCnt, sessionKeys(1, 2))
	if err != nil {
		b.Fatal(err)
	}
	return phy
}

func (b *bench) transmits(d radio.Downlink) {
	b.Helper()
	if result := b.r.Transmit(d); result != radio.TxOK {
		b.Fatalf("the gateway refuses %+v: %v", d, result)
	}
}

// wants waits, and expects what the devices have told since the last call.
func (b *bench) wants(heard, missed string) {
	b.Helper()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	var h, m []string
	for _, x := range b.heard {
		h = append(h, fmt.Sprintf("RX%d %d", x.Window, x.Margin.Microseconds()))
	}
	for _, x := range b.missed {
		m = append(m, x.Reason)
	}
	if got := strings.Join(h, ", "); got != heard {
		b.Errorf("heard %q, want %q", got, heard)
	}
	if got := strings.Join(m, ", "); got != missed {
		b.Errorf("missed %q, want %q", got, missed)
	}
	b.heard, b.missed = nil, nil
}
