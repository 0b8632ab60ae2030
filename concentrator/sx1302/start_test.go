package sx1302

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

	"lorawand/concentrator/sx1302/sx1302test"
)

// startTraces are the recordings of starts that the driver can make: those
// over the USB bridge and with listen-before-talk are left out, of which it has
// neither.
func startTraces(t *testing.T) []string {
	return slices.DeleteFunc(traces(t, "start_"), func(name string) bool {
		return name == "start_eu868_usb" || name == "start_send_as923_lbt"
	})
}

// TestStartState compares what the registers, the radios and both programs were
// left with or told.
func TestStartState(t *testing.T) {
	for _, name := range startTraces(t) {
		t.Run(name, func(t *testing.T) {
			all := readTrace(t, name)
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
		})
	}
}

func compareRegisters(t *testing.T, got map[uint16]byte, regs map[string]string) {
	t.Helper()
	want := map[uint16]byte{}
	for a, v := range regs {
		addr, err := strconv.ParseUint(a, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		want[uint16(addr)] = unhex(t, v)[0]
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
		t.Errorf("radio has %v, %d, mode %d; want %v, %d, mode %d", regs, got.Frequency, got.Mode, want.Regs, want.Freq, want.Mode)
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

// traceSections turns the start of a recording into sections, with a model to
// tell which writes change anything.
func traceSections(t *testing.T, all []record) []section {
	t.Helper()
	var s sections
	o := sx1302test.Options{Observe: func(e sx1302test.Event) { s.observe(e) }}
	if all[0].Emulator["radio"] == "sx1257" {
		o.Radio = sx1302test.SX125x
	}
	model := sx1302test.New(o)
	calibrating := all[0].Emulator["radio"] == "sx1257"
	for _, r := range all {
		switch r.K {
		case "w":
			addr, err := strconv.ParseUint(r.A, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			frame := append([]byte{0, byte(addr>>8) | writeBit, byte(addr)}, unhex(t, r.D)...)
			transfer(t, model, frame)
		case "fw":
			addr, data := uint16(agcMemory), sx1302test.Image(sx1302test.AGCSX1250)
			if o.Radio == sx1302test.SX125x {
				data = sx1302test.Image(sx1302test.AGCSX125x)
			}
			if r.Addr == "2000" {
				addr, data = arbMemory, sx1302test.Image(sx1302test.ARB)
			} else if calibrating {
				data = sx1302test.Image(sx1302test.Calibration)
			}
			if r.Dir == "w" {
				transfer(t, model, append([]byte{0, byte(addr>>8) | writeBit, byte(addr)}, data...))
			} else {
				calibrating = false
			}
		case "radio":
			var tx string
			if err := json.Unmarshal(r.Tx, &tx); err != nil {
				t.Fatal(err)
			}
			transfer(t, model, append([]byte{byte(r.M)}, unhex(t, tx)...))
		case "sleep":
			s.wait(time.Duration(r.US) * time.Microsecond)
		case "ret":
			return s.list
		}
	}
	t.Fatal("the start has no end")
	return nil
}

func transfer(t *testing.T, model *sx1302test.Chip, w []byte) {
	t.Helper()
	if err := model.Tx(w, make([]byte, len(w))); err != nil {
		t.Fatal(err)
	}
}

func (s *sections) observe(e sx1302test.Event) {
	switch {
	case e.Kind == sx1302test.Wrote:
		s.write(e.Addr, e.Old, e.New)
	case e.Kind == sx1302test.Loaded:
		s.boundary("load %04X", e.Addr)
	default:
		s.boundary("radio %d %x", e.Chain, e.Frame)
	}
}

// TestStartOrder compares the order of what has one, and the waits: the driver
// may wait longer than the recording.
func TestStartOrder(t *testing.T) {
	for _, name := range startTraces(t) {
		t.Run(name, func(t *testing.T) {
			all := readTrace(t, name)
			want := traceSections(t, all)
			var s sections
			_, chip := traceChip(t, all[0], sx1302test.Options{Observe: func(e sx1302test.Event) { s.observe(e) }}, s.wait)
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			compareSections(t, s.list, want)
		})
	}
}

func compareSections(t *testing.T, got, want []section) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		// Which chip it is may be asked at any time.
		delete(g.changes, otpAddress.addr)
		delete(w.changes, otpAddress.addr)
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
