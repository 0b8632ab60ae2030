package sx1302

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// rxReplay feeds a recording to the driver: the bytes that appeared in the FIFO
// and the counters that were read.
type rxReplay struct {
	counters [][]byte // recorded readings for the current call
	current  []byte
}

// frame is asked about each frame to the chip; it moves on to the next reading
// of its length.
func (r *rxReplay) frame(w []byte) error {
	if len(w) > readHeader && w[0] == 0 && binary.BigEndian.Uint16(w[1:]) == counters.addr {
		n := len(w) - readHeader
		if i := slices.IndexFunc(r.counters, func(b []byte) bool { return len(b) == n }); i >= 0 {
			r.current = r.counters[i]
			r.counters = slices.Delete(r.counters, i, i+1)
		}
	}
	return nil
}

func (r *rxReplay) read(addr uint16) (byte, bool) {
	if i := int(addr) - int(counters.addr); i >= 0 && i < len(r.current) {
		return r.current[i], true
	}
	return 0, false
}

func TestReceive(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		replayReceive(t, all, all[0].kind() == lossyTrace, all[0].kind() == nonsenseTrace)
	}, receiveTrace, lossyTrace, nonsenseTrace)
}

func replayReceive(t *testing.T, all []record, lossy, nonsense bool) {
	var replay rxReplay
	model, chip := traceChip(t, all[0], sx1302test.Options{Fail: replay.frame, Read: replay.read}, nil)
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	chip.SetTemperature(all[0].temperature(t))
	var got, every []Packet
	var fed, fresh []byte
	var due []string
	for i, r := range all {
		switch {
		case r.K == "fifo":
			b := unhex(t, r.Bytes)
			model.Deliver(b)
			fed, fresh = append(fed, b...), append(fresh, b...)
		case r.K == "set" && r.Temp != nil:
			chip.SetTemperature(int32(*r.Temp * 256))
		case r.K == "call" && r.Fn == "receive":
			replay.counters = recordedCounters(t, all[i:])
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
			var want []scriptPacket
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
func checkDelivered(t *testing.T, packets []Packet, fed []byte, due []string) {
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
			loraCRC([]byte(payload)) != uint16(b[19+len(payload)])|uint16(b[20+len(payload)])<<8 {
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
			list = append(list, unhex(t, r.D))
		}
	}
	return list
}

// comparePacket compares the next packet, or with lossy the next of the same
// payload, and returns those behind it.
func comparePacket(t *testing.T, got []Packet, w scriptPacket, lossy bool) []Packet {
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
	status := map[CRCStatus]string{NoCRC: "NO_CRC", GoodCRC: "CRC_OK", BadCRC: "CRC_BAD"}[p.CRC]
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

// timestampVector returns what is wrong with the corrections of a frame.
func timestampVector(t *testing.T, row []string) string {
	t.Helper()
	var v [7]int64
	for i := range v {
		var err error
		if v[i], err = strconv.ParseInt(row[i], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	shape := frameShape{uint8(v[1]), uint32(v[0]) * 1000, v[2], v[4], v[3] == 1}
	legacy, precision := int64(shape.legacyCorrection()), int64(shape.precisionCorrection())
	if legacy != v[5] || precision != v[6] {
		return strconv.FormatInt(legacy, 10) + ", " + strconv.FormatInt(precision, 10)
	}
	return ""
}

// miscVector returns what is wrong with a row.
func miscVector(t *testing.T, row []string) string {
	t.Helper()
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	same := func(got, want float64, within float64) string {
		if math.Abs(got-want) <= within {
			return ""
		}
		return strconv.FormatFloat(got, 'f', -1, 64)
	}
	kind, _, _ := strings.Cut(row[0], "(")
	switch kind {
	case "freq_to_time_drift":
		m, e := frequencyDrift(uint32(number(row[1])), uint32(number(row[2]))*1000)
		return same(float64(m), number(row[3]), 0) + same(float64(e), number(row[4]), 0)
	case "sx1302_tx_freq_reg":
		return same(float64(txFrequency(SX1250, radio.Frequency(number(row[1])))), number(row[3]), 0)
	case "sx1250_freq_reg":
		return same(float64(uint64(number(row[1]))<<25/crystal), number(row[3]), 0)
	case "if_reg":
		hz := int32(number(row[1]))
		return same(float64(ifRegister(hz)), number(row[3]), 0) + same(float64(ifError(hz)), number(row[4]), 0)
	case "lora_payload_crc16":
		return same(float64(loraCRC(unhex(t, row[1]))), number(row[3]), 0)
	case "rssi_tcomp":
		r := receiver{config: &Config{}}
		r.config.Radios[0].RSSITemperature = [5]int32{0, 0, 20410, 2162560, 0}
		if strings.Contains(row[0], "e=") {
			r.config.Radios[0].RSSITemperature = [5]int32{-6, 789, -14992, 1988572, 105236996}
		}
		r.setTemperature(int32(number(row[1])) * 256)
		return same(float64(r.tcomp[0])/1000, number(row[3]), 0.001)
	case "fsk_rssi_poly":
		return same(float64(fskRSSI(byte(number(row[1]))))/1000, number(row[3]), 0.001)
	case "dc_notch_delay":
		return same(float64(notchDelay(int32(number(row[1]))*1000))/(1<<fixed), number(row[3]), 0.00001)
	}
	return "unknown kind"
}

// TestBadRecords: of what is fetched at once the good records before a bad one
// are delivered, a bad one never.
func TestBadRecords(t *testing.T) {
	good := func(payload string) []byte {
		f := sx1302test.Frame{Payload: []byte(payload), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
		return f.Record()
	}
	spoil := func(i int, b []byte) []byte {
		b[(i+len(b))%len(b)] ^= 0x10
		return b
	}
	other := func(change func(*sx1302test.Frame)) []byte {
		f := sx1302test.Frame{Payload: []byte("bad"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
		change(&f)
		return f.Record()
	}
	wrongPayloadCRC := good("bad")
	wrongPayloadCRC[recordHead+3+10]++ // and the checksum goes with it
	wrongPayloadCRC[len(wrongPayloadCRC)-1]++
	tests := []struct {
		name string
		fifo [][]byte
		want []string
		bad  uint64 // BadRecords and BadPayload
	}{
		{"good", [][]byte{good("one"), good("two")}, []string{"one", "two"}, 0},
		{"garbage before", [][]byte{{1, 2, recordMagic0}, good("one")}, []string{"one"}, 0},
		{"garbage behind", [][]byte{good("one"), {1, 2, 3}}, []string{"one"}, 1},
		{"checksum", [][]byte{good("one"), spoil(-1, good("bad")), good("lost")}, []string{"one"}, 1},
		{"payload spoilt", [][]byte{good("one"), spoil(recordHead, good("bad")), good("lost")}, []string{"one"}, 1},
		{"first one spoilt", [][]byte{spoil(recordHead, good("bad")), good("lost")}, nil, 1},
		{"cut short", [][]byte{good("one"), good("bad")[:recordMin-1]}, []string{"one"}, 1},
		{"cut short behind the head", [][]byte{good("one"), good("bad")[:recordMin+2]}, []string{"one"}, 1},
		{"SF13", [][]byte{other(func(f *sx1302test.Frame) { f.SF = 13 }), good("two")}, []string{"two"}, 1},
		{"SF4", [][]byte{other(func(f *sx1302test.Frame) { f.SF = 4 }), good("two")}, []string{"two"}, 1},
		{"modem 18", [][]byte{other(func(f *sx1302test.Frame) { f.Modem = 18 }), good("two")}, []string{"two"}, 1},
		{"channel 10", [][]byte{other(func(f *sx1302test.Frame) { f.Channel = 10 }), good("two")}, []string{"two"}, 1},
		{"CRC of the payload", [][]byte{wrongPayloadCRC, good("two")}, []string{"two"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			model, chip := newTestChip(t, sx1302test.Options{})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			model.Deliver(slices.Concat(tt.fifo...))
			packets, err := chip.Receive()
			var got []string
			for _, p := range packets {
				got = append(got, string(p.Payload))
			}
			s := chip.ReceiveStats()
			if err != nil || !slices.Equal(got, tt.want) || s.BadRecords+s.BadPayload != tt.bad {
				t.Errorf("%q, %v, %+v; want %q", got, err, s, tt.want)
			}
			model.Deliver(good("next"))
			if packets, err = chip.Receive(); err != nil || len(packets) != 1 || string(packets[0].Payload) != "next" {
				t.Errorf("afterwards %+v, %v", packets, err)
			}
		})
	}
}

// TestTorn reads counters and numbers of bytes that change while they are read.
func TestTorn(t *testing.T) {
	tests := []struct {
		name  string
		reads [][8]byte
		want  uint32 // µs
		torn  uint64
	}{
		{"whole", [][8]byte{{4: 0x10, 0, 0, 0x20}, {4: 0x10, 0, 1, 0}}, 0x1000_0020 / 32, 0},
		{"torn", [][8]byte{{4: 0x10, 0, 0, 0}, {4: 0x11, 0, 0, 0}, {4: 0x11, 0, 0, 0x40}}, 0x1100_0040 / 32, 1},
		{"pulse torn", [][8]byte{{0: 1, 4: 0x10, 7: 0x20}, {0: 2, 4: 0x10, 7: 0x40}, {0: 2, 4: 0x10, 7: 0x60}}, 0x1000_0060 / 32, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var replay rxReplay
			_, chip := newTestChip(t, sx1302test.Options{Fail: replay.frame, Read: replay.read})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, r := range tt.reads {
				replay.counters = append(replay.counters, r[:])
			}
			got, err := chip.Counter()
			if err != nil || got != tt.want || chip.ReceiveStats().Torn != tt.torn {
				t.Errorf("Counter = %d, %v, torn %d; want %d", got, err, chip.ReceiveStats().Torn, tt.want)
			}
		})
	}
	t.Run("bytes", func(t *testing.T) {
		large := false
		reads := 0
		model, chip := newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
			if addr == rxBytes.addr {
				reads++
				return 0xFF, large
			}
			return 0, addr == rxBytes.addr+1 && reads == 1 // the first time the lower byte is torn
		}})
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := sx1302test.Frame{Payload: make([]byte, 250), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
		model.Deliver(f.Record())
		if packets, err := chip.Receive(); len(packets) != 1 || err != nil {
			t.Errorf("%d packets, %v", len(packets), err)
		}
		large = true
		if _, err := chip.Receive(); !errors.Is(err, ErrFIFO) {
			t.Errorf("Receive: %v", err)
		}
	})
}

// TestEmptyPoll holds the driver to its promise of what a poll costs.
func TestEmptyPoll(t *testing.T) {
	transfers := 0
	_, chip := newTestChip(t, sx1302test.Options{Fail: func([]byte) error { transfers++; return nil }})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	transfers = 0
	const polls = 1000
	allocations := testing.AllocsPerRun(polls, func() {
		if packets, err := chip.Receive(); len(packets) > 0 || err != nil {
			t.Fatal(packets, err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
	if limit := 4 * (polls + 1); transfers > limit {
		t.Errorf("%d transfers, want at most %d", transfers, limit)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(mustHex("a5c00b028302000000a7b981bc6202005b73785c00167976000040989b1abcfc00e4"))
	f.Add(mustHex("000102a5a5c005019301000000ca5ee961e700167976000080109c1a66c100ca"))
	f.Add(mustHex("a5c0050001"))
	config := testConfig()
	config.FineTimestamps = FineTimestampsAll
	chip, err := New(sx1302test.New(sx1302test.Options{Model: 3}), config, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > fifoSize {
			return
		}
		for _, p := range chip.parse(b) {
			if p.Channel > FSKChannel || p.Chain >= Chains || p.Modem > maxModem {
				t.Errorf("%+v", p)
			}
		}
	})
}

func mustHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// TestReceiveAfterError has the bus fail behind the FIFO: what was read from
// there is not lost.
func TestReceiveAfterError(t *testing.T) {
	fail := false
	model, chip := newTestChip(t, sx1302test.Options{Fail: func(w []byte) error {
		if fail && len(w) > 4 && uint16(w[1])<<8|uint16(w[2]) == counters.addr {
			return errors.New("bus")
		}
		return nil
	}})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliver := func(payload string) {
		f := sx1302test.Frame{Payload: []byte(payload), Channel: 2, SF: 7, CodingRate: 1, Ticks: uint32(model.Counter() * ticksPerMicrosecond)}
		model.Deliver(f.Record())
	}
	fail = true
	for _, payload := range []string{"one", "two"} {
		deliver(payload)
		if _, err := chip.Receive(); err == nil {
			t.Fatal("the bus does not fail")
		}
	}
	fail = false
	deliver("three")
	packets, err := chip.Receive()
	if err != nil || len(packets) != 3 || string(packets[0].Payload) != "one" || string(packets[2].Payload) != "three" {
		t.Errorf("%v, %+v", err, packets)
	}
	fail = true
	deliver("four")
	if _, err := chip.Receive(); err == nil {
		t.Fatal("the bus does not fail")
	}
	now := uint32(model.Counter())
	packets = chip.salvage(now)
	if len(packets) != 1 || string(packets[0].Payload) != "four" || now-packets[0].Time > 1_000_000 {
		t.Errorf("salvaged at %d: %+v", now, packets)
	}
	if len(chip.salvage(now)) > 0 {
		t.Error("salvaged twice")
	}
}
