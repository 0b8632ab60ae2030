package macstate

import (
	"math"
	"slices"

	"lorawand/radio"
)

const (
	// historyLength is how many uplinks a History looks back.
	historyLength = 20
	// maxPaths bounds the gateways that a History remembers. With more, the one that
	// has heard the device longest ago is forgotten.
	maxPaths = 32
)

// History is what is remembered of a device's last uplinks: which gateways hear it
// and how well, and how many frames get lost.
type History struct {
	uplinks uint32   // since the start
	paths   []Path   // the last that was heard at the end
	fCnts   []uint32 // at the current data rate, at most historyLength
	rate    radio.DataRate
	snrs    []radio.Decibel // best SNR of the uplinks at this data rate, as with the power now in use
	from    uint32          // see From
	stayed  int             // uplinks at this data rate, at most historyLength+1
	run     uint32          // see Link.Run
	excess  int32           // see Link.Excess
	calm    calm            // what tells whether conditions have changed

	times    uint8  // that the last uplink was heard, of NbTrans
	answered bool   // a downlink was sent to the device since: it may have sent the uplink less often
	twice    uint32 // see Link.Twice

	ADR     bool  // the last uplink lets the network set data rate and power
	NbTrans uint8 // how often the device sends the last uplink, as far as is known
}

// Path is a gateway that has heard a device lately.
type Path struct {
	Gateway radio.EUI64
	Signal  radio.Decibel // dBm, by the best antenna
	SNR     radio.Decibel // dB, by the same antenna
	uplink  uint32        // the last one that it has heard, by number
}

// Uplink notes a new frame.
func (h *History) Uplink(fCnt uint32, rate radio.DataRate) {
	h.uplinks++
	h.watch()
	if rate != h.rate || len(h.fCnts) > 0 && fCnt <= h.fCnts[len(h.fCnts)-1] {
		h.rate, h.fCnts, h.snrs, h.stayed = rate, h.fCnts[:0], h.snrs[:0], 0
		h.run, h.twice, h.excess = 0, 0, 0
		h.calm.adapted()
	}
	if n := len(h.fCnts); n > 0 {
		h.count(fCnt - h.fCnts[n-1] - 1)
	}
	h.times, h.answered = 1, false
	h.stayed = min(h.stayed+1, historyLength+1)
	if len(h.fCnts) == historyLength {
		h.fCnts = slices.Delete(h.fCnts, 0, 1)
	}
	h.fCnts = append(h.fCnts, fCnt)
	if len(h.snrs) == historyLength {
		h.snrs = slices.Delete(h.snrs, 0, 1)
	}
	h.snrs = append(h.snrs, lowestSNR)
	if len(h.fCnts) == 1 {
		h.from = fCnt
	}
}

// A lost frame adds 100 to the excess, and every frame takes bearable off: with fewer lost,
// in %, the excess stays near 0, whatever chance does; with more it grows. So it tells one
// from the other by as many frames as that takes (cumulative sum; E. S. Page, 1954).
const (
	bearable  = 12
	maxExcess = 100_000
	maxGap    = 3 // frames in a row that count as lost: more is an outage, and no matter of the radio
)

// count notes that a frame was heard, and how many were lost before.
func (h *History) count(lost uint32) {
	h.run++
	if lost > 0 {
		h.run = 1
	}
	lost = min(lost, maxGap)
	h.excess = min(max(h.excess+100*int32(lost)-bearable*int32(lost+1), 0), maxExcess)
	h.transmissions(lost)
	if h.calm.count(int32(lost)) {
		h.calm = calm{}
	}
}

// transmissions counts those of frames that are sent more than once: how many of the last frame
// were lost, and all of the frames that were lost before the one at hand. Of the last frame nothing
// is known where a downlink was sent to the device, which then may send the frame no more.
func (h *History) transmissions(lost uint32) {
	n := int32(h.NbTrans)
	if n < 2 {
		return
	}
	if h.twice++; lost > 0 || h.times < 2 && !h.answered {
		h.twice = 0
	}
	frames, missed := int32(lost), whole*int32(lost)
	if !h.answered {
		frames, missed = frames+1, missed+whole*max(n-int32(h.times), 0)/n
	}
	h.calm.transmitted(n, frames, missed)
}

// Repeated notes that the last frame was heard once more, as its device has sent it again.
func (h *History) Repeated() { h.times = min(h.times+1, math.MaxUint8-1) }

// Answered notes that a downlink was sent to the device.
func (h *History) Answered() { h.answered = true }

// lowestSNR is that of an uplink of which nothing is known.
const lowestSNR radio.Decibel = -10_000

// Adapted notes that the last uplink, with which the device says so, was sent with
// another power, which is heard the weaker by an amount. anew: each frame is sent another
// number of times, or with more power, and what was lost before says nothing any more.
func (h *History) Adapted(weaker radio.Decibel, anew bool) {
	for i := range len(h.snrs) - 1 {
		h.snrs[i] -= weaker
	}
	h.calm.weakened(weaker)
	if n := len(h.fCnts); anew && n > 0 {
		h.fCnts = append(h.fCnts[:0], h.fCnts[n-1])
		h.from, h.run, h.twice, h.excess = h.fCnts[0], 0, 0, 0
		h.calm.adapted()
	}
}

