package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio/frame"
)

// Build returns the PHYPayload of a downlink with the next frame counter of its
// session, which is used up. fCntUp is that of the uplink that it acknowledges. ok
// is false while no counter is reserved; then nothing has changed.
func (d *Downlink) Build(dev *session.Device, s *session.Session, fCntUp uint32, c Circumstances) (
	phy []byte, fCnt uint32, ok bool,
) {
	fCnt, ok = s.NextFCntDown(dev.Version, d.Item != nil)
	if !ok {
		return nil, 0, false
	}
	f := d.Frame(c)
	f.DevAddr = s.DevAddr
	if d.Item != nil && dev.SkipCrypto {
		// The application has encrypted it with a counter that may be gone by now, or that
		// others have taken: it is encrypted anew with the one that it is sent with.
		f.FRMPayload = s.Cipher(dev.Version).AppendFRMPayload(nil, &f, d.Item.FCnt)
	}
	phy, err := s.Cipher(dev.Version).BuildDownlink(f, fCnt, frame.Context{ConfFCnt: uint16(fCntUp)})
	if err != nil {
		return nil, 0, false
	}
	if f.MType == frame.ConfirmedDown {
		s.Confirmed(dev.Version, fCnt)
	}
	s.UseFCntDown(dev.Version, d.Item != nil)
	d.Owed.sent(s, fCntUp)
	return phy, fCnt, true
}

// sent notes in the session that requests were sent in the windows of an uplink.
func (o Owed) sent(s *session.Session, fCntUp uint32) {
	asked := o.Requests()
	if len(asked) == 0 {
		return
	}
	next := s.MAC.Sent(asked, fCntUp, replaces)
	if o.decision != nil {
		next.Decision = o.decision
	}
	countLinkADR(next, asked, fCntUp)
	s.SetMAC(next)
}
