package core

import (
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// encrypted is an item that the application has encrypted with a frame counter.
func encrypted(s *session.Session, v session.Version, id string, fCnt uint32, plain string) session.Item {
	it := item(id)
	f := frame.Data{
		MType: frame.UnconfirmedDown, DevAddr: s.DevAddr, HasFPort: true, FPort: it.FPort, FRMPayload: []byte(plain),
	}
	it.FRMPayload, it.FCnt = s.Cipher(v).AppendFRMPayload(nil, &f, fCnt), fCnt
	return it
}

// What the application has encrypted is heard, whatever frame counter it is sent with; the
// messages have what was pushed.
func TestEncryptedItem(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.devices["dev1"]
	d.SkipCrypto = true
	it := encrypted(d.Session, d.Version, "sealed", 9, "hello")
	s.push("dev1", it)
	for fCnt := range uint32(2) { // the first answer takes a counter, and the second the next
		s.hear(gwA, s.phy("dev1", fCnt, frame.Data{MType: frame.ConfirmedUp}))
		s.wait(6 * time.Second)
		s.ack(radio.TxOK)
	}
	found := 0
	for i := range s.sent {
		f, err := frame.ParseData(s.sent[i].PHYPayload)
		if err != nil {
			t.Fatal(err)
		}
		if f.HasFPort {
			found++
			cipher := d.Session.Cipher(d.Version)
			if got := string(cipher.AppendFRMPayload(nil, f, uint32(f.FCnt))); got != "hello" || f.FCnt == 9 {
				t.Errorf("the device hears %q with FCntDown %d", got, f.FCnt)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d of %d frames have the payload", found, len(s.sent))
	}
}

// What is not said to be encrypted, and with what, is refused, and what was encrypted for a
// session that has ended fails.
func TestEncryptedForAnother(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.devices["dev1"]
	d.SkipCrypto = true
	s.push("dev1", item("plain"))
	s.tells("dev1 failed plain: validation downlinks[0].f_cnt " +
		"value must be the counter that frm_payload is encrypted with")
	old := encrypted(d.Session, d.Version, "old", 9, "hello")
	s.push("dev1", old)
	s.told = len(s.ups)
	d.Session.KeyID = []byte{1} // as after a join
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wait(6 * time.Second)
	s.tells("dev1 up 0", "dev1 failed "+string(old.FRMPayload)+": validation downlinks[0].session_key_id "+
		"value must be that of the session with whose AppSKey it is encrypted")
	if len(s.sent) > 0 {
		t.Errorf("%d frames", len(s.sent))
	}
}
