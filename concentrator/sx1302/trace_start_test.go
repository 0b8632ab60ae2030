package sx1302_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/script"
	"lorawand/concentrator/sx1302/sx1302test"
)

// TestStartState compares what the registers, the radios and both programs were
// left with or told.
func TestStartState(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		final := all[slices.IndexFunc(all, func(r record) bool { return r.K == "final" })]
		model, chip := traceChip(t, all[0], sx1302test.Options{}, nil)
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		compareRegisters(t, model.Changed(), final.Regs)
		agc, arb := model.Logs()
		compareLog(t, "AGC", agc, final.AGCLog)
		compareLog(t, "ARB", arb, final.ARBLog)
		compareRadio(t, model.Radio(0), final.RadioA)
		compareRadio(t, model.Radio(1), final.RadioB)
	}, startTrace)
}

func compareRegisters(t *testing.T, got map[uint16]byte, regs map[string]string) {
	t.Helper()
	want := map[uint16]byte{}
	for a, v := range regs {
		addr, err := strconv.ParseUint(a, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		want[uint16(addr)] = sx1302.Unhex(t, v)[0]
	}
	for _, addr := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[addr]; !ok || v != want[addr] {
			t.Errorf("register 0x%04X is 0x%02X (changed: %t), want 0x%02X", addr, v, ok, want[addr])
		}
	}
	for _, addr := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[addr]; !ok {
			t.Errorf("register 0x%04X is 0x%02X, want its reset value", addr, got[addr])
		}
	}
}

func compareLog(t *testing.T, who string, got [][4]byte, want []string) {
	t.Helper()
	var text []string
	for _, g := range got {
		text = append(text, hex.EncodeToString(g[:]))
	}
	if !slices.Equal(text, want) {
		t.Errorf("%s was told %d things\n%v\nwant %d\n%v", who, len(text), text, len(want), want)
	}
}

