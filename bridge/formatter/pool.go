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
	// Queue is how many requests may wait. Default 256.
	Queue int
	// Idle is after how long without a request the child ends. Default 5 min.
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
	// maxWait is how long a request may wait for others, beside a deadline.
	maxWait = 250 * time.Millisecond
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
	queue  []job
	closed bool

	// Of the goroutine in Run:
	child    *process
	failedAt time.Time // when a child could not be started
	startErr *Error
	suspects map[[32]byte]time.Time

	stats struct {
		calls, failed, starts, kills, pid atomic.Int64
		starting                          atomic.Int64 // ns that all starts have taken
	}
}

// job is a request that waits.
type job struct {
	req  Request
	done func(Result)
	at   time.Time

	starting int64 // of stats, then
}

// New returns a Pool, which does nothing before Run.
func New(o Options) *Pool {
	o.setDefaults()
	return &Pool{o: o, wake: make(chan struct{}, 1), suspects: map[[32]byte]time.Time{}}
}

// Stats are counts since the start.
type Stats struct {
	Calls  int64 // of scripts
	Failed int64 // of these
	Starts int64 // of children
	Kills  int64 // of children
	PID    int   // of the child; 0: there is none
}

// Stats may be called at any time.
func (p *Pool) Stats() Stats {
	s := &p.stats
	return Stats{s.calls.Load(), s.failed.Load(), s.starts.Load(), s.kills.Load(), int(s.pid.Load())}
}

// Submit takes a request and never blocks. It calls done once with the result:
// before it returns where no script is needed, or else from the goroutine of
// Run, which done must not hold up. With an error, ErrBusy, ErrClosed or
// ErrNoJavaScript, done is not called; Refused makes a result of it.
func (p *Pool) Submit(r Request, done func(Result)) error {
	if res, ok := direct(r); ok {
		done(res)
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
	p.queue = append(p.queue, job{r, done, time.Now(), p.stats.starting.Load()})
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// Do carries out a request and waits for its result.
func (p *Pool) Do(ctx context.Context, r Request) Result {
	got := make(chan Result, 1)
	if err := p.Submit(r, func(res Result) { got <- res }); err != nil {
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
		if j, ok := p.next(); ok {
			j.done(p.perform(ctx, j))
			idle.Reset(p.o.Idle)
			continue
		}
		select {
		case <-p.wake:
		case <-idle.C:
			p.endChild(false)
		case <-ctx.Done():
		}
	}
	return nil
}

// shut ends the child and answers what is left.
func (p *Pool) shut() {
	p.endChild(true)
	p.mu.Lock()
	p.closed = true
	left := p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, j := range left {
		j.done(Refused(j.req, ErrClosed))
	}
}

// next takes the request that is first: of scripts that have behaved, if there
// is one.
func (p *Pool) next() (job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return job{}, false
	}
	i := 0
	if len(p.suspects) > 0 {
		now := time.Now()
		for sum, until := range p.suspects {
			if now.After(until) {
				delete(p.suspects, sum)
			}
		}
		i = max(slices.IndexFunc(p.queue, func(j job) bool {
			_, suspect := p.suspects[j.req.Formatter.script.sum]
			return !suspect
		}), 0)
	}
	j := p.queue[i]
	p.queue = slices.Delete(p.queue, i, i+1)
	return j, true
}

// perform runs a script.
func (p *Pool) perform(ctx context.Context, j job) Result {
	p.stats.calls.Add(1)
	res := p.attempt(ctx, j)
	if res.Fail != nil {
		p.stats.failed.Add(1)
	}
	return res
}

func (p *Pool) attempt(ctx context.Context, j job) Result {
	if err := p.ready(ctx); err != nil {
		return failed(j.req.Task, err)
	}
	// What the start of a child has taken is not held against a request.
	starting := time.Duration(p.stats.starting.Load() - j.starting)
	if time.Since(j.at)-starting > maxWait+p.child.limit {
		return Refused(j.req, ErrBusy)
	}
	began := time.Now()
	a, ended := p.child.run(ctx, j.req)
	if ended == nil {
		if a.result.Fail.isTimeout() {
			p.suspect(j.req)
		}
		if p.child.used > childRecycle {
			p.endChild(false)
		}
		return sound(j.req.Task, a.result)
	}
	if c := p.child; ctx.Err() == nil {
		p.endChild(true)
		ended = c.reason(ended)
		p.suspect(j.req)
		p.stats.kills.Add(1)
		p.o.Logger.Warn("payload formatter ended", "reason", ended, "stderr", c.words.first())
	}
	res := failed(j.req.Task, ended)
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

// ready has a child that can be called.
func (p *Pool) ready(ctx context.Context) *Error {
	if p.child != nil {
		return nil
	}
	if p.startErr != nil && time.Since(p.failedAt) < startPause {
		return p.startErr
	}
	p.stats.starts.Add(1)
	began := time.Now()
	c, err := start(ctx, p.o)
	p.stats.starting.Add(int64(time.Since(began)))
	if err != nil {
		p.failedAt = time.Now()
		p.startErr = ours("formatter_start", codeUnavailable, "payload formatter could not be started")
		p.o.Logger.Error("start payload formatter", "error", err)
		return p.startErr
	}
	p.child, p.startErr = c, nil
	p.stats.pid.Store(int64(c.cmd.Process.Pid))
	return nil
}

// endChild ends the child, at once or when it has read that there is no more.
func (p *Pool) endChild(now bool) {
	if p.child != nil {
		p.stats.pid.Store(0)
		p.child.end(now)
		p.child = nil
	}
}
