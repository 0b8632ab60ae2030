package recording

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/core"
	"lorawand/radio"
)

// recorded is a short recording, and its effects.
func recorded(t *testing.T) (file, effects []byte) {
	t.Helper()
	f := newField(t, 2, 1<<40)
	f.run(150)
	f.stop()
	return f.file.Bytes(), f.effects.Bytes()
}

// Whatever happens to the bytes of a recording: the effects of what can be read come first, and
// then it is said what is wrong, and in which line.
func TestDamaged(t *testing.T) {
	file, effects := recorded(t)
	rows := bytes.SplitAfter(file, []byte("\n"))
	join := func(parts ...[][]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, bytes.Join(p, nil)...)
		}
		return out
	}
	middle := len(rows) / 2
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "cut off behind line 0"},
		{"another file", []byte("hello\nworld\n"), "line 1: it does not begin as a recording of lorawand"},
		{"bytes", []byte{0, 1, 2, '\n', 3}, "line 1: it does not begin as a recording of lorawand"},
		{"cut off in the first line", file[:20], "line 1: the file is cut off in this line"},
		{"cut off in the state", join(rows[:3]), "cut off behind line 3"},
		{"cut off in a line", join(rows[:middle], [][]byte{rows[middle][:30]}), "the file is cut off in this line"},
		{"a line is gone", join(rows[:middle], rows[middle+1:]), "wrong check sum"},
		{"two lines are exchanged", join(rows[:middle], rows[middle+1:middle+2], rows[middle:middle+1]), "wrong check sum"},
		{"a line comes twice", join(rows[:middle], rows[middle-1:]), "wrong check sum"},
		{"no check sum", join(rows[:middle], [][]byte{[]byte("{}\n")}), "wrong check sum"},
		{"an empty line", join(rows[:middle], [][]byte{[]byte("\n")}), "wrong check sum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := replayed(t, tt.file)
			if !errors.Is(err, ErrRecording) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if !bytes.HasPrefix(effects, got) {
				t.Error("other effects than those of the lines before")
			}
		})
	}
}

// A daemon that was killed leaves a recording without an end, which is no fault.
func TestNoEnd(t *testing.T) {
	file, effects := recorded(t)
	rows := bytes.SplitAfter(file, []byte("\n"))
	got, end, err := replayed(t, bytes.Join(rows[:len(rows)-2], nil))
	if err != nil || end != "" || !bytes.Equal(got, effects) {
		t.Errorf("%v, %q, %d bytes of effects, want %d", err, end, len(got), len(effects))
	}
}

