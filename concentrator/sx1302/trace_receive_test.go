package sx1302_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/script"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

func TestReceive(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		replayReceive(t, all, all[0].kind() == lossyTrace, all[0].kind() == nonsenseTrace)
	}, receiveTrace, lossyTrace, nonsenseTrace)
}

func replayReceive(t *testing.T, all []record, lossy, nonsense bool) {
	var replay sx1302.RxReplay
	model, chip := traceChip(t, all[0], sx1302test.Options{Fail: replay.Frame, Read: replay.Read}, nil)
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	chip.SetTemperature(all[0].temperature(t))
	var got, every []sx1302.Packet
	var fed, fresh []byte
	var due []string
	for i, r := range all {
		switch {
		case r.K == "fifo":
			b := sx1302.Unhex(t, r.Bytes)
			model.Deliver(b)
			fed, fresh = append(fed, b...), append(fresh, b...)
		case r.K == "set" && r.Temp != nil:
			chip.SetTemperature(int32(*r.Temp * 256))
		case r.K == "call" && r.Fn == "receive":
			replay.Counters = recordedCounters(t, all[i:])
			due, fresh = append(due, flawless(fresh)...), nil
			packets, err := chip.Receive()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				p.Payload = slices.Clone(p.Payload)
				got, every = append(got, p), append(every, p)
			}
		case r.K == "ret" && r.Fn == "receive" && !nonsense:
			var want []script.Packet
			if err := json.Unmarshal(r.Out, &want); err != nil && r.RC >= 0 {
				t.Fatal(err)
			}
			for _, w := range want {
				got = comparePacket(t, got, w, lossy)
			}
		}
	}
	if !lossy && !nonsense && len(got) > 0 {
		t.Errorf("%d packets too many: %+v", len(got), got)
	}
	checkDelivered(t, every, fed, due)
}

// checkDelivered looks for packets that were delivered though there was no whole
// record of them, and for such as were not though all that came with them was
// flawless.
func checkDelivered(t *testing.T, packets []sx1302.Packet, fed []byte, due []string) {
	t.Helper()
	whole := map[string]bool{}
	for i := range fed {
		if payload, _, ok := wholeRecord(fed[i:]); ok {
			whole[payload] = true
		}
	}
	delivered := map[string]bool{}
	for _, p := range packets {
		delivered[string(p.Payload)] = true
		if !whole[string(p.Payload)] {
			t.Errorf("packet from nowhere: %+v", p)
		}
	}
	for _, payload := range due {
		if !delivered[payload] {
			t.Errorf("not delivered: %x", payload)
		}
	}
}

// wholeRecord returns the payload and the length of the record that b begins
// with, if its checksum is right.
func wholeRecord(b []byte) (payload string, length int, ok bool) {
	if len(b) < 23 || b[0] != 0xA5 || b[1] != 0xC0 || len(b) < 23+int(b[2]) {
		return "", 0, false
	}
	n := int(b[2])
	length = 23 + n + 2*int(b[21+n])
	if len(b) < length {
		return "", 0, false
	}
	var sum byte
	for _, v := range b[:length-1] {
		sum += v
	}
	return string(b[9 : 9+n]), length, sum == b[length-1]
}

// flawless returns the payloads of what was in the FIFO, if it is nothing but
// whole LoRa records that the chip may make, with good CRCs.
func flawless(b []byte) (payloads []string) {
	for len(b) > 0 {
		payload, length, ok := wholeRecord(b)
		if !ok || b[3] > 8 || b[5] > 16 || b[4]>>4 < 5 || b[4]>>4 > 12 || b[4]&1 == 0 || b[9+len(payload)]&1 != 0 ||
			sx1302.LoRaCRC([]byte(payload)) != uint16(b[19+len(payload)])|uint16(b[20+len(payload)])<<8 {
			return nil
		}
		payloads, b = append(payloads, payload), b[length:]
	}
	return payloads
}

// recordedCounters returns the readings of the counters up to the return of the
// call at the beginning.
func recordedCounters(t *testing.T, all []record) [][]byte {
	var list [][]byte
	for _, r := range all {
		if r.K == "ret" {
			break
		}
		if r.K == "r" && r.A == "6101" {
			list = append(list, sx1302.Unhex(t, r.D))
		}
	}
	return list
}

// comparePacket compares the next packet, or with lossy the next of the same
// payload, and returns those behind it.
func comparePacket(t *testing.T, got []sx1302.Packet, w script.Packet, lossy bool) []sx1302.Packet {
	t.Helper()
	for lossy && len(got) > 0 && hex.EncodeToString(got[0].Payload) != w.Payload {
		got = got[1:]
	}
	if len(got) == 0 {
		t.Errorf("no packet, want %+v", w)
		return nil
	}
	p := got[0]
	rate := radio.LoRaDataRate(uint8(w.Datarate), w.BwKHz*1000)
	if w.Mod == "FSK" {
		rate = radio.FSKDataRate(w.Datarate)
	}
	status := map[sx1302.CRCStatus]string{
		sx1302.NoCRC: "NO_CRC", sx1302.GoodCRC: "CRC_OK",
		sx1302.BadCRC: "CRC_BAD",
	}[p.CRC]
	ok := hex.EncodeToString(p.Payload) == w.Payload && p.DataRate == rate && uint8(p.CodingRate) == w.Coding &&
		p.Time == w.Count && p.PayloadCRC == w.CRC && uint32(p.Frequency) == w.Freq && p.FrequencyError == w.Offset &&
		p.Channel == w.IFChain && p.Modem == w.Modem && p.Chain == w.RFChain && status == w.Status &&
		p.HasFineTimestamp == w.HasFTime && math.Abs(float64(p.FineTimestamp)-float64(w.FTime)) <= 1 &&
		math.Abs(float64(p.RSSI)/1000-w.RSSIC) <= 0.001
	if w.Mod != "FSK" { // which has neither; the reference tells -128
		ok = ok && p.HasSignalRSSI && math.Abs(float64(p.SignalRSSI)/1000-w.RSSIS) <= 0.001 && float64(p.SNR)/100 == w.SNR
	}
	if !ok {
		t.Errorf("packet\n%+v (%s)\nwant\n%+v", p, status, w)
	}
	return got[1:]
}
