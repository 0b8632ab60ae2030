//go:build !small

package formatter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the start of a child: the program is read from flash, on a
	// machine that may be busy. No uplink waits for it so long.
	startTimeout = time.Minute
	// look is how often the memory and the CPU time of a child are looked at.
	look = 10 * time.Millisecond
	// cpuGrace is how much longer than its limit a child may compute. Before
	// that it is to have interrupted the script itself.
	cpuGrace = 40 * time.Millisecond
	// wallGrace is how much longer than its limit and Options.Slack a child may take in all:
	// on a busy machine it has the processor for a small part of the time, as the lowest of
	// all. No uplink waits for it so long, see Options.Wait.
	wallGrace = 2 * time.Second
	// scriptRSS is what scripts may have beside what a child has when it is ready, which is
	// much where its CPU is emulated: more than the heap from which on garbage is collected.
	scriptRSS = softMemory + 8<<20
	// fastMachine is the CPU time of the calibration where the configured
	// deadline holds (amd64, 3 GHz).
	fastMachine = 1200 * time.Microsecond
)

// process is a child as the daemon sees it.
type process struct {
	cmd    *exec.Cmd
	in     *os.File    // calls
	out    *os.File    // answers
	stat   *os.File    // /proc/PID/stat
	frames chan []byte // answers; closed when the child is gone
	words  *words      // what it last said on stderr
	limit  time.Duration
	slack  time.Duration
	used   time.Duration // CPU time, as it said itself
	most   int64         // bytes of RSS
	number int64         // of the last call
	frame  packer
}

// start starts a child and waits until it is ready.
func start(ctx context.Context, o Options) (*process, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("formatter: %w", err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		in.Close()
		return nil, fmt.Errorf("formatter: %w", err)
	}
	c := &process{in: in, out: out, frames: make(chan []byte), words: &words{}, slack: o.Slack}
	c.cmd = exec.Command(o.Command[0], append(o.Command[1:len(o.Command):len(o.Command)], childArgument)...)
	if len(o.Command) == 1 {
		c.cmd.Args[0] = "lorawand" // what ps shows
	}
	c.cmd.Env = []string{"GOMAXPROCS=1", "GOGC=50", "GOTRACEBACK=none", "TZ="}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = childIn, childOut, c.words
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = c.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("formatter: start child: %w", err)
	}
	go c.read()
	if c.stat, err = os.Open(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid)); err == nil {
		err = c.welcome(ctx, o.Deadline)
	}
	if err != nil {
		c.end()
		return nil, fmt.Errorf("formatter: child: %w (stderr: %q)", err, c.words.first())
	}
	return c, nil
}

// read takes answers until there are no more.
func (c *process) read() {
	defer close(c.frames)
	for {
		b, err := readFrame(c.out, nil)
		if err != nil {
			return
		}
		c.frames <- b
	}
}

