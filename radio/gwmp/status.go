package gwmp

import (
	"fmt"
	"math"

	"lorawand/radio"
)

// status reads the status of a forwarder. As in a frame, an unreadable field is
// lost, but not the others.
func (r *pushReader) status() {
	r.p.Stat, r.statFault, r.statLost = nil, nil, 0
	switch r.object() {
	case absent:
		return
	case unreadable:
		r.statFault = fmt.Errorf("%w: stat is not an object", ErrPacket)
		return
	}
	r.p.Stat = new(radio.Status)
	r.stat(r.p.Stat)
}

// stat reads the members of a status.
func (r *pushReader) stat(s *radio.Status) {
	var rxnb, rxok, rxfw, dwnb, txnb, ackr, temp number
	for r.more('}') {
		switch string(r.name()) {
		case "rxnb":
			rxnb = r.integer(0, math.MaxUint32)
		case "rxok":
			rxok = r.integer(0, math.MaxUint32)
		case "rxfw":
			rxfw = r.integer(0, math.MaxUint32)
		case "ackr":
			ackr = r.fixed(2)
		case "dwnb":
			dwnb = r.integer(0, math.MaxUint32)
		case "txnb":
			txnb = r.integer(0, math.MaxUint32)
		case "temp":
			temp = r.fixed(2)
		default:
			r.skip()
		}
	}
	*s = radio.Status{
		Received: uint32(rxnb.v), ReceivedOK: uint32(rxok.v), Forwarded: uint32(rxfw.v), Downlinks: uint32(dwnb.v),
		Transmitted:    uint32(txnb.v),
		Acknowledged:   uint32(min(max(ackr.v, 0), 100_00) / 10),
		HasTemperature: temp.state == known, Temperature: int32(decibel(temp.v) / 10),
	}
	for i, n := range [...]number{rxnb, rxok, rxfw, dwnb, txnb, ackr, temp} {
		if n.state == unreadable {
			r.statLost++
			r.p.LostField = [...]string{"rxnb", "rxok", "rxfw", "dwnb", "txnb", "ackr", "temp"}[i]
		}
	}
}
