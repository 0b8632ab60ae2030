package mac

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// sizes are the payloads of what devices send, by the tables of LoRaWAN L2 1.0.4,
// 5 and 6, and LoRaWAN 1.1, 5 and 11 to 14.
var sizes = []struct {
	name string
	cid  byte
	size int
}{
	{"ResetInd", 0x01, 1},
	{"LinkCheckReq", 0x02, 0},
	{"LinkADRAns", 0x03, 1},
	{"DutyCycleAns", 0x04, 0},
	{"RXParamSetupAns", 0x05, 1},
	{"DevStatusAns", 0x06, 2},
	{"NewChannelAns", 0x07, 1},
	{"RXTimingSetupAns", 0x08, 0},
	{"TxParamSetupAns", 0x09, 0},
	{"DlChannelAns", 0x0a, 1},
	{"RekeyInd", 0x0b, 1},
	{"ADRParamSetupAns", 0x0c, 0},
	{"DeviceTimeReq", 0x0d, 0},
	{"RejoinParamSetupAns", 0x0f, 1},
	{"PingSlotInfoReq", 0x10, 1},
	{"PingSlotChannelAns", 0x11, 1},
	{"BeaconTimingReq", 0x12, 0},
	{"BeaconFreqAns", 0x13, 1},
	{"DeviceModeInd", 0x20, 1},
}

// The command behind each one is found, and none behind one that is cut off or
// not known.
func TestCommandSizes(t *testing.T) {
	known := map[byte]bool{}
	for _, tt := range sizes {
		t.Run(tt.name, func(t *testing.T) {
			known[tt.cid] = true
			b := append([]byte{tt.cid}, bytes.Repeat([]byte{0xaa}, tt.size)...)
			c, rest, ok := next(append(b, cidLinkCheck))
			if !ok || c.cid != tt.cid || len(c.payload) != tt.size || !bytes.Equal(rest, []byte{cidLinkCheck}) {
				t.Errorf("%+v, then % x, %v", c, rest, ok)
			}
			if _, _, ok := next(b); !ok {
				t.Error("it is not found at the end")
			}
			if tt.size > 0 {
				if c, _, ok := next(b[:tt.size]); ok {
					t.Errorf("cut off, and found: %+v", c)
				}
			}
		})
	}
	for cid := range 256 {
		if _, _, ok := next([]byte{byte(cid), 0, 0, 0}); ok != known[byte(cid)] {
			t.Errorf("command %#02x: known %v", cid, ok)
		}
	}
	if _, _, ok := next(nil); ok {
		t.Error("a command of no bytes")
	}
}

// The commands of an uplink are found in FOpts and in FRMPayload, and are read decrypted.
func TestCommandsOfUplink(t *testing.T) {
	keys := frame.SessionKeys{
		FNwkSIntKey: frame.Key{1}, SNwkSIntKey: frame.Key{1}, NwkSEncKey: frame.Key{1},
		AppSKey: frame.Key{2},
	}
	const fCnt = 0x1_0005
	for _, tt := range []struct {
		name string
		d    frame.Data
		want []byte
	}{
		{"none", frame.Data{}, nil},
		{"in FOpts", frame.Data{FOpts: []byte{2, 0x0d}}, []byte{2, 0x0d}},
		{
			"in FOpts, with a payload",
			frame.Data{FOpts: []byte{2}, HasFPort: true, FPort: 1, FRMPayload: []byte{0x0d}},
			[]byte{2},
		},
		{"on FPort 0", frame.Data{HasFPort: true, FRMPayload: []byte{2, 6, 200, 10}}, []byte{2, 6, 200, 10}},
		{"FPort 0 without a payload", frame.Data{HasFPort: true}, nil},
		{"the payload of FPort 1 is none", frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{2}}, nil},
		{"15 bytes", frame.Data{FOpts: bytes.Repeat([]byte{2}, 15)}, bytes.Repeat([]byte{2}, 15)},
	} {
		for _, version11 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, 1.1 %v", tt.name, version11), func(t *testing.T) {
				d, c := tt.d, frame.NewCipher(keys, version11)
				d.MType = frame.UnconfirmedUp
				d.FOpts = slices.Clone(d.FOpts)
				if version11 && len(d.FOpts) > 0 { // only then they are encrypted, in both directions alike
					d.FOpts = c.AppendFOpts(nil, &d, fCnt)
				}
				phy, err := frame.BuildUplink(d, fCnt, keys)
				if err != nil {
					t.Fatal(err)
				}
				got, err := frame.ParseData(phy)
				if err != nil {
					t.Fatal(err)
				}
				if commands := Commands(got, fCnt, c); !bytes.Equal(commands, tt.want) {
					t.Errorf("% x, want % x", commands, tt.want)
				}
			})
		}
	}
}

