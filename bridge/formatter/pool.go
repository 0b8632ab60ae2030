//go:build !small

package formatter

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// noJavaScript says why scripts are not run.
const noJavaScript = "JavaScript formatters are switched off"

// Options configures a Pool.
type Options struct {
	// NoJavaScript refuses scripts; no child is started.
	NoJavaScript bool
	// Deadline is how much CPU time a script may take on a fast machine; on a
	// slow one it may take longer, at most 1 s. Default 100 ms, as in The Things
	// Stack.
	Deadline time.Duration
	// Slack is how much longer than its CPU time a script may take on a machine that has
	// other things to do. Default 150 ms. A check, for which no frame waits, may allow more.
	Slack time.Duration
	// Wait is how long a request of Submit may wait for others and for a child to
	// start, beside a deadline: then it is answered without what its script would
	// have given. Default 250 ms.
	Wait time.Duration
	// Queue is how many requests may wait. Default 256.
	Queue int
	// Idle is after how long without a request the child ends. Default 5 min. One
	// that takes longer to start than a request may wait stays.
	Idle time.Duration
	// Command starts a child. Default: this program again.
	Command []string
	// Logger is told of children that could not be started or had to be killed.
	// Default slog.Default().
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Deadline <= 0 {
		o.Deadline = defaultDeadline
	}
	if o.Slack <= 0 {
		o.Slack = defaultSlack
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Queue <= 0 {
		o.Queue = 256
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Minute
	}
	if len(o.Command) == 0 {
		// Also when another version lies under its name by now.
		o.Command = []string{"/proc/self/exe"}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

const (
	defaultDeadline = 100 * time.Millisecond
	maxDeadline     = time.Second
	defaultSlack    = 150 * time.Millisecond
	// defaultWait is how long a request may wait, beside a deadline.
	defaultWait = 250 * time.Millisecond
	// suspicion is how long a script has to wait for others after it had to be
	// ended: so it costs them no more than the deadline that is running.
	suspicion = time.Minute
	// startPause is how long no child is started after one could not be.
	startPause = 5 * time.Second
)

// Pool carries requests out: those for CayenneLPP at once, scripts one after
// another in a child process. The child is started when it is needed, and ended
// when it is not.
type Pool struct {
	o    Options
	wake chan struct{} // has one element when something is new

	mu     sync.Mutex
	queue  []*job
	closed bool

	// Of the goroutine in Run:
	running  *job // by the child; nil: none
	child    *process
	starting chan started // gets the child that is being started; nil: none is
	again    bool         // a child had to be ended: start the next one before it is needed
	slow     bool         // a child takes longer to start than a request may wait
	failedAt time.Time    // when a child could not be started
	startErr *Error
	suspects map[[32]byte]time.Time

	deadline atomic.Int64 // see Stats, ns
	stats    struct {
		calls, failed, late, starts, kills, pid atomic.Int64
		cpu, wall                               atomic.Int64 // ns
	}
}

// job is a request that waits, or that the child is at.
type job struct {
	req  Request
	ctx  context.Context // of who waits for the result until then; nil: not longer than Options.Wait says
	done func(Result)    // nil: it was called
	at   time.Time       // when the wait began
}

// answer calls done, the first time.
func (j *job) answer(r Result) {
	if done := j.done; done != nil {
		j.done = nil
		done(r)
	}
}

// started is what came of the start of a child.
type started struct {
	child *process
	took  time.Duration
	err   error
}

// New returns a Pool, which does nothing before Run.
func New(o Options) *Pool {
	o.setDefaults()
	p := &Pool{o: o, wake: make(chan struct{}, 1), suspects: map[[32]byte]time.Time{}}
	p.deadline.Store(int64(max(o.Deadline, maxDeadline)))
	return p
}

// Stats are counts since the start.
type Stats struct {
	Calls    int64         // of scripts
	Failed   int64         // of these
	Late     int64         // of these: they have waited too long
	Starts   int64         // of children
	Kills    int64         // of children
	CPU      time.Duration // of children, for calls that they have answered
	Wall     time.Duration // from a call to its answer, of all
	Deadline time.Duration // of a script on this machine; the longest until a child has told
	Waiting  int           // calls that wait
	PID      int           // of the child; 0: there is none
}

// Stats may be called at any time.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	waiting := len(p.queue)
	p.mu.Unlock()
	s := &p.stats
	return Stats{
		Calls: s.calls.Load(), Failed: s.failed.Load(), Late: s.late.Load(), Starts: s.starts.Load(), Kills: s.kills.Load(),
		CPU: time.Duration(s.cpu.Load()), Wall: time.Duration(s.wall.Load()), Deadline: time.Duration(p.deadline.Load()),
		Waiting: waiting, PID: int(s.pid.Load()),
	}
}

// Submit takes a request and never blocks. It calls done once with the result:
// before it returns where no script is needed, or else from the goroutine of
// Run, which done must not hold up. When the request has waited for longer than it
// may, for others, for a child to start or for its own script, the result is that
// of ErrLate. With an error, ErrBusy, ErrClosed or ErrNoJavaScript, done is not
// called; Refused makes a result of it.
func (p *Pool) Submit(r Request, done func(Result)) error {
	at := r.Since
	if at.IsZero() {
		at = time.Now()
	}
	return p.submit(&job{req: r, done: done, at: at})
}

func (p *Pool) submit(j *job) error {
	if res, ok := direct(j.req); ok {
		j.answer(res)
		return nil
	}
	if p.o.NoJavaScript {
		return ErrNoJavaScript
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if len(p.queue) >= p.o.Queue {
		return ErrBusy
	}
	p.queue = append(p.queue, j)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// Do carries out a request and waits for its result until ctx ends.
func (p *Pool) Do(ctx context.Context, r Request) Result {
	got := make(chan Result, 1)
	if err := p.submit(&job{req: r, ctx: ctx, done: func(res Result) { got <- res }}); err != nil {
		return Refused(r, err)
	}
	select {
	case res := <-got:
		return res
	case <-ctx.Done():
		return Refused(r, ctx.Err())
	}
}

// Run carries out what is submitted until ctx ends. What waits then is
// answered with ErrClosed.
func (p *Pool) Run(ctx context.Context) error {
	defer p.shut()
	idle := time.NewTimer(p.o.Idle)
	defer idle.Stop()
	for ctx.Err() == nil {
		p.begin(ctx)
		if p.child != nil || p.starting == nil && p.startErr != nil {
			if j := p.next(); j != nil {
				p.perform(ctx, j)
				idle.Reset(p.o.Idle)
				continue
			}
		}
		select {
		case <-p.wake:
		case s := <-p.starting:
			p.take(s)
			idle.Reset(p.o.Idle)
		case <-p.nextLook():
			p.endWaits()
		case <-idle.C:
			if !p.slow {
				p.endChild()
			}
		case <-ctx.Done():
		}
	}
	return nil
}

// nextLook returns when to look for requests that have waited too long: only while a
// child starts does any wait here.
func (p *Pool) nextLook() <-chan time.Time {
	if p.starting == nil {
		return nil
	}
	return time.After(look)
}

// begin has a child started if one is needed.
func (p *Pool) begin(ctx context.Context) {
	if p.child != nil || p.starting != nil || p.startErr != nil && time.Since(p.failedAt) < startPause {
		return
	}
	if !p.again && !p.waiting() {
		return
	}
	p.again, p.startErr = false, nil
	p.stats.starts.Add(1)
	p.starting = make(chan started, 1)
	go func(to chan<- started) {
		began := time.Now()
		c, err := start(ctx, p.o)
		to <- started{c, time.Since(began), err}
	}(p.starting)
}

func (p *Pool) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}

// take takes what came of the start of a child.
func (p *Pool) take(s started) {
	p.starting = nil
	if s.err != nil {
		p.failedAt = time.Now()
		p.startErr = ours("formatter_start", codeUnavailable, "payload formatter could not be started")
		p.o.Logger.Error("start payload formatter", "error", s.err)
		return
	}
	p.child = s.child
	p.deadline.Store(int64(s.child.limit))
	p.slow = s.took > p.patience()
	p.stats.pid.Store(int64(s.child.cmd.Process.Pid))
}

// patience is how long a request may wait.
func (p *Pool) patience() time.Duration { return p.o.Wait + time.Duration(p.deadline.Load()) }

// endWaits answers the requests that have waited for longer than they may.
func (p *Pool) endWaits() {
	now := time.Now()
	late := func(j *job) bool { return j.done != nil && j.ctx == nil && now.Sub(j.at) > p.patience() }
	var out []*job
	p.mu.Lock()
	p.queue = slices.DeleteFunc(p.queue, func(j *job) bool {
		if late(j) {
			out = append(out, j)
			return true
		}
		return false
	})
	p.mu.Unlock()
	if p.running != nil && late(p.running) {
		out = append(out, p.running)
	}
	p.stats.late.Add(int64(len(out)))
	for _, j := range out {
		p.answer(j, Refused(j.req, ErrLate))
	}
}

// answer gives a request its result, unless it has one.
func (p *Pool) answer(j *job, r Result) {
	if j.done == nil {
		return
	}
	p.stats.calls.Add(1)
	if r.Fail != nil {
		p.stats.failed.Add(1)
	}
	j.answer(r)
}

// shut ends the child and answers what is left.
func (p *Pool) shut() {
	if p.starting != nil {
		if s := <-p.starting; s.err == nil {
			s.child.end()
		}
	}
	p.endChild()
	p.mu.Lock()
	p.closed = true
	left := p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, j := range left {
		j.answer(Refused(j.req, ErrClosed))
	}
}

// next takes the request that is first: of scripts that have behaved, if there
// is one; nil: none waits.
func (p *Pool) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(j *job) bool { return j.ctx != nil && j.ctx.Err() != nil })
	if len(p.queue) == 0 {
		return nil
	}
	i := 0
	if len(p.suspects) > 0 {
		now := time.Now()
		for sum, until := range p.suspects {
			if now.After(until) {
				delete(p.suspects, sum)
			}
		}
		i = max(slices.IndexFunc(p.queue, func(j *job) bool {
			_, suspect := p.suspects[j.req.Formatter.script.sum]
			return !suspect
		}), 0)
	}
	j := p.queue[i]
	p.queue = slices.Delete(p.queue, i, i+1)
	return j
}

// perform runs a script, or says why it cannot be.
func (p *Pool) perform(ctx context.Context, j *job) {
	p.running = j
	p.endWaits()
	if j.done != nil {
		res := p.attempt(ctx, j.req)
		p.stats.cpu.Add(int64(res.Cost.CPU))
		p.stats.wall.Add(int64(res.Cost.Wall))
		p.answer(j, res)
	}
	p.running = nil
}

func (p *Pool) attempt(ctx context.Context, r Request) Result {
	if p.child == nil {
		return failed(r.Task, p.startErr)
	}
	began := time.Now()
	a, ended := p.child.run(ctx, r, p.endWaits)
	if ended == nil {
		if a.result.Fail.isTimeout() {
			p.suspect(r)
		}
		if p.child.used > childRecycle {
			p.endChild()
			p.again = true
		}
		return sound(r.Task, a.result)
	}
	if c := p.child; ctx.Err() == nil {
		p.endChild()
		ended = c.reason(ended)
		p.suspect(r)
		p.again = true
		p.stats.kills.Add(1)
		p.o.Logger.Warn("payload formatter ended", "reason", ended, "stderr", c.words.first())
	}
	res := failed(r.Task, ended)
	res.Cost.Wall = time.Since(began)
	return res
}

// sound checks an answer: it becomes a part of a message as it is.
func sound(t Task, r Result) Result {
	good := isObject(r.Data) || r.Data == nil
	for _, n := range r.Normalized {
		good = good && isObject(n)
	}
	if !good {
		return failed(t, output(nil))
	}
	return r
}

func isObject(b []byte) bool { return len(b) > 0 && b[0] == '{' && json.Valid(b) }

// maxSuspects bounds what is remembered of scripts.
const maxSuspects = 256

func (p *Pool) suspect(r Request) {
	if len(p.suspects) < maxSuspects {
		p.suspects[r.Formatter.script.sum] = time.Now().Add(suspicion)
	}
}

func (e *Error) isTimeout() bool {
	return e != nil && e.Namespace == inScripting && e.Name == "script_timeout"
}

// endChild ends the child.
func (p *Pool) endChild() {
	if p.child != nil {
		p.stats.pid.Store(0)
		p.child.end()
		p.child = nil
	}
}
