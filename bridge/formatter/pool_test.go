//go:build !small

package formatter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lorawand/bridge/formatter/formattertest"
)

const echo = "function decodeUplink(i) { return { data: { n: i.bytes[0] } }; }"

// childOf returns the process of the child.
func childOf(t *testing.T, p *Pool) int {
	t.Helper()
	pid := p.Stats().PID
	if pid == 0 {
		t.Fatal("no child")
	}
	return pid
}

func TestChildComesAndGoes(t *testing.T) {
	p := newPool(t, Options{Idle: 300 * time.Millisecond})
	if s := p.Stats(); s.Starts != 0 {
		t.Errorf("a child before there is work: %+v", s)
	}
	r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Bytes: []byte{1}}
	ask := func(when string) {
		t.Helper()
		if res := p.Do(within(t, 2*time.Minute), r); string(res.Data) != `{"n":1}` {
			t.Errorf("%s: %s, %v", when, res.Data, res.Fail)
		}
	}
	ask("first")
	ask("again")
	pid := childOf(t, p)
	for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child stays")
		}
	}
	ask("after it went")
	if s := p.Stats(); s.Starts != 2 || s.Kills != 0 || s.Calls != 3 || s.Failed != 0 || s.CPU <= 0 || s.Wall <= 0 ||
		s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// A child that somebody else ends costs one request at most.
func TestChildIsKilled(t *testing.T) {
	p := newPool(t, Options{})
	r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Bytes: []byte{1}}
	p.Do(within(t, 2*time.Minute), r)
	if err := syscall.Kill(childOf(t, p), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if res := p.Do(within(t, 2*time.Minute), r); res.Fail == nil || !strings.Contains(res.Fail.Error(),
		"ended: signal: killed") {
		t.Errorf("%+v", res)
	}
	if res := p.Do(within(t, 2*time.Minute), r); string(res.Data) != `{"n":1}` {
		t.Errorf("%+v", res)
	}
}

