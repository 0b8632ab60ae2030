package mac

import (
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// ForceRejoin is what ForceRejoinReq asks a device of LoRaWAN 1.1 for: rejoin-requests of
// a type, at a data rate. There is no answer but these.
type ForceRejoin struct {
	Period   uint8 // the next one is sent 32 s × 2^n later, and a random time of up to 32 s; n 0 to 7
	Retries  uint8 // after the first one, 0 to 7
	Type     uint8 // 0, or 2
	DataRate uint8 // index, 0 to 15
}

// Command returns the request. Its payload has 2 bits RFU, Period 3, Max_Retries 3, RFU 1,
// RejoinType 3, DR 4 bits, little-endian (LoRaWAN 1.1, 5.13).
func (f ForceRejoin) Command() macstate.Command {
	return macstate.New(cidForceRejoin, f.Type&7<<4|f.DataRate&0x0f, f.Period&7<<3|f.Retries&7)
}

// ParseForceRejoin reads a payload. ok is false where it has another length, or asks for
// a type that devices do not send: 0 and 1 mean type 0, and 2 means type 2.
func ParseForceRejoin(b []byte) (f ForceRejoin, ok bool) {
	if len(b) != 2 {
		return f, false
	}
	f = ForceRejoin{Period: b[1] >> 3 & 7, Retries: b[1] & 7, Type: b[0] >> 4 & 7, DataRate: b[0] & 0x0f}
	if f.Type == 1 {
		f.Type = 0
	}
	return f, f.Type == 0 || f.Type == 2
}

// rejoinRetries is how often a device sends a rejoin-request more, each some 32 s later, if
// nobody answers.
const rejoinRetries = 2

// wantForceRejoin asks for a rejoin-request, at the data rate that is heard, until one has
// come. It stays the same until then, so that the device is asked ever more seldom.
func wantForceRejoin(a *asking) {
	typ := a.wish.ForceRejoin
	if a.Device.Version < session.V1_1 || !a.Device.SupportsJoin || typ == nil {
		return
	}
	if m := a.Session.MAC; m != nil {
		for i := range m.Asked {
			c := m.Asked[i].Command
			if f, ok := ParseForceRejoin(c.Bytes()); c.CID == cidForceRejoin && ok && f.Type == *typ {
				a.wanted = append(a.wanted, c)
				return
			}
		}
	}
	a.wanted = append(a.wanted, ForceRejoin{Type: *typ, Retries: rejoinRetries, DataRate: a.dataRate}.Command())
}

func forceRejoinWords(b []byte) string {
	f, ok := ParseForceRejoin(b)
	if !ok {
		return fmt.Sprintf(" %x", b)
	}
	return fmt.Sprintf(" type %d at DR%d, %d more each %d s", f.Type, f.DataRate, f.Retries, 32<<f.Period)
}
