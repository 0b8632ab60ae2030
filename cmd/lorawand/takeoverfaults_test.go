//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"syscall"
	"time"

	"lorawand/bridge/store/jetstream/natstest"
)

// fault is something that goes wrong. do makes it happen, and returns what mends it.
type fault struct {
	name  string
	other bool // another machine has to lead until it is mended
	rest  bool // no machine can lead until it is mended
	do    func(p *twins, leader *twin) (mend func())
}

// faultKinds are all kinds of them. Every test run has the first five.
var faultKinds = []fault{
	{name: "kill -9", other: true, do: func(_ *twins, m *twin) func() {
		_ = m.cmd.Process.Kill()
		return m.start
	}},
	{name: "SIGSTOP", other: true, do: func(_ *twins, m *twin) func() {
		_ = m.cmd.Process.Signal(syscall.SIGSTOP)
		return func() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }
	}},
	{name: "cut from all servers", other: true, do: func(_ *twins, m *twin) func() { return m.cut(3, 0) }},
	{name: "the leading server dies", do: leadingServer(dies)},
	{name: "two servers die", rest: true, do: twoServers(dies)},
	{name: "two servers freeze", rest: true, do: twoServers(freezes)},
	{name: "the leading server freezes", do: leadingServer(freezes)},
	{name: "the leading server stops", do: leadingServer(stops)},
	{name: "a server dies", do: oneServer(dies)},
	{name: "a server freezes", do: oneServer(freezes)},
	{name: "a server stops", do: oneServer(stops)},
	{name: "cut from one server", do: func(p *twins, m *twin) func() { return m.cut(1, p.rnd.IntN(3)) }},
	{name: "cut from two servers", do: func(p *twins, m *twin) func() { return m.cut(2, p.rnd.IntN(3)) }},
	{name: "SIGSTOP for a moment", do: func(p *twins, m *twin) func() {
		_ = m.cmd.Process.Signal(syscall.SIGSTOP)
		p.wait(8 * time.Second)
		_ = m.cmd.Process.Signal(syscall.SIGCONT)
		return func() {}
	}},
}

// wait waits for a random time.
func (p *twins) wait(most time.Duration) { time.Sleep(time.Duration(p.rnd.Int64N(int64(most)))) }

// dies has a server die as by a crash: its connections are reset.
func dies(c *natstest.Cluster, i int) (mend func()) {
	c.Kill(i)
	return func() { c.Revive(i) }
}

// freezes has a server die as by a power cut: its connections stay, and nothing comes.
func freezes(c *natstest.Cluster, i int) (mend func()) {
	c.Freeze(i, true)
	return func() { c.Freeze(i, false) }
}

// stops shuts a server down, so that it hands over what it leads.
func stops(c *natstest.Cluster, i int) (mend func()) {
	c.Stop(i)
	return func() { c.Revive(i) }
}

func oneServer(fails func(*natstest.Cluster, int) func()) func(*twins, *twin) func() {
	return func(p *twins, _ *twin) func() { return fails(p.nats, p.rnd.IntN(3)) }
}

// leadingServer is the one that leads the stream.
func leadingServer(fails func(*natstest.Cluster, int) func()) func(*twins, *twin) func() {
	return func(p *twins, _ *twin) func() { return fails(p.nats, max(0, p.nats.StreamLeader(takeoverBucket))) }
}

// twoServers are two of the three, one after the other.
func twoServers(fails func(*natstest.Cluster, int) func()) func(*twins, *twin) func() {
	return func(p *twins, _ *twin) func() {
		i := p.rnd.IntN(3)
		first := fails(p.nats, i)
		p.wait(3 * time.Second)
		second := fails(p.nats, (i+1)%3)
		return func() { first(); second() }
	}
}

// cut cuts a machine from n servers, from one on.
func (m *twin) cut(n, first int) (mend func()) {
	for i := range n {
		m.ways[(first+i)%3].Cut(true)
	}
	return func() {
		for _, w := range m.ways {
			w.Cut(false)
		}
	}
}
