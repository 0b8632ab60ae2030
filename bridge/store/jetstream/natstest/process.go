package natstest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverEnv has the options of a server, in JSON, for a program that is to be one.
const serverEnv = "LORAWAND_NATSTEST_SERVER"

// A program of tests that imports this package is a server if it is told so.
func init() {
	if text := os.Getenv(serverEnv); text != "" {
		os.Exit(serve(text, os.Stdin, os.Stdout))
	}
}

// serve is a server until questions ends: then it shuts down in good order. It answers each question,
// a word and the name of a stream, with true or false.
func serve(options string, questions io.Reader, answers io.Writer) (status int) {
	var a addresses
	if err := json.Unmarshal([]byte(options), &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := server.NewServer(a.options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.Start()
	n := inside{s}
	for lines := bufio.NewScanner(questions); lines.Scan(); {
		what, stream, _ := strings.Cut(lines.Text(), " ")
		fmt.Fprintln(answers, n.is(question(what), stream))
	}
	n.shutDown()
	return 0
}

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	dead chan struct{} // closed when it has ended

	mu      sync.Mutex // guards the fields below
	answers chan string
	frozen  bool
}

// startProcess starts the program of the test once more, as a server.
func startProcess(t testing.TB, a *addresses) *process {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(program), dead: make(chan struct{}), answers: make(chan string)}
	p.cmd.Env = append(os.Environ(), serverEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.dead)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.answers <- lines.Text()
		}
		_ = p.cmd.Wait()
	}()
	return p
}

// is asks a question. A server that is frozen, or has ended, answers false.
func (p *process) is(q question, stream string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen {
		return false
	}
	if _, err := fmt.Fprintln(p.in, string(q), stream); err != nil {
		return false
	}
	select {
	case answer := <-p.answers:
		return answer == "true"
	case <-p.dead:
		return false
	}
}

// freeze stops the process, or lets it go on.
func (p *process) freeze(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = yes
	signal := syscall.SIGCONT
	if yes {
		signal = syscall.SIGSTOP
	}
	_ = p.cmd.Process.Signal(signal)
}

// shutDown ends the process in good order.
func (p *process) shutDown() {
	p.freeze(false)
	_ = p.in.Close()
	select {
	case <-p.dead:
	case <-time.After(shutdownTime):
		p.die()
	}
}

// shutdownTime is how long a server may take to shut down.
const shutdownTime = 30 * time.Second

// die ends the process without a word.
func (p *process) die() {
	_ = p.cmd.Process.Kill()
	<-p.dead
}
