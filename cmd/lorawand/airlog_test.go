package main

import (
	"slices"
	"testing"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// The rest of this file checks the log of the air, and knows nothing of how it was made.

// checkOverlaps finds transmissions of one gateway at the same time.
func checkOverlaps(t testing.TB, sent []air.Transmission) {
	t.Helper()
	byGateway := map[radio.EUI64][]air.Transmission{}
	for _, tx := range sent {
		byGateway[tx.Gateway] = append(byGateway[tx.Gateway], tx)
	}
	for eui, txs := range byGateway {
		slices.SortFunc(txs, func(a, b air.Transmission) int { return a.Begin.Compare(b.Begin) })
		for i := range txs[1:] {
			if txs[i+1].Begin.Before(txs[i].End) {
				t.Errorf("gateway %v sends from %v to %v, and again at %v", eui, txs[i].Begin, txs[i].End, txs[i+1].Begin)
			}
		}
	}
}

type subBand struct {
	low, high radio.Frequency
	share     float64
}

// euSubBands are those of ERC Recommendation 70-03, annex 1, with the share of
// an hour that may be used.
var euSubBands = []subBand{
	{863_000_000, 865_000_000, 0.001},
	{865_000_000, 868_000_000, 0.01},
	{868_000_000, 868_600_000, 0.01},
	{868_700_000, 869_200_000, 0.001},
	{869_400_000, 869_650_000, 0.1},
	{869_700_000, 870_000_000, 0.01},
}

// checkDutyCycle adds up every hour that begins with a transmission: no other
// hour can hold more. It returns the fullest share of what is allowed.
func checkDutyCycle(t testing.TB, sent []air.Transmission) (fullest float64) {
	t.Helper()
	type place struct {
		gateway radio.EUI64
		band    int
	}
	placed := map[place][]air.Transmission{}
	for _, tx := range sent {
		band := slices.IndexFunc(euSubBands, func(b subBand) bool { return b.low <= tx.Frequency && tx.Frequency < b.high })
		if band < 0 {
			t.Errorf("sent on %v, where nothing may be sent", tx.Frequency)
			continue
		}
		p := place{tx.Gateway, band}
		placed[p] = append(placed[p], tx)
	}
	for p, txs := range placed {
		slices.SortFunc(txs, func(a, b air.Transmission) int { return a.Begin.Compare(b.Begin) })
		allowed := time.Duration(euSubBands[p.band].share * float64(time.Hour))
		last, sum := 0, time.Duration(0)
		for first := range txs {
			end := txs[first].Begin.Add(time.Hour)
			for ; last < len(txs) && !txs[last].End.After(end); last++ {
				sum += txs[last].End.Sub(txs[last].Begin)
			}
			partly := time.Duration(0)
			if last < len(txs) && txs[last].Begin.Before(end) {
				partly = end.Sub(txs[last].Begin)
			}
			if sum+partly > allowed {
				t.Errorf("gateway %v has sent %v in the hour from %v in sub-band %d, at most %v", p.gateway, sum+partly,
					txs[first].Begin, p.band, allowed)
			}
			fullest = max(fullest, float64(sum+partly)/float64(allowed))
			sum -= txs[first].End.Sub(txs[first].Begin)
		}
	}
	return fullest
}

// checkCounters finds a frame counter with two plaintexts. Equal bytes may go
// out twice: in RX1 and, when that was refused, in RX2.
func checkCounters(t testing.TB, sent []air.Transmission) {
	t.Helper()
	type id struct {
		addr radio.DevAddr
		fCnt uint16
	}
	seen := map[id]string{}
	for _, tx := range sent {
		d, err := frame.ParseData(tx.PHYPayload)
		if err != nil {
			continue // a join-accept
		}
		i := id{d.DevAddr, d.FCnt}
		if before, ok := seen[i]; ok && before != string(tx.PHYPayload) {
			t.Errorf("DevAddr %v has two frames with FCntDown %d", d.DevAddr, d.FCnt)
		}
		seen[i] = string(tx.PHYPayload)
	}
}
