//go:build small

package formatter

import (
	"context"
	"log/slog"
	"time"
)

// noJavaScript says why scripts are not run.
const noJavaScript = "this build runs no JavaScript formatters"

// Options configures a Pool. In a build without JavaScript it has no meaning.
type Options struct {
	NoJavaScript bool
	Deadline     time.Duration
	Slack        time.Duration
	Wait         time.Duration
	Queue        int
	Idle         time.Duration
	Command      []string
	Logger       *slog.Logger
}

// Pool carries requests out that need no script.
type Pool struct{}

// New returns a Pool.
func New(Options) *Pool { return &Pool{} }

// Stats are counts since the start.
type Stats struct {
	Calls, Failed, Late, Starts, Kills int64
	CPU, Wall, Deadline                time.Duration
	Waiting, PID                       int
}

// Stats returns zeros: no script is run.
func (*Pool) Stats() Stats { return Stats{} }

// Submit calls done with the result before it returns, or returns
// ErrNoJavaScript; Refused makes a result of it.
func (*Pool) Submit(r Request, done func(Result)) error {
	res, ok := direct(r)
	if !ok {
		return ErrNoJavaScript
	}
	done(res)
	return nil
}

// Do carries out a request.
func (p *Pool) Do(_ context.Context, r Request) (res Result) {
	if err := p.Submit(r, func(got Result) { res = got }); err != nil {
		return Refused(r, err)
	}
	return res
}

// Run returns when ctx ends.
func (*Pool) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// IsChild reports that no process runs scripts.
func IsChild([]string) bool { return false }

// RunChild is not called.
func RunChild() int { return 1 }
