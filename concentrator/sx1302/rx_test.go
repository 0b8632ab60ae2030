package sx1302

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio/fuzztest"
)

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
		{
			"pulse torn",
			[][8]byte{{0: 1, 4: 0x10, 7: 0x20}, {0: 2, 4: 0x10, 7: 0x40}, {0: 2, 4: 0x10, 7: 0x60}},
			0x1000_0060 / 32, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var replay RxReplay
			_, chip := newTestChip(t, sx1302test.Options{Fail: replay.Frame, Read: replay.Read})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, r := range tt.reads {
				replay.Counters = append(replay.Counters, r[:])
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

// TestEmptyPoll holds the driver to its promise of what a poll costs: one call of the port
// where that makes several reads in one, and else, as a controller may not, not more
// than four.
func TestEmptyPoll(t *testing.T) {
	for name, tt := range map[string]struct {
		port  sx1302test.Options
		calls int
	}{
		"several frames in a message": {sx1302test.Options{}, 1},
		"refused":                     {sx1302test.Options{OneFrame: true}, 4},
		"taken for one frame":         {sx1302test.Options{Selected: true}, 4},
		"one way at a time":           {sx1302test.Options{HalfDuplex: true}, 4},
	} {
		t.Run(name, func(t *testing.T) { emptyPoll(t, tt.port, tt.calls) })
	}
}

func emptyPoll(t *testing.T, port sx1302test.Options, calls int) {
	t.Helper()
	transfers, messages := 0, 0
	port.Fail, port.Messages = func([]byte) error { transfers++; return nil }, &messages
	_, chip := newTestChip(t, port)
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	transfers, messages = 0, 0
	const polls = 1000
	allocations := testing.AllocsPerRun(polls, func() {
		if packets, err := chip.Receive(); len(packets) > 0 || err != nil {
			t.Fatal(packets, err)
		}
	})
	if allocations > 0 && !port.HalfDuplex { // there the model allocates
		t.Errorf("%v allocations", allocations)
	}
	if limit := calls * (polls + 1); messages > limit {
		t.Errorf("%d calls, want at most %d", messages, limit)
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
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		if len(b) > fifoSize {
			return
		}
		for _, p := range chip.parse(b) {
			if p.Channel > FSKChannel || p.Chain >= Chains || p.Modem > maxModem {
				t.Errorf("%+v", p)
			}
		}
	}))
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
	model, chip := newTestChip(t, sx1302test.Options{OneFrame: true, Fail: func(w []byte) error {
		if fail && len(w) > 4 && uint16(w[1])<<8|uint16(w[2]) == counters.addr {
			return errors.New("bus")
		}
		return nil
	}})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliver := func(payload string) {
		f := sx1302test.Frame{
			Payload: []byte(payload), Channel: 2, SF: 7, CodingRate: 1,
			Ticks: uint32(model.Counter() * ticksPerMicrosecond),
		}
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
