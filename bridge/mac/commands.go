package mac

// cid is the identifier of a MAC command. Source: LoRaWAN L2 1.0.4, 5, and 1.1, 5.
type cid = byte

const (
	cidReset           cid = 0x01 // 1.1
	cidLinkCheck       cid = 0x02
	cidLinkADR         cid = 0x03
	cidDutyCycle       cid = 0x04
	cidRXParamSetup    cid = 0x05
	cidDevStatus       cid = 0x06
	cidNewChannel      cid = 0x07
	cidRXTimingSetup   cid = 0x08
	cidTxParamSetup    cid = 0x09
	cidDlChannel       cid = 0x0a
	cidRekey           cid = 0x0b // 1.1
	cidADRParamSetup   cid = 0x0c // 1.1
	cidDeviceTime      cid = 0x0d
	cidForceRejoin     cid = 0x0e // 1.1; it has no answer
	cidRejoinParam     cid = 0x0f // 1.1
	cidPingSlotInfo    cid = 0x10
	cidPingSlotChannel cid = 0x11
	cidBeaconTiming    cid = 0x12
	cidBeaconFreq      cid = 0x13
	cidDeviceMode      cid = 0x20 // 1.1
)

// kind is a command that devices send.
type kind struct {
	known  bool
	size   int // of its payload, bytes
	handle func(o *Owed, payload []byte, ctx UplinkContext)
}

// fromDevice has every command that devices send, because the size of each
// says where the next one begins. One without a handle is passed over.
var fromDevice = [256]kind{
	cidReset:           {known: true, size: 1, handle: resetInd},
	cidLinkCheck:       {known: true, size: 0, handle: linkCheckReq},
	cidLinkADR:         {known: true, size: 1, handle: linkADRAns},
	cidDutyCycle:       {known: true, size: 0, handle: dutyCycleAns},
	cidRXParamSetup:    {known: true, size: 1, handle: rxParamSetupAns},
	cidDevStatus:       {known: true, size: 2, handle: devStatusAns},
	cidNewChannel:      {known: true, size: 1, handle: newChannelAns},
	cidRXTimingSetup:   {known: true, size: 0, handle: rxTimingSetupAns},
	cidTxParamSetup:    {known: true, size: 0, handle: txParamSetupAns},
	cidDlChannel:       {known: true, size: 1, handle: dlChannelAns},
	cidRekey:           {known: true, size: 1, handle: rekeyInd},
	cidADRParamSetup:   {known: true, size: 0, handle: adrParamSetupAns},
	cidDeviceTime:      {known: true, size: 0, handle: deviceTimeReq},
	cidRejoinParam:     {known: true, size: 1, handle: rejoinParamSetupAns},
	cidPingSlotInfo:    {known: true, size: 1, handle: pingSlotInfoReq},
	cidPingSlotChannel: {known: true, size: 1, handle: pingSlotChannelAns},
	cidBeaconTiming:    {known: true, size: 0}, // deprecated; The Things Stack does not answer it either
	cidBeaconFreq:      {known: true, size: 1, handle: beaconFreqAns},
	cidDeviceMode:      {known: true, size: 1, handle: deviceModeInd},
}

// command is one MAC command of a device.
type command struct {
	cid     cid
	payload []byte
}

// next takes the first command off b. ok is false at the end, and at a command
// that is not known or cut off: nobody can tell where the one behind it begins
// (LoRaWAN L2 1.0.4, 5).
func next(b []byte) (c command, rest []byte, ok bool) {
	if len(b) == 0 || !fromDevice[b[0]].known {
		return command{}, nil, false
	}
	end := 1 + fromDevice[b[0]].size
	if end > len(b) {
		return command{}, nil, false
	}
	return command{b[0], b[1:end]}, b[end:], true
}
