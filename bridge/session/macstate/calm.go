package macstate

import (
	"slices"

	"lorawand/radio"
)

// ADR decides by the first uplinks, as many as settling. Then the device rests: what chance and
// fading do must not change anything. ADR decides again when conditions have changed, which
// cumulative sums tell (E. S. Page, 1954): each uplink adds how far it is from what it is
// compared with, less what is borne; the sum stays near 0 while conditions stay, and grows by
// each uplink once they do not.
//
// How much is borne, and how long, was chosen in simulations of fading (Rayleigh, Rice, and a
// normal distribution of 3 dB), so that of 100 devices at most one is taken for changed within
// 500 uplinks.
const (
	settling = 40 // uplinks that are heard
	obeying  = 4  // more, with which a device may obey what was decided last

	// SNR: against the mean of the uplinks that ADR has decided by, 20 of them at least, of which
	// snrKept count that were sent with another data rate or number of transmissions.
	snrKept                 = 5
	snrBorne  radio.Decibel = 250
	snrChange radio.Decibel = 6000

	// Loss, in %: against the share of the frames with this number of transmissions, of
	// lossMean at the most. lossBorne more than that is chance; lossMost never is.
	lossBorne  = 15
	lossMost   = 50
	lossChange = 1500 // hundredths of a frame
	lossMean   = 128

	// A frame that is heard adds 1 to what there is to spare, and one that is lost takes
	// spareLost off: so it grows only where less than 1 % are lost. Then one of two transmissions
	// loses less than 10 %, and two of three less than 5 %.
	spareFrames = 600
	spareLost   = 100

	// Of frames that are sent more than once the transmissions are counted too: they tell much
	// sooner that losses have ceased. Compared is the share that was lost of lossMean frames, in
	// hundredths of a percent; half of it is borne, and twoBorne at the most where a frame is sent
	// twice, so that with one transmission few frames will be lost, else moreBorne.
	twoBorne  = 400
	moreBorne = 800
	whole     = 10_000 // a frame

	// FewerChange is the sum from which on losses have ceased: 75 frames with all of their two
	// transmissions, or 38 with all of three.
	FewerChange = 30_000
)

// calm is what conditions are compared with.
type calm struct {
	heard   int    // uplinks with a known SNR before the last one, since ADR has begun to decide; see watch
	decided bool   // ADR has decided by them
	want    uint32 // see Link.Want

	snrs             int32 // uplinks in mean
	mean             radio.Decibel
	spread           radio.Decibel // mean distance from the mean
	weaker, stronger radio.Decibel // sums
	steadier         radio.Decibel // sum of how much less than spread the SNR differs from the mean
	in               int           // uplinks since all sums were 0

	of, lost int32 // frames with this number of transmissions
	more     int32 // sum of losses, in hundredths of a frame
	spare    int32

	sent, missed int32 // frames whose transmissions were counted, and what of them was lost, in whole
	fewer        int32 // see Link.Fewer
	ceased       bool  // losses have: NbTrans was lowered for that
}

func (c *calm) resting() bool { return c.heard >= settling }

// weakened notes another power.
func (c *calm) weakened(weaker radio.Decibel) { c.mean -= weaker }

// adapted notes another data rate, or number of transmissions: nothing is known of it yet. A
// device that rests is to be decided about anew, unless it obeys what was decided last.
func (c *calm) adapted() {
	ceased := c.fewer >= FewerChange
	if c.heard > settling+obeying {
		*c = calm{}
	}
	c.of, c.lost, c.more, c.spare = 0, 0, 0, 0
	c.sent, c.missed, c.fewer, c.ceased = 0, 0, 0, ceased
	c.snrs = min(c.snrs, snrKept)
}

// watch compares the SNR of the last uplink, once all gateways have told of it.
func (h *History) watch() {
	c, n := &h.calm, len(h.snrs)
	if n == 0 || h.snrs[n-1] == lowestSNR {
		return
	}
	was := c.resting()
	c.heard = min(c.heard+1, settling+historyLength+1)
	off := h.snrs[n-1] - c.mean
	far := max(off, -off)
	if !was || c.snrs < historyLength {
		c.snrs++
		c.mean += off / radio.Decibel(c.snrs)
		c.spread += (far - c.spread) / radio.Decibel(c.snrs)
	}
	if !was {
		return
	}
	c.weaker, c.stronger = max(c.weaker-off-snrBorne, 0), max(c.stronger+off-snrBorne, 0)
	c.steadier = max(c.steadier+c.spread-far-snrBorne, 0)
	c.in++
	if c.weaker+c.stronger+c.steadier == 0 {
		c.in = 0
	}
	if max(c.weaker, c.stronger, c.steadier) > snrChange {
		keep := min(max(c.in, 1), n)
		h.snrs = slices.Delete(h.snrs, 0, n-keep)
		h.stayed = keep
		h.calm = calm{}
	}
}

// count notes a frame that was heard, and how many were lost before. It reports whether more
// are lost than were.
func (c *calm) count(lost int32) bool {
	c.spare = max(c.spare+1-spareLost*lost, 0)
	if c.of < lossMean {
		c.of, c.lost = c.of+lost+1, c.lost+lost
	}
	borne := min(max(bearable, 100*c.lost/c.of+lossBorne), lossMost)
	c.more = max(c.more+100*lost-borne*(lost+1), 0)
	return c.resting() && c.more > lossChange
}

// transmitted notes frames whose n transmissions were counted, and how much of them was lost. One
// frame is left out of what is compared with: few frames can mislead.
func (c *calm) transmitted(n, frames, missed int32) {
	if c.sent < lossMean {
		c.sent, c.missed = c.sent+frames, c.missed+missed
	}
	borne := int32(twoBorne)
	if n > 2 {
		borne = moreBorne
	}
	if !c.ceased {
		borne = min(borne, max(c.missed-whole, 0)/max(c.sent, 1)/2)
	}
	c.fewer = min(max(c.fewer+borne*frames-missed, 0), 2*FewerChange)
}