// welcome waits for the first frame and sets the deadline by it.
func (c *process) welcome(ctx context.Context, deadline time.Duration) error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case b, ok := <-c.frames:
		if !ok {
			return errors.New("ended at once")
		}
		h, err := parseHello(b)
		c.limit, c.used = scaled(deadline, h.speed), h.used
		u, _ := usageOf(c.stat)
		c.most = max(maxRSS, u.rss+scriptRSS)
		return err
	case <-timeout.C:
		return errors.New("is not ready in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scaled returns the deadline on a machine that took so long for the
// calibration.
func scaled(deadline, calibration time.Duration) time.Duration {
	limit := max(deadline, maxDeadline)
	if calibration <= fastMachine {
		return deadline
	}
	if calibration >= fastMachine*time.Duration(limit/deadline) {
		return limit
	}
	return deadline * calibration / fastMachine
}

// run has a script run, and meanwhile calls meanwhile now and again. When it says
// why, the child is of no more use.
func (c *process) run(ctx context.Context, r Request, meanwhile func()) (*answer, *Error) {
	began := time.Now()
	call := &call{
		sum: r.Formatter.script.sum, task: r.Task, fPort: r.FPort, bytes: r.Bytes, data: r.Data,
		received: r.Received, limit: c.limit, slack: c.slack, measure: r.Measure,
	}
	a, err := c.ask(ctx, call, c.limit, meanwhile)
	if err == nil && a.unknown {
		call.source, call.hasSource = r.Formatter.script.source, true
		a, err = c.ask(ctx, call, c.limit+reading(call.source, c.limit), meanwhile)
	}
	if err != nil {
		return nil, err
	}
	if a.unknown {
		return nil, childBroken("asks twice for a script")
	}
	c.used = a.used
	a.result.Cost.Wall = time.Since(began)
	if r.Measure {
		a.result.Cost.RSS = c.peak()
	}
	return a, nil
}

// reading is how much longer than a deadline a call may take which brings a
// script that is longer than those of devices: as long as a deadline for each
// 100 kB. Most take a fifth of that; one that was made smaller to a single line
// (sensus) takes half of it.
func reading(source string, deadline time.Duration) time.Duration {
	return deadline * time.Duration(max(len(source)-MaxScript, 0)) / (100 << 10)
}

// ask sends a call and waits for the answer, and meanwhile looks at what the
// child uses: limit is its CPU time.
func (c *process) ask(ctx context.Context, call *call, limit time.Duration, meanwhile func()) (*answer, *Error) {
	c.number++
	call.number = c.number
	c.frame = call.append(newFrame(c.frame))
	if len(c.frame)-4 > maxFrame {
		return nil, childBroken("request is too long")
	}
	waited := time.Duration(0)
	lookAt := func() *Error {
		waited += look
		err := c.exceeds(waited, limit)
		if err == nil {
			meanwhile()
		}
		return err
	}
	if err := writeFrame(sender{c.in, lookAt}, c.frame); err != nil {
		var why *Error
		if errors.As(err, &why) {
			return nil, why
		}
		return nil, errGone
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case b, ok := <-c.frames:
			return c.parse(b, ok)
		case <-ticker.C:
			select {
			case b, ok := <-c.frames: // it came while nothing here could run
				return c.parse(b, ok)
			default:
			}
			if err := lookAt(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ErrClosed.(*Error)
		}
	}
}

// sender writes to a child, which may be slow to read, and meanwhile looks at it.
type sender struct {
	to     *os.File
	lookAt func() *Error
}

// Write implements io.Writer. It returns what lookAt has found.
func (s sender) Write(b []byte) (n int, err error) {
	for {
		_ = s.to.SetWriteDeadline(time.Now().Add(look))
		written, err := s.to.Write(b[n:])
		n += written
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if why := s.lookAt(); why != nil {
			return n, why
		}
	}
}

// parse reads an answer to the last call; without one the child is gone.
func (c *process) parse(b []byte, ok bool) (*answer, *Error) {
	if !ok {
		return nil, errGone
	}
	a, err := parseAnswer(b)
	if err != nil || a.number != c.number {
		return nil, childBroken("gives no sensible answer")
	}
	return a, nil
}

// exceeds says which limit the child passes. waited counts the looks at it, so that
// the time in which this process could not run is not held against it.
func (c *process) exceeds(waited, limit time.Duration) *Error {
	u, known := usageOf(c.stat)
	switch {
	case known && u.rss > c.most:
		return scriptMemory()
	case known && u.cpu-c.used > limit+cpuGrace, waited > limit+c.slack+wallGrace:
		return scriptTimeout()
	default:
		return nil
	}
}

// errGone says that a child has ended by itself.
var errGone = childBroken("has ended")

// reason says why a child is of no more use, when that is over: it may have
// ended by itself while it was found to take too long.
func (c *process) reason(found *Error) *Error {
	said := c.words.String()
	switch state := c.cmd.ProcessState; {
	case strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"):
		return scriptMemory()
	case strings.Contains(said, "stack exceeds"):
		return scriptError("RangeError: Maximum call stack size exceeded")
	case found == errGone && state != nil:
		return childBroken("has ended: " + state.String())
	default:
		return found
	}
}

func childBroken(how string) *Error {
	return ours("formatter_child", codeUnavailable, "payload formatter "+how)
}

// end ends the child, which has nothing to lose, and waits for it. It may be called
// twice.
func (c *process) end() {
	if c.frames == nil {
		return
	}
	c.in.Close()
	_ = c.cmd.Process.Kill()
	for range c.frames { //nolint:revive // what is still on its way
	}
	c.frames = nil
	_ = c.cmd.Wait()
	c.out.Close()
	if c.stat != nil {
		c.stat.Close()
	}
}

// peak returns the most memory that the child has had.
func (c *process) peak() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return statusField(b, "VmHWM")
}

// words keeps the beginning of what a child says on stderr: the runtime's
// reason for its end.
type words struct {
	mu sync.Mutex
	b  []byte
}

const maxWords = 512

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b[:min(len(b), maxWords-len(w.b))]...)
	return len(b), nil
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

// first returns the first line.
func (w *words) first() string {
	line, _, _ := strings.Cut(w.String(), "\n")
	return line
}