func compareRadio(t *testing.T, got sx1302test.Radio, raw json.RawMessage) {
	t.Helper()
	var image string
	if json.Unmarshal(raw, &image) == nil { // SX1255 or SX1257
		if text := hex.EncodeToString(got.Raw[:]); text != image {
			t.Errorf("radio has\n%s, want\n%s", text, image)
		}
		return
	}
	var want struct {
		Commands []string          `json:"commands"`
		Freq     uint32            `json:"freq_reg"`
		Mode     byte              `json:"mode"`
		Regs     map[string]string `json:"regs"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, c := range got.Commands {
		commands = append(commands, hex.EncodeToString(c))
	}
	if !slices.Equal(commands, want.Commands) {
		t.Errorf("radio got %v, want %v", commands, want.Commands)
	}
	regs := map[string]string{}
	for a, v := range got.Registers {
		regs[fmt.Sprintf("%04X", a)] = fmt.Sprintf("%02X", v)
	}
	if !maps.Equal(regs, want.Regs) || got.Frequency != want.Freq || got.Mode != want.Mode {
		t.Errorf("radio has %v, %d, mode %d; want %v, %d, mode %d", regs, got.Frequency, got.Mode, want.Regs, want.Freq,
			want.Mode)
	}
}

// section is what happens between two boundaries: the bytes that end up with
// another value, in any order, and how long was waited at least.
type section struct {
	boundary string // what begins it
	changes  map[uint16]byte
	waited   time.Duration
}

// sections collects sections. Writes that change nothing are left out.
type sections struct{ list []section }

func (s *sections) last() *section {
	if len(s.list) == 0 {
		s.list = append(s.list, section{boundary: "begin", changes: map[uint16]byte{}})
	}
	return &s.list[len(s.list)-1]
}

func (s *sections) boundary(format string, args ...any) {
	s.last()
	s.list = append(s.list, section{boundary: fmt.Sprintf(format, args...), changes: map[uint16]byte{}})
}

// wait is a boundary for the writes around it, but waits are only ever
// compared as the sum between two others.
func (s *sections) wait(d time.Duration) {
	l := s.last()
	if l.boundary == "wait" && len(l.changes) == 0 {
		l.waited += d
		return
	}
	s.boundary("wait")
	s.last().waited = d
}

// ordered are the registers whose writes are boundaries: clocks and radios,
// processors, mailbox byte 3 and the resume of the ARB, buffers and triggers.
var ordered = []uint16{0x5601, 0x5783, 0x5784, 0x5780, 0x6080, 0x5789, 0x608A, 0x5207, 0x5407, 0x5200, 0x5400}

// always are those of them that count even if the byte stays the same.
var always = []uint16{0x5789, 0x608A}

func (s *sections) write(addr uint16, old, now byte) {
	switch {
	case slices.Contains(always, addr):
		s.boundary("write %04X %02X", addr, now)
	case old == now:
	case slices.Contains(ordered, addr):
		s.boundary("write %04X %02X", addr, now)
	default:
		s.last().changes[addr] = now
	}
}

// traceSections turns a recording into sections up to the end of its last send,
// or else of its start, with a model to tell which writes change anything.
func traceSections(t *testing.T, all []record) []section {
	t.Helper()
	var s sections
	o := sx1302test.Options{Observe: func(e sx1302test.Event) { s.observe(e) }}
	if all[0].sx125x() {
		o.Radio = sx1302test.SX125x
	}
	model := sx1302test.New(o)
	calibrating := all[0].sx125x()
	for _, r := range untilReturn(t, all) {
		switch r.K {
		case "w":
			addr, err := strconv.ParseUint(r.A, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			frame := append([]byte{0, byte(addr>>8) | sx1302.WriteBit, byte(addr)}, sx1302.Unhex(t, r.D)...)
			transfer(t, model, frame)
		case "fw":
			if r.Mem == "sx1261" {
				transferPatch(t, model, &s)
				break
			}
			program := sx1302test.AGCSX1250
			switch {
			case r.Mem == "arb":
				program = sx1302test.ARB
			case calibrating:
				program = sx1302test.Calibration
			case o.Radio == sx1302test.SX125x:
				program = sx1302test.AGCSX125x
			}
			if r.Dir == "w" {
				transferFirmware(t, model, program, r)
			} else {
				calibrating = false
			}
		case "radio":
			var tx string
			if err := json.Unmarshal(r.Tx, &tx); err != nil {
				t.Fatal(err)
			}
			transfer(t, model, append([]byte{byte(r.M)}, sx1302.Unhex(t, tx)...))
		case "sleep":
			s.wait(time.Duration(r.US) * time.Microsecond)
		case "sx1261":
			var tx string
			if err := json.Unmarshal(r.Tx, &tx); err != nil {
				t.Fatal(err)
			}
			transfer(t, model.SX1261(), sx1302.Unhex(t, tx))
		}
	}
	return s.list
}

// untilReturn gives what comes before the last return of a start or a send.
func untilReturn(t *testing.T, all []record) []record {
	t.Helper()
	end := 0
	for i, r := range all {
		if r.K == "ret" && (r.Fn == "start" || r.Fn == "send") {
			end = i
		}
	}
	if end == 0 {
		t.Fatal("the start has no end")
	}
	return all[:end]
}

// transferFirmware writes the part of a program that a record tells of.
func transferFirmware(t *testing.T, model *sx1302test.Chip, p sx1302test.Program, r record) {
	t.Helper()
	addr, err := strconv.ParseUint(r.Addr, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	at := int(addr) % sx1302.ImageSize
	transfer(t, model, append([]byte{0, byte(addr>>8) | sx1302.WriteBit, byte(addr)}, sx1302test.Image(p)[at:at+r.Len]...))
}

// transferPatch is what a recording tells of the patch of the SX1261 in one
// record: a command for each word, with a wait before the next.
func transferPatch(t *testing.T, model *sx1302test.Chip, s *sections) {
	t.Helper()
	patch := sx1302test.Patch()
	for at := 0; at < len(patch); at += 4 {
		transfer(t, model.SX1261(), sx1302.WriteRegister(uint16(0x8000+at), patch[at:at+4]...))
		s.wait(time.Millisecond)
	}
}

// replayCalls makes the calls that a recording has after its start, and compares
// what was returned and what went out.
func replayCalls(t *testing.T, all []record, model *sx1302test.Chip, chip *sx1302.Chip, taken *bool,
	now *time.Duration,
) {
	t.Helper()
	s := scriptOn(t, all[0], chip)
	var last sx1302.Transmission
	sending := false
	for i, r := range all {
		*now += time.Duration(r.Advance) * time.Microsecond
		switch {
		case r.K == "set" && r.LBTBusy != nil:
			*taken = *r.LBTBusy
		case r.K == "call" && r.Fn == "stop":
			return
		case r.K == "call" && r.Fn != "start":
			if r.Fn == "send" {
				last, sending = recordedSend(t, r), true
			}
			sent := len(model.Emissions())
			out, rc := step(t, s, r.Fn, r.Args)
			ret := all[i+slices.IndexFunc(all[i:], func(r record) bool { return r.K == "ret" })]
			if rc != ret.RC || len(ret.Out) > 0 && !sameJSON(out, ret.Out) {
				t.Errorf("%s %s: %v, rc %d; want %s, rc %d", r.Fn, r.Args, out, rc, ret.Out, ret.RC)
			}
			if e := model.Emissions(); r.Fn == "send" && rc >= 0 && (len(e) != sent+1 || e[sent].Cut != (rc == 1)) {
				t.Errorf("%s: returned %d, and %d packets went out", r.Args, rc, len(e)-sent)
			}
		case r.K == "air" && sending: // others are those of the calibration
			compareAir(t, model.Emissions(), &last, r.Tx)
		}
	}
}

// recordedSend returns what a call of send has sent.
func recordedSend(t *testing.T, r record) sx1302.Transmission {
	t.Helper()
	var args script.Send
	err := json.Unmarshal(r.Args, &args)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := args.Transmission()
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func transfer(t *testing.T, model spi.Conn, w []byte) {
	t.Helper()
	if err := model.Tx(w, make([]byte, len(w))); err != nil {
		t.Fatal(err)
	}
}

func (s *sections) observe(e sx1302test.Event) {
	switch {
	case e.Kind == sx1302test.Wrote:
		s.write(e.Addr, e.Old, e.New)
	case e.Kind == sx1302test.SX1261Frame:
		s.boundary("sx1261 %x", e.Frame)
	case e.Kind == sx1302test.Loaded:
		s.boundary("load %04X", e.Addr)
	default:
		s.boundary("radio %d %x", e.Chain, e.Frame)
	}
}

// TestStartOrder compares the order of what has one, and the waits: the driver
// may wait longer than the recording. It goes on to the last packet that a
// recording sends after the start; all calls but stop are made, and what they
// return is compared.
func TestStartOrder(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		want := traceSections(t, all)
		var s sections
		taken, now := false, time.Duration(0)
		model, chip := traceChip(t, all[0], sx1302test.Options{
			Now:     func() time.Duration { return now },
			Observe: func(e sx1302test.Event) { s.observe(e) },
			Taken:   func(*sx1302test.Emission) bool { return taken },
		}, func(d time.Duration) { now += d; s.wait(d) })
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		replayCalls(t, all, model, chip, &taken, &now)
		compareSections(t, s.list, want)
		if err := chip.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}, startTrace)
}

func compareSections(t *testing.T, got, want []section) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		// Which chip it is may be asked at any time.
		delete(g.changes, sx1302.OTPAddr)
		delete(w.changes, sx1302.OTPAddr)
		if g.boundary != w.boundary || g.waited < w.waited || !maps.Equal(g.changes, w.changes) {
			t.Fatalf("section %d is %s, want %s; after %s", i, g, w, got[max(i-1, 0)])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d sections, want %d", len(got), len(want))
	}
}

func (s section) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%v)", s.boundary, s.waited)
	for _, addr := range slices.Sorted(maps.Keys(s.changes)) {
		fmt.Fprintf(&b, " %04X=%02X", addr, s.changes[addr])
	}
	return b.String()
}
