package core

import (
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// phy makes a frame of a device, in the session that it has.
func (s *stand) phy(device string, fCnt uint32, d frame.Data) []byte {
	s.Helper()
	dev := s.devices[device]
	return s.phyIn(dev.Session, dev.Version, fCnt, d, frame.Context{TxDR: 5, TxCh: 1})
}

func (s *stand) phyIn(in *session.Session, v session.Version, fCnt uint32, d frame.Data, ctx frame.Context) []byte {
	s.Helper()
	d.DevAddr = in.DevAddr
	if d.MType == 0 {
		d.MType = frame.UnconfirmedUp
	}
	phy, err := frame.NewCipher(in.Keys, v >= session.V1_1).BuildUplink(d, fCnt, ctx)
	if err != nil {
		s.Fatal(err)
	}
	return phy
}

func payload(text string) frame.Data {
	return frame.Data{HasFPort: true, FPort: 15, FRMPayload: []byte(text)}
}

// confirmed is a frame that wants an acknowledgement, acked one that gives it.
func confirmed(text string) frame.Data {
	d := payload(text)
	d.MType = frame.ConfirmedUp
	return d
}

func acked(text string) frame.Data {
	d := payload(text)
	d.ACK = true
	return d
}

// address is what a frame is found by in last: the DevAddr, or nothing.
func address(phy []byte) string {
	if m, err := frame.TypeOf(phy); err != nil || !m.Data() {
		return ""
	}
	return string(phy[1:5])
}

// delayed makes a frame arrive late.
func delayed(d time.Duration) func(*radio.Uplink) {
	return func(up *radio.Uplink) {
		up.Time = up.Time.Add(-d)
		up.Ended = up.Ended.Add(-d)
	}
}

// at makes a gateway hear a frame with an RSSI in dBm.
func at(rssi radio.Decibel) func(*radio.Uplink) {
	return func(up *radio.Uplink) { up.Receptions[0].RSSI = rssi * 100 }
}

// with makes a frame of a data rate.
func with(sf uint8) func(*radio.Uplink) {
	return func(up *radio.Uplink) { up.DataRate = radio.LoRaDataRate(sf, 125_000) }
}

// item is a downlink of an application.
func item(text string, change ...func(*session.Item)) session.Item {
	it := session.Item{FPort: 15, FRMPayload: []byte(text), CorrelationIDs: []string{"my:" + text}}
	for _, f := range change {
		f(&it)
	}
	return it
}

func confirm(it *session.Item) { it.Confirmed, it.Attempt = true, 1 }

func prio(p radio.Priority) func(*session.Item) {
	return func(it *session.Item) { it.Priority = p }
}
