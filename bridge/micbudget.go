package bridge

import (
	"time"

	"lorawand/radio/frame"
)

// wrongMICShare is the share of one core that forged frames may cost.
const wrongMICShare = 5 // one fifth

// WrongMICs measures how long this CPU takes to check a MIC, and returns how
// many wrong ones a second make up a fifth of a core.
func WrongMICs() int {
	uplink := frame.Data{MType: frame.UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: make([]byte, 20)}
	phy, err := frame.BuildUplink(uplink, 1, frame.SessionKeys{})
	if err != nil {
		return 1
	}
	d, err := frame.ParseData(phy)
	if err != nil {
		return 1
	}
	const n = 16
	var sessions [n]*frame.Cipher // several, as the devices on a DevAddr are: one alone would stay in the CPU's cache
	for i := range sessions {
		sessions[i] = frame.NewCipher(frame.SessionKeys{FNwkSIntKey: frame.Key{byte(i)}}, false)
	}
	best := time.Hour
	for range 3 { // the first is cold, any can be interrupted
		begin := time.Now()
		for i, c := range sessions {
			c.CheckUplinkMIC(d, uint32(i), frame.Context{})
		}
		best = min(best, max(time.Since(begin)/n, time.Nanosecond))
	}
	return max(int(time.Second/best/wrongMICShare), 1)
}