// The names of answers, in the order in which they stand in a frame.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		commands []byte
		version  session.Version
		abp      bool
		names    []string
		frame    []byte
	}{
		{"none", []byte{3, 7}, session.V1_0_3, false, nil, nil},
		{"one", []byte{2}, session.V1_0_3, false, []string{"LinkCheckAns"}, []byte{2, 7, 2}},
		{
			"in another order than asked",
			[]byte{0x0d, 2},
			session.V1_0_3, false,
			[]string{"LinkCheckAns", "DeviceTimeAns"},
			[]byte{2, 7, 2, 0x0d, 1, 0, 0, 0, 0},
		},
		{"1.1", []byte{2, 0x0b, 1}, session.V1_1, false, []string{"RekeyConf", "LinkCheckAns"}, []byte{0x0b, 1, 2, 7, 2}},
		{"1.1, ABP", []byte{2, 0x01, 1}, session.V1_1, true, []string{"ResetConf", "LinkCheckAns"}, []byte{0x01, 1, 2, 7, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := otaa(tt.version)
			d.SupportsJoin = !tt.abp
			o := Uplink(&frame.Data{MType: frame.UnconfirmedUp}, tt.commands, UplinkContext{
				Device:  d,
				Session: &session.Session{}, TimeKnown: true,
			})
			if got := o.Answers(); !slices.Equal(got, tt.names) {
				t.Errorf("%v, want %v", got, tt.names)
			}
			if got := o.appendAnswers(nil, Circumstances{
				Margin: 7, Gateways: 2,
				Time: radio.GPSTime(time.Second),
			}); !bytes.Equal(got, tt.frame) {
				t.Errorf("% x, want % x", got, tt.frame)
			}
		})
	}
}

// GPS time in seconds, least byte first, and 256ths of one.
func TestDeviceTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		time time.Duration
		want []byte
	}{
		{"the beginning", 0, []byte{0x0d, 0, 0, 0, 0, 0}},
		{"half a second", 500 * time.Millisecond, []byte{0x0d, 0, 0, 0, 0, 0x80}},
		{"less than a 256th", time.Second/256 - 1, []byte{0x0d, 0, 0, 0, 0, 0}},
		{"a 256th", time.Second/256 + 1, []byte{0x0d, 0, 0, 0, 0, 1}},
		{"just before the next second", time.Second - 1, []byte{0x0d, 0, 0, 0, 0, 0xff}},
		{"beyond 31 bits", (1<<31 + 1) * time.Second, []byte{0x0d, 1, 0, 0, 0x80, 0}},
		{"the last", (1<<32-1)*time.Second + 999*time.Millisecond, []byte{0x0d, 0xff, 0xff, 0xff, 0xff, 0xff}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := appendDeviceTimeAns(nil, radio.GPSTime(tt.time)); !bytes.Equal(got, tt.want) {
				t.Errorf("% x, want % x", got, tt.want)
			}
		})
	}
}

// The margin at the floor of each spreading factor, and at the edges of a byte.
func TestMarginFloors(t *testing.T) {
	floors := map[uint8]radio.Decibel{5: -250, 6: -500, 7: -750, 8: -1000, 9: -1250, 10: -1500, 11: -1750, 12: -2000}
	for sf, floor := range floors {
		for _, tt := range []struct {
			above radio.Decibel
			want  uint8
		}{{-1, 0}, {0, 0}, {99, 0}, {100, 1}, {25_499, 254}, {25_500, 254}} {
			if got := Margin(radio.LoRaDataRate(sf, 125_000), floor+tt.above); got != tt.want {
				t.Errorf("SF%d, %d hundredths above the floor: %d, want %d", sf, tt.above, got, tt.want)
			}
			if got := Margin(radio.LoRaDataRate(sf, 500_000), floor+600+tt.above); got != tt.want {
				t.Errorf("SF%d at 500 kHz, %d above: %d, want %d", sf, tt.above, got, tt.want)
			}
		}
	}
	for _, rate := range []radio.DataRate{{}, radio.LoRaDataRate(4, 125_000), radio.LoRaDataRate(13, 125_000)} {
		if got := Margin(rate, 900); got != 0 {
			t.Errorf("%v has a margin of %d", rate, got)
		}
	}
}

// Size is the size of the frame for any content, and the answers have room in FOpts.
func TestDownlinkSizes(t *testing.T) {
	keys := frame.SessionKeys{AppSKey: frame.Key{1}}
	for bits := range 1 << numAnswers {
		var owed Owed
		for a := range numAnswers {
			owed.answer[a] = bits>>a&1 == 1
		}
		if owed.answer[reset] && owed.answer[rekey] {
			continue // a device joins, or it does not
		}
		for _, item := range []*session.Item{nil, {FPort: 1}, {FPort: 223, FRMPayload: make([]byte, 200), Confirmed: true}} {
			d := Downlink{Owed: owed, Item: item, Pending: bits&1 == 1}
			f := d.Frame(Circumstances{Margin: 255, Gateways: 255, Time: radio.GPSTime(1<<40) * 1000})
			phy, err := frame.BuildDownlink(f, 7, keys)
			if err != nil || len(phy) != d.Size() || d.MACPayloadSize() != len(phy)-5 || len(f.FOpts) > 15 {
				t.Fatalf("%v, %+v: %d bytes, %v; Size says %d", owed.Answers(), item, len(phy), err, d.Size())
			}
			back, err := frame.ParseData(phy)
			if err != nil || back.FPending != d.Pending || back.HasFPort != (item != nil) ||
				item != nil && back.FPort != item.FPort {
				t.Fatalf("%+v, %v", back, err)
			}
		}
	}
}

// The answers that the network owes go first; no item goes before them.
func TestPriorities(t *testing.T) {
	for p := radio.PriorityLowest; p <= radio.PriorityHighest; p++ {
		it := &session.Item{FPort: 1, Priority: p}
		if got, want := (&Downlink{Item: it}).Priority(), min(p, radio.PriorityHigh); got != want {
			t.Errorf("item of %v: %v, want %v", p, got, want)
		}
		for _, owed := range []Owed{{ACK: true}, {Any: true}, {answer: [numAnswers]bool{linkCheck: true}}} {
			if got := (&Downlink{Owed: owed, Item: it}).Priority(); got != radio.PriorityHighest {
				t.Errorf("%+v and an item of %v: %v", owed, p, got)
			}
		}
	}
}
