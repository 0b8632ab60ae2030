package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/gwmp"
)

// floodEnv says how long a flood of frames lasts, such as "2m".
const floodEnv = "LORAWAND_FLOOD"

const (
	floodRate   = 2000 // frames a second
	floodLength = 5 * time.Second
)

var (
	crowdAddr = radio.DevAddr{0x01, 0, 0x40, 0}
	floodEUI  = radio.EUI64{0xf1, 0, 0, 0, 0, 0, 0, 1} // of a device that joins
)

// withFlood gives app2 what a flood of frames is about: as many devices on one DevAddr as there can be, and one
// that joins.
func (a *abused) withFlood() {
	var list strings.Builder
	for i := range session.MaxPerDevAddr {
		text := deviceJSON(fmt.Sprintf("crowd%d", i), crowdAddr.String())
		text = strings.Replace(text, "0102030405060708", fmt.Sprintf("F0000000%08X", i), 1)
		fmt.Fprintln(&list, strings.Replace(text, testNwk, fmt.Sprintf("%032X", i+1), 1))
	}
	fmt.Fprintf(&list, `{"ids":{"device_id":"joins","dev_eui":%q,"join_eui":"0000000000000007"},"lorawan_version":"MAC_V1_0_3",`+
		`"lorawan_phy_version":"PHY_V1_0_3_REV_A","frequency_plan_id":"EU_863_870_TTN","supports_join":true,`+
		`"root_keys":{"app_key":{"key":%q}}}`+"\n", floodEUI.String(), testApp)
	a.must(list.String(), "device", "import", "-", "--application", "app2")
}

// floodFrame is the next frame of a flood, of each kind in turn: of other networks, heard before, spoilt, cut,
// long, joins of strangers and with a wrong key, and of one of a crowd.
func (a *abused) floodFrame(rnd *rand.Rand, n int) []byte {
	random := func(b []byte) []byte {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	phy := func(addr radio.DevAddr, fCnt uint32) []byte {
		b, err := frame.BuildUplink(frame.Data{
			MType: frame.UnconfirmedUp, DevAddr: addr, HasFPort: true, FPort: 15, FRMPayload: []byte("forged"),
		}, fCnt, a.keys)
		if err != nil {
			a.Fatal(err)
		}
		return b
	}
	join := func(eui radio.EUI64) []byte {
		b, err := frame.BuildJoinRequest(frame.JoinRequest{
			JoinEUI: radio.EUI64{7: 7}, DevEUI: eui, DevNonce: uint16(n),
		}, frame.Key{1})
		if err != nil {
			a.Fatal(err)
		}
		return b
	}
	good := benchAddr(abusedDevices - 1) // of app1
	switch n % 8 {
	case 0:
		b := random(make([]byte, 12+rnd.IntN(200)))
		b[0], b[4], b[5] = 0x40, 0x26, 0
		return b
	case 1:
		return phy(good, 0)
	case 2:
		b := phy(good, uint32(n))
		b[1+rnd.IntN(len(b)-1)] ^= 1 << rnd.IntN(8)
		return b
	case 3:
		b := phy(good, uint32(n))
		return b[:1+rnd.IntN(len(b)-1)]
	case 4:
		return append(random(make([]byte, 12)), make([]byte, 243)...)
	case 5:
		return join(radio.EUI64(random(make([]byte, 8))))
	case 6:
		return join(floodEUI)
	}
	b := phy(crowdAddr, rnd.Uint32N(1<<16))
	random(b[len(b)-4:])
	return b
}

// framesOfNobody is a flood of frames by the gateway that hears the good devices.
func (a *abused) framesOfNobody() {
	length, err := time.ParseDuration(os.Getenv(floodEnv))
	if err != nil {
		length = floodLength
	}
	rnd := rand.New(rand.NewPCG(mutatorSeed, 1))
	f := newQuietForwarder(a, a.udp)
	defer f.close()
	began, n := time.Now(), 0
	for ; time.Since(began) < length; n++ {
		up := radio.Uplink{
			PHYPayload: a.floodFrame(rnd, n), Frequency: 868_500_000, DataRate: radio.LoRaDataRate(7, 125_000),
			CodingRate: radio.CodingRate45, Time: firstCounter, GatewayTime: time.Now(),
			Receptions: []radio.Reception{{Channel: 2, RSSI: -3500, SNR: 500}},
		}
		if wait := time.Until(began.Add(time.Duration(n) * time.Second / floodRate)); wait > 0 {
			time.Sleep(wait)
		}
		f.send(a, gwmp.Packet{
			Version: gwmp.Version2, Token: uint16(n), Type: gwmp.PushData, EUI: testEUI,
			Body: gwmp.AppendPush(nil, []radio.Uplink{up}, nil),
		}.Append(nil))
	}
	a.Logf("%d frames of nobody, %.0f/s", n, float64(n)/time.Since(began).Seconds())
}
