package core

import (
	"errors"
	"testing"
	"time"
)

// withdraw has the client of the last push give up.
func (s *stand) withdraw() {
	s.Helper()
	s.step(Withdrawn{Ticket: uint64(len(s.answers) + 1)})
}

const notInTime = "bridge: push for app1/dev1: it was not stored in time"

// A push whose client has heard that it failed is not queued when the store has it at last, and
// its repetition is queued once.
func TestPushWithdrawn(t *testing.T) {
	s := newStand(t)
	s.slow = true
	s.push("dev1", item("one"))
	s.withdraw()
	s.answered(notInTime)
	s.withdraw() // of nothing
	s.push("dev1", item("one"))
	s.stored()
	s.answered(notInTime, "")
	s.tells("dev1 queued one")
	s.onDisk("dev1", "one")
	if n := s.devices["dev1"].Queue.Len(); n != 1 {
		t.Errorf("%d items are queued", n)
	}
	if s.c.pendingPushes.Len() > 0 {
		t.Errorf("%d pushes are left", s.c.pendingPushes.Len())
	}
}

// A replace that is withdrawn leaves the queue as it is, in the store too: what waits, what is on
// its way, and what waits for its acknowledgement.
func TestReplaceWithdrawn(t *testing.T) {
	s := newStand(t)
	s.push("dev1", item("one"), item("two"))
	s.slow = true
	s.replace("dev1", item("three"))
	s.withdraw()
	s.stored()
	s.answered("", notInTime)
	s.tells("dev1 queued one", "dev1 queued two")
	s.onDisk("dev1", "one", "two")

	s = oneDown(t, confirm)
	s.slow = true
	s.replace("dev1")
	s.withdraw()
	s.stored()
	s.onDisk("dev1", "one")
	s.tells()

	s = oneDown(t, confirm)
	s.slow = true
	s.replace("dev1")
	s.ack(0) // it is sent while the store is slow
	s.withdraw()
	s.stored()
	s.onDisk("dev1", "one")
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, acked("yes")))
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1", "dev1 ack one #1", "dev1 up 1")
	s.onDisk("dev1")
}

// What is not stored after all is not taken out of the store, and who has an answer keeps it.
func TestWithdrawnTooLate(t *testing.T) {
	s := newStand(t)
	s.slow, s.fails = true, errors.New("disk full")
	s.push("dev1", item("one"))
	s.withdraw()
	s.stored()
	s.fails = nil
	s.push("dev1", item("two"))
	s.step(Withdrawn{Ticket: 2})
	s.answered(notInTime, "")
	s.tells("dev1 queued two")
	s.onDisk("dev1", "two")
}
