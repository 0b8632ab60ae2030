package air

import (
	"encoding/binary"
	"slices"
	"time"

	"lorawand/radio"
)

// Requests of a device in FOpts, or in FRMPayload with FPort 0. Each is one byte.
// Source: LoRaWAN 1.0.4, 5.
const (
	LinkCheckReq  byte = 0x02
	DeviceTimeReq byte = 0x0D
)

// Command is a MAC command as it was received.
type Command struct {
	CID     byte
	Payload []byte
}

// Answers are the MAC commands of a downlink.
type Answers struct {
	LinkCheck  *LinkCheckAns
	DeviceTime radio.GPSTime // end of the uplink with the request; 0: none
	// all commands, also the two above; an unknown command is the last, and its Payload is the rest
	Commands []Command
}

// LinkCheckAns says how well the gateways have heard an uplink.
type LinkCheckAns struct {
	Margin   uint8 // dB above the limit of demodulation
	Gateways uint8
}

// commandSizes are the sizes of the commands of servers, in bytes without the CID.
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

// parseAnswers splits MAC commands. A truncated command is the last one, and keeps
// its bytes.
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
