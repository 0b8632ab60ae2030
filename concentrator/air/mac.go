package air

import (
	"encoding/binary"
	"slices"
	"time"

	"lorawand/radio"
)

// Requests that a device sends in FOpts, or in FRMPayload with FPort 0: each is
// one byte. Source: LoRaWAN 1.0.4, 5.
const (
	LinkCheckReq  byte = 0x02
	DeviceTimeReq byte = 0x0D
)

// Command is a MAC command as it came.
type Command struct {
	CID     byte
	Payload []byte
}

// Answers are the MAC commands of a downlink.
type Answers struct {
	LinkCheck  *LinkCheckAns
	DeviceTime radio.GPSTime // of the end of the uplink that has asked; 0: none
	Commands   []Command     // all, those two too; of one that is not known, the last, Payload is all that follows
}

// LinkCheckAns says how well an uplink was heard.
type LinkCheckAns struct {
	Margin   uint8 // dB above what demodulation needs
	Gateways uint8
}

// commandSizes are those of what servers send, in bytes without the CID.
// Source: LoRaWAN 1.0.4, 5, and 1.1, 5.
var commandSizes = map[byte]int{
	0x01: 1, // ResetConf
	0x02: 2, // LinkCheckAns
	0x03: 4, // LinkADRReq
	0x04: 1, // DutyCycleReq
	0x05: 4, // RXParamSetupReq
	0x06: 0, // DevStatusReq
	0x07: 5, // NewChannelReq
	0x08: 1, // RXTimingSetupReq
	0x09: 1, // TXParamSetupReq
	0x0A: 4, // DlChannelReq
	0x0B: 1, // RekeyConf
	0x0C: 1, // ADRParamSetupReq
	0x0D: 5, // DeviceTimeAns
	0x0E: 2, // ForceRejoinReq
	0x0F: 1, // RejoinParamSetupReq
	0x10: 0, // PingSlotInfoAns
	0x11: 4, // PingSlotChannelReq
	0x13: 3, // BeaconFreqReq
}

// parseAnswers takes MAC commands apart. One that is cut short is the last, as
// it is.
func parseAnswers(b []byte) (a Answers) {
	for len(b) > 0 {
		size, known := commandSizes[b[0]]
		if !known || size > len(b)-1 {
			size = len(b) - 1
		}
		c := Command{CID: b[0], Payload: slices.Clone(b[1 : 1+size])}
		b = b[1+size:]
		a.Commands = append(a.Commands, c)
		switch {
		case len(c.Payload) != commandSizes[c.CID]:
		case c.CID == LinkCheckReq:
			a.LinkCheck = &LinkCheckAns{Margin: c.Payload[0], Gateways: c.Payload[1]}
		case c.CID == DeviceTimeReq:
			seconds := time.Duration(binary.LittleEndian.Uint32(c.Payload)) * time.Second
			a.DeviceTime = radio.GPSTime(seconds + time.Duration(c.Payload[4])*time.Second/256)
		}
	}
	return a
}
