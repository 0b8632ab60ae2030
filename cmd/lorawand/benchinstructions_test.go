package main

import (
	"bufio"
	"bytes"
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
			c.total.Add(c.size[string(address)])
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

// instructions returns how many the daemon executes for an uplink, from the
// datagram to a subscriber with QoS 0, and for the receive windows that pass
// unused. There is no garbage collection.
func (e *emulation) instructions(b *testing.B) int64 {
	b.Helper()
	const count = 25
	d := newBenchDaemon(b, 10, 1)
	binary := d.build(b, e.env...)
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	c := &instructionCounter{size: map[string]int64{}}
	go c.read(r)
	d.start(b, []string{"GOGC=off", "GOMAXPROCS=1"}, []*os.File{w}, append(slices.Clone(e.qemu), "-d",
		"in_asm,exec,nochain", "-D", "/dev/fd/3", binary)...)
	_ = w.Close()
	client, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
	d.oneByOne(b, client, f, 10) // what is done once only
	time.Sleep(windowsPast)
	begin, began := c.total.Load(), time.Now()
	time.Sleep(windowsPast)
	idle := float64(c.total.Load()-begin) / time.Since(began).Seconds()
	begin, began = c.total.Load(), time.Now()
	d.oneByOne(b, client, f, count)
	time.Sleep(windowsPast)
	all := c.total.Load() - begin
	d.stop()
	return (all - int64(idle*time.Since(began).Seconds())) / int64(count)
}

// oneByOne sends uplinks each of which waits for the message of the one before.
func (d *benchDaemon) oneByOne(b *testing.B, c *quietClient, f *quietForwarder, count int) {
	b.Helper()
	for _, p := range d.datagrams(b, count) {
		before := c.ups.Load()
		f.send(b, p)
		for end := time.Now().Add(time.Minute); c.ups.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.Fatal("no message in a minute")
			}
		}
	}
}

// poll returns how many instructions the concentrator driver executes each time
// that it asks a quiet chip, with all that wakes it and lays it to sleep, but
// without those of the kernel. It is what more of BenchmarkIdle costs more.
func (e *emulation) poll(b *testing.B) int64 {
	b.Helper()
	const few, many = 20, 220
	binary := filepath.Join(b.TempDir(), "sx1302.test")
	cmd := exec.Command("go", "test", "-c", "-o", binary, "lorawand/concentrator/sx1302")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), e.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	polls := func(n int) int64 {
		return e.count(b, binary, "-test.run", "^$", "-test.bench", "^BenchmarkIdle$/^kernel$", "-test.benchtime",
			strconv.Itoa(n)+"x")
	}
	return (polls(many) - polls(few)) / (many - few)
}

// count returns the instructions of a program that ends by itself.
func (e *emulation) count(b *testing.B, line ...string) int64 {
	b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	line = append(append(slices.Clone(e.qemu), "-d", "in_asm,exec,nochain", "-D", "/dev/fd/3"), line...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1")
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = w.Close()
	c := &instructionCounter{size: map[string]int64{}}
	c.read(r)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return c.total.Load()
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