// No byte can change unnoticed.
func TestChangedByte(t *testing.T) {
	file, effects := recorded(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range map[bool]int{false: 60, true: 10}[emulated] {
		at, changed := rnd.IntN(len(file)), bytes.Clone(file)
		changed[at] ^= byte(1 + rnd.IntN(255))
		got, _, err := replayed(t, changed)
		if !errors.Is(err, ErrRecording) || !bytes.HasPrefix(effects, got) {
			t.Fatalf("byte %d of %d is %#x in place of %#x: %v", at, len(file), changed[at], file[at], err)
		}
	}
}

// forged is a recording of lines with good check sums.
func forged(t *testing.T, texts ...string) []byte {
	t.Helper()
	var sum uint32
	var out []byte
	for _, text := range texts {
		var err error
		if out, err = appendLine(out, &sum, rawText(text)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// rawText is JSON.
type rawText string

// MarshalJSON implements json.Marshaler.
func (r rawText) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// Whoever can make a check sum can write what no daemon would: it is refused, or its fault is told.
func TestForged(t *testing.T) {
	const (
		begin = `{"lorawand":"recording","format":1,"default_plan":"EU_863_870_TTN","gateways":[` +
			`{"ID":"gw","EUI":"0A00000000000000","Plan":"EU_863_870_TTN"}]}`
		timer = `{"host":5,"wall":"2026-11-24T12:00:00Z","quality":2,"on":"TimerFired","input":{}}`
	)
	on := func(name, input string) string {
		return strings.Replace(timer, `"TimerFired","input":{}`, `"`+name+`","input":`+input, 1)
	}
	with := func(old, new string) string { return strings.Replace(begin, old, new, 1) }
	for _, tt := range []struct {
		name  string
		lines []string
		want  string // of the error; "": none
	}{
		{"good", []string{begin, timer, `{"end":"x"}`}, ""},
		{"no header", []string{timer}, "line 1: json: unknown field"},
		{"empty header", []string{`{}`}, "line 1: it does not begin as a recording of lorawand"},
		{"another format", []string{with(`"format":1`, `"format":2`)}, "line 1: format 2, this version knows 1"},
		{"another plan", []string{with("EU_863_870_TTN", "MARS")}, "MARS"},
		{"another plan of a gateway", []string{with(`"Plan":"EU_863_870_TTN"`, `"Plan":"MARS"`)}, "MARS"},
		{"two gateways of one id", []string{with(`]}`, `,{"ID":"gw","EUI":"0B00000000000000","Plan":"EU_863_870_TTN"}]}`)}, "exists"},
		{"fewer records", []string{with(`"format":1`, `"format":1,"records":1000000000`)}, "cut off behind line 1"},
		{"fewer records than none", []string{with(`"format":1`, `"format":1,"records":-1`), timer}, ""},
		{
			"an unusable record",
			[]string{with(`"format":1`, `"format":1,"records":1`), `{"Kind":"device","Key":"a/b","Version":2,"Data":"e30="}`},
			"its state",
		},
		{"no input", []string{begin, `{"host":5,"wall":"2026-11-24T12:00:00Z","quality":2}`}, `line 2: "" is no input`},
		{"null", []string{begin, `null`}, `line 2: "" is no input`},
		{"a null input", []string{begin, on("Heard", `null`)}, `line 2: "Heard" without an input`},
		{"a list", []string{begin, `[]`}, "line 2: json: cannot unmarshal"},
		{"an unknown input", []string{begin, on("Wish", `{}`)}, `line 2: "Wish" is no input`},
		{"an unknown field", []string{begin, on("TimerFired", `{"at":1}`)}, "line 2: json: unknown field"},
		{"time goes back", []string{begin, timer, strings.Replace(timer, ":5", ":4", 1)}, "line 3: host time 4"},
		{"the end of time", []string{begin, strings.Replace(timer, ":5", ":9223372036854775807", 1)}, "line 2: host time"},
		{"text after the end", []string{begin, `{"end":"x"}`, timer}, "line 3: text after the end"},
		{"no reception", []string{begin, on("Heard", `{"Uplink":{"PHYPayload":"AQ=="}}`)}, "no antenna"},
		{"an unknown plan", []string{begin, on("Reconfigured", `{"Gateways":[{"Plan":"x"}]}`)}, "line 2"},
		{"an unknown ticket", []string{begin, on("Stored", `{"Ticket":7}`)}, ""},
		{"a device of nobody", []string{begin, on("Provisioned", `{"Put":[{}]}`)}, ""},
		{"no device", []string{begin, on("Provisioned", `{"Put":[{"Device":"e30K"}]}`)}, ""},
		{"a damaged device", []string{begin, on("Provisioned", `{"Put":[{"Device":"AA=="}]}`)}, "line 2: session: device"},
		{"deep", []string{begin, strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000)}, "line 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := replayed(t, forged(t, tt.lines...))
			switch {
			case tt.want == "" && err == nil:
			case tt.want == "" || !errors.Is(err, ErrRecording) || !strings.Contains(err.Error(), tt.want):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A line without an end takes no more memory than the longest may have.
func TestLongLine(t *testing.T) {
	_, err := newLines(strings.NewReader(strings.Repeat("x", 100_000)), 1000).next()
	if !errors.Is(err, ErrRecording) || !strings.Contains(err.Error(), "line 1: bufio.Scanner: token too long") {
		t.Error(err)
	}
}

// A recording ends where it has reached its limit, and is whole until there.
func TestLimit(t *testing.T) {
	const limit = 40_000
	f := newField(t, 3, limit)
	f.run(300)
	f.stop()
	const room = 100 // for the last line
	if n := f.file.Len(); n > limit+room || n < limit-2000 {
		t.Errorf("%d bytes, limit %d", n, limit)
	}
	got, end, err := replayed(t, f.file.Bytes())
	if err != nil || end != endFull || len(got) == 0 || !bytes.HasPrefix(f.effects.Bytes(), got) {
		t.Errorf("%v, %q, %d bytes of effects", err, end, len(got))
	}
}

// A disk that hangs, or is full, ends the recording: the core does not wait, and nothing piles up.
func TestSlowDisk(t *testing.T) {
	f := newField(t, 4, 1<<40)
	r := f.recorder
	up := radio.Uplink{PHYPayload: make([]byte, 255), Receptions: make([]radio.Reception, 1)}
	for range maxPending / 300 {
		f.now.Host = f.now.Host.Add(time.Second)
		r.Input(f.now, core.Heard{Uplink: up})
	}
	if n := len(r.pending); n > maxPending+100 || r.ended != endSlow {
		t.Errorf("%d bytes wait, end %q", n, r.ended)
	}
	f.close()
	if _, end, err := replayed(t, f.file.Bytes()); err != nil || end != endSlow {
		t.Errorf("%v, %q", err, end)
	}
}

// full is a disk without room.
type full struct{ closed bool }

var errRoom = errors.New("no space left on device")

func (*full) Write([]byte) (int, error) { return 0, errRoom }
func (f *full) Close() error            { f.closed = true; return nil }

func TestFullDisk(t *testing.T) {
	f := newField(t, 5, 1<<40)
	disk := &full{}
	f.recorder.o.Out = disk
	f.recorder.Input(f.now, core.TimerFired{})
	if err := f.recorder.flush(false); !errors.Is(err, errRoom) {
		t.Error(err)
	}
	f.recorder.Input(f.now, core.TimerFired{})
	if n := len(f.recorder.pending); n != 0 {
		t.Errorf("%d bytes wait for a disk that is full", n)
	}
	f.close()
	if !disk.closed {
		t.Error("the file is open")
	}
}
