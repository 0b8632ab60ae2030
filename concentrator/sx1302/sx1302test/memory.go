package sx1302test

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed registers.csv
var registersCSV string

// mapSize is the end of the register map.
const mapSize = 0x7000

// registerMap has the reset value and the writable bits of each byte.
type registerMap struct{ reset, writable [mapSize]byte }

// theMap parses the table once: address, reset value and writable bits of each
// byte of the register map, in hexadecimal.
var theMap = sync.OnceValue(func() *registerMap {
	m := &registerMap{}
	lines := strings.Split(strings.TrimSpace(registersCSV), "\n")
	for _, line := range lines[1:] {
		var v [3]uint64
		for i, text := range strings.SplitN(line, ",", len(v)) {
			n, err := strconv.ParseUint(text, 16, 16)
			if err != nil {
				panic("sx1302test: " + err.Error()) // the table is part of the program
			}
			v[i] = n
		}
		m.reset[v[0]], m.writable[v[0]] = byte(v[1]), byte(v[2])
	}
	return m
})

// Registers that the model knows. The driver's registers.go names them too, on
// purpose: if the model used the driver's addresses, it would share their mistakes.
const (
	regCtrl0     = 0x5601
	regVersion   = 0x5606
	regAGCCtrl   = 0x5780
	regAGCStatus = 0x5781
	regRFEnable  = 0x5783 // of radio A; that of B follows
	regMailWrite = 0x5789 // byte 3; bytes 2, 1 and 0 follow
	regMailRead  = 0x578D // likewise
	regRxBytes   = 0x58C8
	regARBCtrl   = 0x6080
	regARBStatus = 0x6081
	regARBConfig = 0x6089 // 0; 1, 2 and 3 follow
	regARBDebug  = 0x608D
	regPPSEnable = 0x6100
	regCounters  = 0x6101
	countersSize = 8
	regOTPAddr   = 0x6180
	regOTPData   = 0x6181
	txBlock      = 0x5200 // of chain A
	txStride     = 0x200
	txTrigger    = 0x00 // in the block
	txBuffer     = 0x100
	txWrite      = 0x07
	txStatus     = 0x11
	fifo         = 0x4000
	fifoSize     = 4096
	blockSize    = 0x72
	imageSize    = 8192
	arbMemory    = 0x2000
)

// Bits of these registers.
const (
	hostRadioCtrl = 1 << 3 // regCtrl0
	hostProg      = 1 << 1 // both processors
	mcuClear      = 1 << 2
	radioEnable   = 1 << 2 // regRFEnable
	radioReset    = 1 << 3
)
