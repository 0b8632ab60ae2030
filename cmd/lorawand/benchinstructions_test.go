//go:build !small

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// emulation is a target on which instructions are counted.
type emulation struct {
	name string
	env  []string // of the compiler
	qemu []string
}

var (
	mipsle = emulation{
		"mipsle",
		[]string{"GOARCH=mipsle", "GOMIPS=softfloat"},
		[]string{"qemu-mipsel-static", "-cpu", "24Kc"},
	}
	armv7 = emulation{"armv7", []string{"GOARCH=arm", "GOARM=7"}, []string{"qemu-arm-static", "-cpu", "cortex-a7"}}
)

// instructionCounter counts the instructions that a Go program executes under
// qemu, those of the runtime's sysmon left out: that looks at the program every
// so many µs of a clock that runs a hundred times too fast for it.
//
// qemu writes the instructions of each block that it translates (-d in_asm) and
// the address of each block that it executes (-d exec,nochain).
type instructionCounter struct {
	size  map[string]int64 // instructions, by the address of the block
	total atomic.Int64
	// Of two functions of the program: what lies between the last call of begin and
	// the next one of end is counted in lap.
	begin, end string
	began, lap int64
}

// sysmonThread is that of sysmon in qemu's log: the first that a Go program starts.
const sysmonThread = "Trace 1:"

// read reads qemu's log to its end.
func (c *instructionCounter) read(r io.Reader) {
	var block string
	for in := bufio.NewReaderSize(r, 1<<20); ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte(sysmonThread)):
		case bytes.HasPrefix(line, []byte("Trace ")):
			// Trace thread: host [base/address/flags/flags] name
			_, rest, _ := bytes.Cut(line, []byte("/"))
			address, _, _ := bytes.Cut(rest, []byte("/"))
			c.executed(string(address))
		case bytes.HasPrefix(line, []byte("IN:")):
			block = ""
		case bytes.HasPrefix(line, []byte("0x")):
			// 0xaddress: instruction
			if block == "" {
				address, _, _ := bytes.Cut(line[2:], []byte(":"))
				block = string(address)
				c.size[block] = 0
			}
			c.size[block]++
		}
	}
}

// executed counts a block.
func (c *instructionCounter) executed(address string) {
	switch total := c.total.Add(c.size[address]); address {
	case c.begin:
		c.began = total
	case c.end:
		c.lap = total - c.began
	}
}

// instructions returns how many the daemon executes for an uplink, from the
// datagram to a subscriber with QoS 0, and for the receive windows that pass
// unused. There is no garbage collection. Uplinks come at a steady rate; the result
// is the median of some groups of them, less what the daemon at rest executes
// meanwhile.
func (e *emulation) instructions(b *testing.B) int64 {
	b.Helper()
	const group, groups, rest = 10, 19, 4 * time.Second
	d := newBenchDaemon(b, 10, 1)
	binary := d.build(b, e.env...)
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	c := &instructionCounter{size: map[string]int64{}}
	go c.read(r)
	undo := onOneCPU(b, emulatorCPU)
	d.start(b, e.settings(), []*os.File{w}, e.counted(binary)...)
	undo()
	_ = w.Close()
	client, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
	d.paced(b, client, f, group) // what is done once only
	time.Sleep(windowsPast)
	begin, began := c.total.Load(), time.Now()
	time.Sleep(rest)
	idle := float64(c.total.Load()-begin) / time.Since(began).Seconds()
	for took := time.Duration(0); took < windowsPast; { // then as many windows pass as open
		began := time.Now()
		d.paced(b, client, f, group)
		took += time.Since(began)
	}
	each := make([]int64, groups)
	for i := range each {
		begin, began := c.total.Load(), time.Now()
		d.paced(b, client, f, group)
		each[i] = (c.total.Load() - begin - int64(idle*time.Since(began).Seconds())) / group
	}
	d.stop()
	slices.Sort(each)
	b.Logf("%s: %d instructions a second at rest; for an uplink: %d", e.name, int64(idle), each)
	return each[groups/2]
}

// spacing is the time between two uplinks, each of which waits for the message of the
// one before.
const spacing = 100 * time.Millisecond

// paced sends uplinks, and waits for the message of the last.
func (d *benchDaemon) paced(b *testing.B, c *quietClient, f *quietForwarder, count int) {
	b.Helper()
	for _, p := range d.datagrams(b, count) {
		next, before := time.Now().Add(spacing), c.ups.Load()
		f.send(b, p)
		for end := time.Now().Add(time.Minute); c.ups.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.Fatal("no message in a minute")
			}
		}
		time.Sleep(time.Until(next))
	}
}

// emulatorCPU is the one CPU of an emulated program, as on a MIPS: what its threads execute
// to get at locks and at work depends on which of them run at the same time.
const emulatorCPU = 1

// counted returns a command line under an emulator whose log goes to the first extra
// file.
func (e *emulation) counted(line ...string) []string {
	return append(append(slices.Clone(e.qemu), "-d", "in_asm,exec,nochain", "-D", "/dev/fd/3"), line...)
}

// settings are those of the runtime: no garbage collection, and no signals to
// a goroutine that takes long only because it is emulated.
func (*emulation) settings() []string {
	return []string{"GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"}
}

// poll returns how many instructions the concentrator driver executes each time
// that it asks a quiet chip, with all that wakes it and lays it to sleep, but
// without those of the kernel: the mean of BenchmarkIdle, from the start of its timer
// to the end, so that the start of the program, which is never twice the same, does not
// count.
func (e *emulation) poll(b *testing.B) int64 {
	b.Helper()
	const polls = 600
	binary := filepath.Join(b.TempDir(), "sx1302.test")
	cmd := exec.Command("go", "test", "-c", "-o", binary, "lorawand/concentrator/sx1302")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), e.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return e.lap(b, binary, "-test.run", "^$", "-test.bench", "^BenchmarkIdle$/^kernel$", "-test.benchtime",
		strconv.Itoa(polls)+"x") / polls
}

// lap returns the instructions of the timed part of a benchmark's last run.
func (e *emulation) lap(b *testing.B, binary string, args ...string) int64 {
	b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	line := e.counted(append([]string{binary}, args...)...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), e.settings()...)
	cmd.ExtraFiles = []*os.File{w}
	c := &instructionCounter{size: map[string]int64{}}
	c.begin = functionAddress(b, binary, "testing.(*B).ResetTimer")
	c.end = functionAddress(b, binary, "testing.(*B).StopTimer")
	undo := onOneCPU(b, emulatorCPU)
	err = cmd.Start()
	undo()
	if err != nil {
		b.Fatal(err)
	}
	_ = w.Close()
	c.read(r)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	if c.lap == 0 {
		b.Fatal("the benchmark's timer was not seen")
	}
	return c.lap
}

// functionAddress returns where a function of a program for 32 bits begins, as qemu
// writes it.
func functionAddress(b *testing.B, binary, name string) string {
	b.Helper()
	f, err := elf.Open(binary)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	if i < 0 {
		b.Fatalf("%s has no %s", binary, name)
	}
	return fmt.Sprintf("%08x", symbols[i].Value)
}

// BenchmarkPoll is that of poll alone.
func BenchmarkPoll(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(mipsle.poll(b)), "instructions/poll")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkInstructions is the count alone.
func BenchmarkInstructions(b *testing.B) {
	for _, e := range []emulation{mipsle, armv7} {
		b.Run(e.name, func(b *testing.B) {
			if _, err := exec.LookPath(e.qemu[0]); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				b.ReportMetric(float64(e.instructions(b)), "instructions/uplink")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
