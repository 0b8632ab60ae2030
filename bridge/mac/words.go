package mac

import (
	"fmt"

	"lorawand/bridge/session/macstate"
)

// requests are the commands of the network, and what their payloads say in words.
var requests = map[cid]struct {
	name  string
	size  int // of the payload, bytes
	words func(b []byte) string
}{
	cidLinkADR: {"LinkADRReq", 4, func(b []byte) string {
		return fmt.Sprintf(" DR%d, power index %d, NbTrans %d, channels %02x%02x, ChMaskCntl %d", b[0]>>4, b[0]&0x0f,
			b[3]&0x0f, b[2], b[1], b[3]>>4&7)
	}},
	cidDutyCycle: {"DutyCycleReq", 1, func(b []byte) string { return fmt.Sprintf(" 1/%d of the time", 1<<(b[0]&0x0f)) }},
	cidRXParamSetup: {"RXParamSetupReq", 4, func(b []byte) string {
		return fmt.Sprintf(" RX1 offset %d, RX2 %v DR%d", b[0]>>4&7, readFrequency(b[1:]), b[0]&0x0f)
	}},
	cidDevStatus: {"DevStatusReq", 0, func([]byte) string { return "" }},
	cidNewChannel: {"NewChannelReq", 5, func(b []byte) string {
		return fmt.Sprintf(" %d: %v DR%d to DR%d", b[0], readFrequency(b[1:]), b[4]&0x0f, b[4]>>4)
	}},
	cidRXTimingSetup: {"RXTimingSetupReq", 1, func(b []byte) string { return fmt.Sprintf(" %d s", max(b[0]&0x0f, 1)) }},
	cidTxParamSetup: {"TxParamSetupReq", 1, func(b []byte) string {
		words := map[byte]string{0: "not limited", 1: "400 ms"}
		return fmt.Sprintf(" %v dBm, uplinks %s, downlinks %s", maxEIRPs[b[0]&0x0f], words[b[0]>>4&1], words[b[0]>>5&1])
	}},
	cidDlChannel: {"DlChannelReq", 4, func(b []byte) string {
		return fmt.Sprintf(" %d: %v", b[0], readFrequency(b[1:]))
	}},
	cidADRParamSetup: {"ADRParamSetupReq", 1, func(b []byte) string {
		return fmt.Sprintf(" limit %d, delay %d", 1<<(b[0]>>4), 1<<(b[0]&0x0f))
	}},
	cidRejoinParam: {"RejoinParamSetupReq", 1, func(b []byte) string {
		return fmt.Sprintf(" each %d s or %d uplinks", int64(1)<<(b[0]>>4+10), 1<<(b[0]&0x0f+4))
	}},
	cidForceRejoin: {"ForceRejoinReq", 2, forceRejoinWords},
}

// Words says what a command of the network asks: "RXTimingSetupReq 5 s".
func Words(c macstate.Command) string {
	r, ok := requests[c.CID]
	if !ok || int(c.Size) != r.size {
		return fmt.Sprintf("command %02x %x", c.CID, c.Bytes())
	}
	return r.name + r.words(c.Bytes())
}