// Link is how a device is heard at its data rate.
type Link struct {
	Best    radio.Decibel // best SNR
	Heard   int           // of how many uplinks, 20 at most
	Lost    uint32        // frames
	Of      uint32        // how many, by the frame counter
	Settled bool          // more uplinks were heard at this data rate than are looked at
	Since   uint32        // frames with the data rate and the number of transmissions that are in use
	Run     uint32        // of these, heard since the last one that was lost
	Twice   uint32        // the same, by two of their transmissions; 0 where they are sent once
	Excess  int32         // of these, lost beyond what is bearable: 100 is one
	Mean    radio.Decibel // SNR of Known uplinks
	Known   int           // at this data rate, with this number of transmissions, until the device rests
	Left    int           // uplinks until the device rests
	Fresh   bool          // none of the uplinks was heard before the device rests; true once
	Resting bool          // what was decided stands, as long as conditions stay
	Want    uint32        // FCntUp of the last decision, where that was for a change; else 0
	Spare   bool          // so few frames are lost, and for so long, that fewer transmissions may do
	Fewer   int32         // by how much less is lost, by transmissions, than was; see FewerChange
}

// Link returns how the device is heard at its data rate. Heard is 0 where nothing is
// known.
func (h *History) Link() Link {
	if len(h.fCnts) == 0 || slices.Max(h.snrs) == lowestSNR {
		return Link{}
	}
	last := h.fCnts[len(h.fCnts)-1]
	of := last - h.fCnts[0] + 1
	return Link{
		Best: slices.Max(h.snrs), Heard: len(h.snrs), Lost: of - uint32(len(h.fCnts)), Of: of,
		Settled: h.stayed > historyLength, Since: last - h.from + 1,
		Run: h.run, Twice: h.twice, Excess: h.excess,
		Mean: h.calm.mean, Known: int(h.calm.snrs), Resting: h.calm.resting() && h.calm.decided,
		Left: max(settling-h.calm.heard, 0), Want: h.calm.want,
		Fresh: h.calm.heard == settling+historyLength, Spare: h.calm.spare >= spareFrames, Fewer: h.calm.fewer,
	}
}

// DecideAnew has ADR decide as of a device that it has just met: its owner wants something else.
func (h *History) DecideAnew() { h.calm = calm{} }

// Decided notes that ADR has decided after an uplink, and whether anything is to change.
func (h *History) Decided(fCntUp uint32, change bool) {
	h.calm.decided, h.calm.want = true, 0
	if change {
		h.calm.want = fCntUp
	}
}

// Rate returns the data rate of the last uplink.
func (h *History) Rate() radio.DataRate { return h.rate }

// From returns the FCntUp of the first uplink with the data rate and the number of
// transmissions that are in use.
func (h *History) From() uint32 { return h.from }

// Joined notes that frame counters begin anew.
func (h *History) Joined() {
	h.fCnts, h.snrs, h.stayed, h.calm = h.fCnts[:0], h.snrs[:0], 0, calm{}
	h.run, h.twice, h.excess = 0, 0, 0
}

// HeardBy notes that a gateway has heard the last frame, by at least one antenna.
// Gateways that have not heard the device lately are forgotten.
func (h *History) HeardBy(up *radio.Uplink) {
	h.paths = slices.DeleteFunc(h.paths, func(p Path) bool {
		return p.Gateway == up.Gateway || h.uplinks-p.uplink >= historyLength
	})
	if len(h.paths) == maxPaths {
		h.paths = slices.Delete(h.paths, 0, 1)
	}
	p := Path{Gateway: up.Gateway, uplink: h.uplinks}
	for i := range up.Receptions {
		if r := &up.Receptions[i]; i == 0 || r.Signal() > p.Signal {
			p.Signal, p.SNR = r.Signal(), r.SNR
		}
	}
	h.paths = append(h.paths, p)
	if n := len(h.snrs); n > 0 && slices.ContainsFunc(up.Receptions, answerable) {
		h.snrs[n-1] = max(h.snrs[n-1], p.SNR)
	}
}

// answerable: with others anybody may claim to be the gateway, and say that the device
// is heard well.
func answerable(r radio.Reception) bool { return !r.NoDownlink }

// Path returns how a gateway has heard the device. ok is false if it has heard none
// of the last 20 uplinks.
func (h *History) Path(gateway radio.EUI64) (p Path, ok bool) {
	for _, p := range h.paths {
		if p.Gateway == gateway {
			return p, h.uplinks-p.uplink < historyLength
		}
	}
	return Path{}, false
}

// New reports whether no uplink was heard since the start but the one at hand.
func (h *History) New() bool { return h.uplinks <= 1 }

// Lost returns how many frames were lost among how many, over the last
// uplinks at the current data rate.
func (h *History) Lost() (lost, of uint32) {
	if len(h.fCnts) < 2 {
		return 0, 0
	}
	of = h.fCnts[len(h.fCnts)-1] - h.fCnts[0] + 1
	return of - uint32(len(h.fCnts)), of
}

// Likely reports whether a gateway is likely to hear the device: it has done so lately, or
// nobody knows, as the device is new.
func (h *History) Likely(gateway radio.EUI64) bool {
	_, heard := h.Path(gateway)
	return heard || h.New()
}
