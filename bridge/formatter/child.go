//go:build !small

package formatter

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dop251/goja"
)

// childArgument makes a child of the program.
const childArgument = "formatter-child"

// IsChild reports whether this process was started to run scripts.
func IsChild(args []string) bool { return len(args) == 2 && args[1] == childArgument }

// RunChild runs scripts for the daemon that has started this process, until
// that closes the pipe, and returns the exit status.
func RunChild() int {
	debug.SetMaxStack(maxStack)
	debug.SetMemoryLimit(softMemory)
	warmUp()
	speed := calibrate()
	confine()
	if err := serve(os.Stdin, os.Stdout, speed); err != nil {
		return 1
	}
	return 0
}

// Bounds of the child inside its hard limits.
const (
	maxStack   = 8 << 20  // of a goroutine
	softMemory = 28 << 20 // from here on the garbage collector does what it can
)

// serve answers calls. Its only error is a pipe that is broken, or one that
// does not lead to a daemon.
func serve(in io.Reader, out io.Writer, speed time.Duration) error {
	c := &child{programs: programs{left: maxPrograms}, next: newRun()}
	in = bufio.NewReader(in)
	if err := writeFrame(out, hello{speed, cpuTime()}.append(newFrame(nil))); err != nil {
		return err
	}
	var read []byte
	var write packer
	for {
		var err error
		if read, err = readFrame(in, read); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		call, err := parseCall(read)
		if err != nil {
			return err
		}
		write = c.answer(call).append(newFrame(write))
		if err := writeFrame(out, write); err != nil {
			return err
		}
		c.next = newRun()
		if cap(read) > keepBuffer {
			read = nil
		}
		if cap(write) > keepBuffer {
			write = nil
		}
	}
}

// keepBuffer is the largest buffer that is kept for the next frame.
const keepBuffer = 64 << 10

// child is the state of a child: the scripts that it has read, and a world for the
// next call, which is made while nobody waits.
type child struct {
	programs programs
	next     *run
}

func (c *child) answer(call *call) *answer {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a := &answer{number: call.number}
	before := threadTime()
	var allocated int64
	if call.measure {
		allocated = allocatedBytes()
	}
	p := c.programs.find(call.sum)
	switch {
	case p != nil:
	case !call.hasSource:
		a.unknown = true
		return a
	default:
		p = c.programs.add(call.sum, call.source)
	}
	if p.err != nil {
		a.result = failed(call.task, p.err)
	} else {
		a.result = c.next.execute(call, p.code)
	}
	a.used = cpuTime()
	a.result.Cost.CPU = threadTime() - before
	if call.measure {
		a.result.Cost.Allocated = allocatedBytes() - allocated
	}
	return a
}

// allocatedBytes returns what was ever allocated on the heap.
func allocatedBytes() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// maxPrograms is how many bytes of source the compiled scripts may have that
// are kept. Compiled they have some thirty times as much.
const maxPrograms = 256 << 10

// programs keeps compiled scripts, the last used first.
type programs struct {
	all  []*program
	left int // bytes of source
}

// program is a script that was read, for good or bad.
type program struct {
	sum  [32]byte
	size int
	code *goja.Program
	err  *Error
}

func (ps *programs) find(sum [32]byte) *program {
	i := slices.IndexFunc(ps.all, func(p *program) bool { return p.sum == sum })
	if i < 0 {
		return nil
	}
	p := ps.all[i]
	copy(ps.all[1:i+1], ps.all[:i])
	ps.all[0] = p
	return p
}

// perProgram is what an entry costs beside its source.
const perProgram = 1024

func (ps *programs) add(sum [32]byte, source string) *program {
	p := &program{sum: sum, size: len(source) + perProgram}
	p.code, p.err = compile(source)
	ps.all = slices.Insert(ps.all, 0, p)
	for ps.left -= p.size; ps.left < 0 && len(ps.all) > 1; {
		last := len(ps.all) - 1
		ps.left += ps.all[last].size
		ps.all[last] = nil
		ps.all = ps.all[:last]
	}
	return p
}

// warm is a script that goes through all that stands between a call and its
// result, so that the first script of a device does not pay for what the
// engine sets up once, nor for reading the program from flash.
const warm = `
function decodeUplink(input) {
  var t = [input.bytes[0], 0.5].map(function (v) { return Math.round(v * 10) / 10; }).sort();
  console.log("warm", t, /^w/.test("warm"), input.recvTime);
  return { data: { t: t, s: String(t).slice(0, 3), at: new Date(0), o: JSON.parse("{}") }, warnings: ["w"] };
}
function normalizeUplink(input) { return { data: [{ air: { temperature: input.data.t[0] } }] }; }
function encodeDownlink(input) { return { bytes: [input.data.v, 2], fPort: 3, warnings: [] }; }`

// warmUp has the script warm run.
func warmUp() {
	p, err := compile(warm)
	if err != nil {
		return // shown by its test
	}
	for _, c := range warmCalls() {
		newRun().execute(c, p)
	}
}

// warmCalls returns what the script warm is asked for.
func warmCalls() []*call {
	return []*call{
		{task: DecodeUplink, fPort: 1, bytes: []byte{1}, received: time.Unix(0, 0), limit: maxDeadline, slack: defaultSlack},
		{task: EncodeDownlink, fPort: 1, data: []byte(`{"v":1}`), limit: maxDeadline, slack: defaultSlack},
	}
}

// calibration is work of a millisecond for the engine. It shows how fast
// the machine is, and has the engine set up what it does once.
const calibration = `(function () {
  var a = [], s = 0;
  for (var i = 0; i < 2000; i++) { a[i & 255] = i * 3; s = (s + a[i & 127]) % 65521; }
  return JSON.stringify({ s: s }) + "x".repeat(100).replace(/x/g, "y");
})()`

// calibrate returns the CPU time of the calibration, the least of some runs.
func calibrate() time.Duration {
	p, err := compile(calibration)
	if err != nil {
		return time.Hour // its caller bounds it
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Hour
	for range 8 {
		before := threadTime()
		if _, err := goja.New().RunProgram(p); err != nil {
			return time.Hour
		}
		least = min(least, threadTime()-before)
	}
	return least
}
