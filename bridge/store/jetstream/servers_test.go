// Servers that are processes of their own cannot be started where the test itself is emulated.
//
//go:build amd64 || arm64

package jetstream_test

import (
	"errors"
	"testing"
	"time"

	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
)

// Three servers have three copies, and one that fails takes nothing with it. Without two of them nothing
// is committed, and there is no lease.
func TestThreeServers(t *testing.T) {
	c := natstest.StartProcesses(t, 3, freeAddress)
	o := options(c.Address(0), c.Address(1), c.Address(2))
	o.TTL = 3 * time.Second
	s := lead(t, o)
	for _, fails := range []struct {
		name     string
		do, mend func(i int)
	}{
		{"stops", c.Stop, c.Revive},
		{"dies", c.Kill, c.Revive},
		{"freezes", func(i int) { c.Freeze(i, true) }, func(i int) { c.Freeze(i, false) }},
	} {
		at := -1
		await(t, "the stream has a leader", func() bool { at = c.StreamLeader(o.Bucket); return at >= 0 })
		fails.do(at)
		await(t, "the others serve when it "+fails.name, func() bool { return s.Commit(record(fails.name, "0")) == nil })
		fails.mend(at)
		c.Ready(o.Bucket)
		commit(t, s, record(fails.name, "1"))
	}
	c.Kill(0)
	c.Kill(1)
	if err := s.Commit(record("alone", "1")); !errors.Is(err, jetstream.ErrUncertain) {
		t.Errorf("one server of three: %v", err)
	}
	await(t, "the lease ends", func() bool { return s.Left() == 0 })
	c.Revive(0)
	await(t, "two of three serve", func() bool { return s.Commit(record("again", "1")) == nil && s.Left() > 0 })
	c.Revive(1)
	c.Ready(o.Bucket)
	if got := content(t, o); got != "again=1 dies=1 freezes=1 stops=1" {
		t.Errorf("the bucket has %q", got)
	}
}