// A child that is none: the request fails soon, and others are not held up by
// further starts.
func TestChildDoesNotStart(t *testing.T) {
	for name, command := range map[string][]string{
		"no program":    {"/nonexistent"},
		"ends at once":  {"/bin/true"},
		"says nonsense": {"/bin/echo", "HTTP/1.1 400 Bad Request"},
		"other protocol": {
			"/bin/sh", "-c",
			`printf '\000\000\000\020\000\000\000\000\000\000\000\177\000\000\000\000\000\000\000\001'; cat`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, Options{Command: command})
			r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink}
			for range 3 {
				if res := p.Do(within(t, 2*time.Minute), r); res.Fail == nil || res.Fail.Name != "formatter_start" ||
					len(res.Warnings) != 1 {
					t.Errorf("%+v", res)
				}
			}
			if s := p.Stats(); s.Starts != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPoolRefuses(t *testing.T) {
	f := javaScript(t, echo)
	r := Request{Formatter: f, Task: DecodeUplink}
	off := New(Options{NoJavaScript: true})
	if err := off.Submit(r, nil); !errors.Is(err, ErrNoJavaScript) {
		t.Errorf("switched off: %v", err)
	}
	if res := off.Do(context.Background(), r); res.Fail == nil ||
		res.Warnings[0] != "JavaScript formatters are switched off" {
		t.Errorf("switched off: %+v", res)
	}
	for _, f := range []Formatter{{}, NewCayenneLPP(false)} {
		if res := off.Do(context.Background(), Request{Formatter: f, Task: DecodeUplink}); res.Fail != nil {
			t.Errorf("%+v", res)
		}
	}
	// Nobody runs it yet.
	p := New(Options{Queue: 2, Command: formattertest.Command(t)})
	var mu sync.Mutex
	var closed int
	done := func(res Result) {
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(res.Fail, ErrClosed) {
			closed++
		}
	}
	for i, want := range []error{nil, nil, ErrBusy} {
		if err := p.Submit(r, done); !errors.Is(err, want) {
			t.Errorf("request %d: %v, not %v", i, err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
	if closed != 2 {
		t.Errorf("%d requests were told that it is over", closed)
	}
	if err := p.Submit(r, done); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := NewJavaScript(strings.Repeat(" ", MaxScript+1)); !errors.Is(err, ErrScript) {
		t.Errorf("too long a script: %v", err)
	}
}

// A script that the machine leaves no time is ended, unless its caller is patient.
func TestSlack(t *testing.T) {
	for _, tt := range []struct {
		name             string
		slack, cpu, wall time.Duration
		want             time.Duration
	}{
		{"at the start", defaultSlack, 0, 0, 100 * time.Millisecond},
		{"alone", defaultSlack, 90 * time.Millisecond, 95 * time.Millisecond, 10 * time.Millisecond},
		{"too much CPU time", time.Minute, 101 * time.Millisecond, 101 * time.Millisecond, -time.Millisecond},
		{"a busy machine", defaultSlack, 20 * time.Millisecond, 240 * time.Millisecond, 10 * time.Millisecond},
		{"a busier one", defaultSlack, 20 * time.Millisecond, 260 * time.Millisecond, -10 * time.Millisecond},
		{"a patient caller", time.Minute, 20 * time.Millisecond, 30 * time.Second, 80 * time.Millisecond},
	} {
		w := watcher{limit: 100 * time.Millisecond, slack: tt.slack}
		if got := w.left(tt.cpu, tt.wall); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		slack time.Duration
		fails bool
	}{{0, true}, {time.Minute, false}} {
		t.Run(tt.slack.String(), func(t *testing.T) {
			t.Parallel()
			p := newPool(t, Options{Slack: tt.slack})
			r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Bytes: []byte{1}}
			p.Do(within(t, 2*time.Minute), r)
			child := childOf(t, p)
			if err := syscall.Kill(child, syscall.SIGSTOP); err != nil { // as if others had all of the time
				t.Fatal(err)
			}
			if !tt.fails {
				time.AfterFunc(p.Stats().Deadline+defaultSlack+wallGrace+time.Second, func() {
					_ = syscall.Kill(child, syscall.SIGCONT)
				})
			}
			if res := p.Do(within(t, 2*time.Minute), r); res.Fail.isTimeout() != tt.fails || !tt.fails && res.Fail != nil {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Requests that have waited too long are answered without their script: those in the
// queue, and the one that runs, whose own result is then nobody's.
func TestLateRequests(t *testing.T) {
	p := New(Options{})
	long := time.Now().Add(-p.patience() - time.Second)
	var got []string
	var jobs []*job
	for _, tt := range []struct {
		name string
		ctx  context.Context
		at   time.Time
	}{
		{"waits too long", nil, long},
		{"waits since now", nil, time.Now()},
		{"waits until its caller has enough", t.Context(), long},
		{"runs too long", nil, long},
	} {
		j := &job{req: Request{Formatter: javaScript(t, echo), Task: DecodeUplink}, ctx: tt.ctx, at: tt.at}
		j.done = func(r Result) { got = append(got, tt.name+": "+strings.Join(r.Warnings, "")) }
		jobs = append(jobs, j)
	}
	p.queue, p.running = jobs[:3:3], jobs[3]
	p.endWaits()
	p.answer(jobs[3], Result{})
	const late = ": payload formatter was not ready in time"
	if want := []string{"waits too long" + late, "runs too long" + late}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if s := p.Stats(); s.Waiting != 2 || s.Calls != 2 || s.Failed != 2 || s.Late != 2 {
		t.Errorf("%+v", s)
	}
}

// The time that a request has waited before counts, and a request whose caller has gone is
// not begun.
func TestWaitsBefore(t *testing.T) {
	p := newPool(t, Options{Wait: time.Minute})
	r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Since: time.Now().Add(-10 * time.Minute)}
	got := make(chan Result, 1)
	if err := p.Submit(r, func(r Result) { got <- r }); err != nil {
		t.Fatal(err)
	}
	if res := <-got; !errors.Is(res.Fail, ErrLate) {
		t.Errorf("%+v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Do(ctx, r)
	if res := p.Do(within(t, 2*time.Minute), r); res.Fail != nil {
		t.Errorf("%+v", res)
	}
	if s := p.Stats(); s.Calls != 2 {
		t.Errorf("%+v", s)
	}
}

// While a child takes its time to start, requests go out when their time is over;
// those whose callers wait, wait.
func TestSlowStart(t *testing.T) {
	command, release := formattertest.SlowCommand(t)
	p := newPool(t, Options{Command: command, Wait: 20 * time.Millisecond, Idle: time.Millisecond})
	r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Bytes: []byte{1}}
	patient := make(chan Result, 1)
	ctx := within(t, 2*time.Minute)
	go func() { patient <- p.Do(ctx, r) }()
	got := make(chan Result, 3)
	for range cap(got) {
		if err := p.Submit(r, func(r Result) { got <- r }); err != nil {
			t.Fatal(err)
		}
	}
	for range cap(got) {
		if res := <-got; !errors.Is(res.Fail, ErrLate) || len(res.Warnings) != 1 {
			t.Errorf("%+v", res)
		}
	}
	if s := p.Stats(); s.PID != 0 || s.Starts != 1 {
		t.Errorf("%+v", s)
	}
	release()
	if res := <-patient; string(res.Data) != `{"n":1}` {
		t.Errorf("%+v", res)
	}
	pid := childOf(t, p)
	time.Sleep(50 * time.Millisecond)
	if res := p.Do(ctx, r); string(res.Data) != `{"n":1}` || childOf(t, p) != pid {
		t.Errorf("a child that is slow to start was ended: %+v, %+v", res, p.Stats())
	}
}

func TestConsole(t *testing.T) {
	p := newPool(t, Options{})
	res := p.Do(within(t, 2*time.Minute), Request{Task: DecodeUplink, Formatter: javaScript(t, `
		function decodeUplink(i) {
			console.log("a", 1, null, undefined, true, [1, { x: "y" }], new Date(0), new Error("e"), Symbol("s"),
				NaN, { n: NaN });
			console.info("i"); console.warn("w"); console.error("e"); console.debug("d"); console.log();
			console.log("x".repeat(1000));
			for (var n = 0; n < 100; n++) console.log(n);
			return { data: {} };
		}`)})
	if res.Fail != nil || len(res.Log) != maxLog {
		t.Fatalf("%+v", res)
	}
	if want := `a 1 null undefined true [1,{"x":"y"}] 1970-01-01T00:00:00.000Z Error: e s NaN [object Object]`; res.Log[0] != want {
		t.Errorf("%q, not %q", res.Log[0], want)
	}
	if got := strings.Join(res.Log[1:6], ","); got != "i,w,e,d," {
		t.Errorf("%q", got)
	}
	if len(res.Log[6]) > maxLogLine+len("…") {
		t.Errorf("a line of %d bytes", len(res.Log[6]))
	}
}

// A child reserves the memory that it may take, and has little of it in use.
func TestChildIsSmall(t *testing.T) {
	if raceDetector || formattertest.Command(t) != nil {
		t.Skip("with a race detector or an emulator there is more to a process than its memory")
	}
	r := Request{Formatter: javaScript(t, echo), Task: DecodeUplink, Bytes: []byte{1}, Measure: true}
	for range 3 {
		res := newPool(t, Options{}).Do(within(t, 2*time.Minute), r)
		if res.Cost.RSS == 0 || res.Cost.RSS > childMemory {
			t.Errorf("a child has had %.1f MB", float64(res.Cost.RSS)/1e6)
		}
	}
}

// Many scripts do not fit at once: the child forgets the oldest, and is sent it
// again.
func TestManyScripts(t *testing.T) {
	p := newPool(t, Options{})
	var all []Formatter
	for i := range 12 {
		all = append(all, javaScript(t, echo+"/*"+strings.Repeat(string(rune('a'+i)), 30_000)+"*/"))
	}
	for range 2 {
		for i, f := range all {
			if res := p.Do(within(t, 2*time.Minute), Request{Formatter: f, Task: DecodeUplink, Bytes: []byte{1}}); string(res.Data) != `{"n":1}` {
				t.Errorf("%d: %+v", i, res)
			}
		}
	}
	ps := programs{left: maxPrograms}
	for i := range 100 {
		ps.add([32]byte{byte(i)}, strings.Repeat(" ", 10_000))
		size := 0
		for _, p := range ps.all {
			size += p.size
		}
		if size > maxPrograms {
			t.Fatalf("%d bytes are kept", size)
		}
	}
	if ps.find([32]byte{99}) == nil || ps.find([32]byte{0}) != nil {
		t.Error("not the newest are kept")
	}
}

// A codec may be longer than the script of a device, and then takes longer to
// read than a script may run. An endless one is ended all the same.
func TestLongCodec(t *testing.T) {
	codec := func(body string, size int) Formatter {
		t.Helper()
		var source strings.Builder
		source.WriteString(body)
		for i := 0; source.Len() < size-80; i++ {
			fmt.Fprintf(&source, "function f%d(a, b) { return a[%d] + (b || %d) * 0.5; }\n", i, i%50, i)
		}
		if _, err := NewJavaScript(source.String()); !errors.Is(err, ErrScript) {
			t.Errorf("for a device: %v", err)
		}
		f, err := NewCodec(source.String())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	sizes := []int{MaxScript + 100, 80_000, MaxCodec}
	switch {
	case raceDetector:
		sizes = []int{MaxScript + 100, 50_000} // it keeps a record of all memory
	case formattertest.Command(t) != nil:
		sizes = sizes[:2] // an emulator takes long for the rest, and keeps what it translates
	}
	p := newPool(t, Options{})
	for _, size := range sizes {
		f := codec("function decodeUplink(i) { return { data: { n: f7(i.bytes) } }; }\n", size)
		r := Request{Formatter: f, Task: DecodeUplink, Bytes: make([]byte, 8)}
		for range 2 {
			if res := p.Do(within(t, 2*time.Minute), r); !strings.HasPrefix(string(res.Data), `{"n":`) {
				t.Errorf("%d bytes: %+v", size, res)
			}
		}
	}
	endless := Request{
		Formatter: codec("function decodeUplink(i) { for (;;); }\n", sizes[len(sizes)-1]),
		Task:      DecodeUplink,
	}
	for range 2 {
		if res := p.Do(within(t, 2*time.Minute), endless); !res.Fail.isTimeout() {
			t.Errorf("endless: %+v", res)
		}
	}
	if _, err := NewCodec(strings.Repeat(" ", MaxCodec+1)); !errors.Is(err, ErrScript) {
		t.Errorf("too long a codec: %v", err)
	}
}

func TestReading(t *testing.T) {
	const deadline = 100 * time.Millisecond
	for size, want := range map[int]time.Duration{
		0: 0, MaxScript: 0, MaxScript + 100<<10: deadline, MaxScript + 200<<10: 2 * deadline,
	} {
		if got := reading(strings.Repeat(" ", size), deadline); got != want {
			t.Errorf("%d bytes: %v, not %v", size, got, want)
		}
	}
}

func TestScaled(t *testing.T) {
	for _, tt := range []struct{ deadline, calibration, want time.Duration }{
		{100 * time.Millisecond, 0, 100 * time.Millisecond},
		{100 * time.Millisecond, fastMachine, 100 * time.Millisecond},
		{100 * time.Millisecond, 3 * fastMachine, 300 * time.Millisecond},
		{100 * time.Millisecond, 30 * fastMachine, time.Second},
		{100 * time.Millisecond, 1 << 62, time.Second},
		{100 * time.Millisecond, -1, 100 * time.Millisecond},
		{3 * time.Second, 5 * fastMachine, 3 * time.Second},
	} {
		if got := scaled(tt.deadline, tt.calibration); got != tt.want {
			t.Errorf("%v at %v: %v, not %v", tt.deadline, tt.calibration, got, tt.want)
		}
	}
}

// A child that is slow to read gets all; one that reads nothing holds nobody up.
func TestSender(t *testing.T) {
	all := bytes.Repeat([]byte("0123456789abcdef"), MaxCodec/16)
	for _, reads := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		looks := 0
		got := make(chan []byte, 1)
		n, err := sender{w, func() *Error {
			looks++
			switch {
			case looks == 3 && reads:
				go func() { b, _ := io.ReadAll(r); got <- b }()
			case looks == 3:
				return scriptTimeout()
			}
			return nil
		}}.Write(all)
		w.Close()
		var why *Error
		if reads {
			if b := <-got; err != nil || n != len(all) || !bytes.Equal(b, all) {
				t.Errorf("%d of %d bytes, %d were read, %v", n, len(all), len(b), err)
			}
		} else if !errors.As(err, &why) || !why.isTimeout() || looks != 3 {
			t.Errorf("%v after %d looks", err, looks)
		}
		r.Close()
	}
}
