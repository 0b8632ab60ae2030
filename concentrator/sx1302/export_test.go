package sx1302

import (
	"encoding/binary"
	"slices"
)

// What the tests with recordings, which run scripts and so are outside of this package,
// need to know of it.
var (
	CountersAddr  = counters.addr
	TxStatusAddr  = txStatus.addr
	OTPAddr       = otpAddress.addr
	WriteRegister = writeRegister
	LoRaCRC       = loraCRC
	TestEUI       = testEUI
	TraceDir      = traceDir
	NotTraces     = notTraces
	OpenPlain     = openPlain
	FilesOf       = filesOf
	Unhex         = unhex
)

// Likewise.
const (
	TxStride    = txStride
	ReadHeader  = readHeader
	WriteBit    = writeBit
	VectorKinds = 2
)

// RxReplay feeds a recording to the driver: the bytes that appeared in the FIFO
// and the counters that were read.
type RxReplay struct {
	Counters [][]byte // recorded readings for the current call
	current  []byte
}

// Frame is asked about each frame to the chip; it moves on to the next reading
// of its length.
func (r *RxReplay) Frame(w []byte) error {
	if len(w) > readHeader && w[0] == 0 && binary.BigEndian.Uint16(w[1:]) == counters.addr {
		n := len(w) - readHeader
		if i := slices.IndexFunc(r.Counters, func(b []byte) bool { return len(b) == n }); i >= 0 {
			r.current = r.Counters[i]
			r.Counters = slices.Delete(r.Counters, i, i+1)
		}
	}
	return nil
}

// Read is asked about each address.
func (r *RxReplay) Read(addr uint16) (byte, bool) {
	if i := int(addr) - int(counters.addr); i >= 0 && i < len(r.current) {
		return r.current[i], true
	}
	return 0, false
}
