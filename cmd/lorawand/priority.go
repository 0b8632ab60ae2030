package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lorawand/cmd/lorawand/config"
)

// daemonNice is the priority at which receive windows do not wait for other programs: that
// of the services in the packages. A real-time class is not needed, and could starve a host
// with one CPU.
const daemonNice = -10

// autogroup has the priority of a session beside others. Where the kernel groups programs
// by sessions (CONFIG_SCHED_AUTOGROUP, as desktops and Raspberry Pi OS have it), that of a
// program counts within its session only. There is no such file elsewhere.
const autogroup = "/proc/self/autogroup"

// prefer gives this program daemonNice if it works with a radio on board, for whoever does
// not start it as a service. Where that is not allowed it stays as it is: doctor says so.
func prefer(c *config.Config) {
	for i := range c.Gateways {
		if g := &c.Gateways[i]; isOnBoard(*g) && (g.SX1302 == nil || g.SX1302.Device != config.SimDevice) {
			_ = lowerNice(daemonNice)
			_ = os.WriteFile(autogroup, []byte(strconv.Itoa(daemonNice)), 0)
			return
		}
	}
}

// lowerNice gives all threads of this program a priority, unless they have a higher one.
// Threads that come later have that of the thread that makes them; so it looks again until
// it finds none.
func lowerNice(to int) error {
	for range 10 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		changed := 0
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if nice, err := niceOf(id); err != nil || nice <= to {
				continue // err: it has ended
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, to); err != nil && err != unix.ESRCH {
				return err
			}
			changed++
		}
		if changed == 0 {
			break
		}
	}
	return nil
}

// niceOf returns the priority of a thread, or of the first thread of a process. The system
// call counts from 40 down to 1.
func niceOf(id int) (int, error) {
	v, err := unix.Getpriority(unix.PRIO_PROCESS, id)
	return 20 - v, err
}

// niceBehind returns the priority of the program that listens on a socket of this host, or
// that of its session if it is lower.
func niceBehind(socket string) (int, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	switch {
	case err != nil:
		return 0, err
	case peerErr != nil:
		return 0, peerErr
	case peer.Pid <= 0: // of another container
		return 0, syscall.ESRCH
	}
	nice, err := niceOf(int(peer.Pid))
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", peer.Pid))
	return max(nice, niceOfGroup(string(text))), err
}

// niceOfGroup returns the priority in the text of autogroup, "/autogroup-12 nice 5", or the
// lowest number if there is none.
func niceOfGroup(text string) int {
	_, nice, _ := strings.Cut(strings.TrimSpace(text), " nice ")
	n, err := strconv.Atoi(nice)
	if err != nil {
		return math.MinInt
	}
	return n
}

// priority says how the daemon stands beside other programs.
func (d *doctor) priority(socket string) {
	switch nice, err := d.nice(socket); {
	case err != nil:
	case nice <= daemonNice:
		d.say("priority", true, "", "the daemon runs at nice %d", nice)
	default:
		d.say("priority", true, "start it as its service does, or with: nice -n "+strconv.Itoa(daemonNice),
			"the daemon runs at nice %d: other programs may make downlinks late", nice)
	}
}
