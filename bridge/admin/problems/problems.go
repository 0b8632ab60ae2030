// Package problems makes the list of what is wrong, with the way out of each. The web
// page, "lorawand status" and "lorawand doctor" show this list.
//
// List is a function of a Snapshot; Source takes the Snapshot of a daemon that runs. A
// cause hides what follows from it: while no gateway is connected, no device is silent.
package problems

import (
	"fmt"
	"strings"
	"time"
)

// Problem is something that is wrong.
type Problem struct {
	Code    string `json:"code"`
	Tone    string `json:"tone"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Todo    string `json:"todo"`
	Command string `json:"command,omitempty"` // that mends it, or looks closer
	Link    string `json:"link,omitempty"`    // an address of the web page
	Act     string `json:"act,omitempty"`     // what the link is called
}

// How bad a problem is.
const (
	Bad  = "bad"  // something does not work
	Warn = "warn" // something will not work, or not for all
	Info = "info" // most likely not as the owner wants it
)

// Snapshot is what is known at a moment. Ages are before that moment.
type Snapshot struct {
	Uptime   time.Duration
	NoClock  bool   // the calendar is not known
	UDP      string // address for packet forwarders; "": off
	Ports    []Port // that are taken by others
	Gateways []Gateway
	Unknown  []Stranger // gateways that are refused
	Devices  []Device
	Keys     []Key
	MQTT     []string // addresses of the broker
	Clients  int      // MQTT clients that are connected
	Store    Store
	Servers  []Server // that frames are handed to

	Upstreams []Upstream
	Journals  []Journal // for servers that are not configured any more
}

// Server is another network server that frames are handed to.
type Server struct {
	Address            string
	Gateways, Answered int           // gateways that are connected, and those that it answers
	Silence            time.Duration // the longest of those that it does not answer
	Fault              string        // why
	MQTT               bool          // it is a ChirpStack network, and not reached by Semtech UDP
	Central            bool          // it is the central of this extender
}

// Port is one that another program holds.
type Port struct {
	Network string // udp or tcp
	Address string // that is wanted
	Setting string // of the configuration
	Holder  string // who has it; "": not known
}

// Gateway is one of the configuration, or one that is served without.
type Gateway struct {
	ID      string
	EUI     string
	Band    string
	Address string
	Online  bool
	OnBoard bool          // its concentrator is on this host
	Changed bool          // Online has changed since the start
	Since   time.Duration // with Changed: how long ago
	Fault   string        // why it does not work
	GNSS    GNSS          // its satellite receiver on this host
}

// GNSS is what keeps a satellite receiver from telling the time, and what to do; "": nothing.
type GNSS struct{ Says, Todo string }

// Stranger is a gateway that nobody has configured.
type Stranger struct {
	EUI, Address string
	Age          time.Duration // of the last try
}

// Device is an end device.
type Device struct {
	ID, Application string
	Plan, Band      string
	State           string        // as activity.State
	Heard           bool          // Age is known
	Age             time.Duration // of the last uplink
	Interval        time.Duration // usual; 0: not known
	Refusal, Hint   string        // of the last join, with the State "refused"
	RefusalAge      time.Duration
	Formatter       []string // why its payload formatters cannot be used
}

// Key is an API key.
type Key struct {
	ID, Name, Application string
	Used                  bool // ever, as far as is known
	Idle                  time.Duration
}

// Store is where the state is kept.
type Store struct {
	Path     string
	InMemory bool
	Free     int64 // bytes; negative: not known
	Need     int64 // bytes that the next snapshot takes
	Error    string
	Damage   []string
}

const (
	// startUp is how long after the start a packet forwarder may be missing: it sends a
	// PULL_DATA each 5 to 30 s.
	startUp = time.Minute
	// centralGone is how long a central may be silent: what it answers last is 5 s old.
	centralGone = 10 * time.Second
	// recent is how long a gateway that tried is told of.
	recent = 15 * time.Minute
	// leastFree is in bytes: a store begins a new journal at 128 KiB, and other programs
	// on the same flash write too.
	leastFree = 1 << 20
	// idleKey is how long a key may be without use. An unused one of a new daemon is not
	// told of on its first day.
	idleKey = 90 * 24 * time.Hour
	newKey  = 24 * time.Hour
	// several is how many problems of one kind are one.
	several = 5
)

// List returns what is wrong, the worst first.
func List(s *Snapshot) (out []Problem) {
	out = append(out, s.store()...)
	out = append(out, s.ports()...)
	gateways, connected := s.gateways()
	out = append(out, gateways...)
	if s.NoClock {
		out = append(out, Problem{
			Code: "clock_unset", Tone: Warn, Title: "The clock is not set",
			Detail: "This host has no time from NTP, GNSS or a battery clock. Messages go out without received_at, and " +
				"devices that ask for the time get no answer.",
			Todo:    "Give it an NTP server on your LAN, or set the time by hand.",
			Command: "date -s '2027-01-31 17:25:00'",
		})
	}
	if connected {
		plans, unserved := s.plans()
		out = append(out, plans...)
		out = append(out, s.refused(unserved)...)
		out = append(out, s.silent(unserved)...)
	}
	out = append(out, s.servers()...)
	out = append(out, s.upstreams()...)
	out = append(out, s.journals()...)
	out = append(out, s.formatters()...)
	out = append(out, s.listening()...)
	return append(out, s.keys()...)
}

// lasting returns a duration as people say it: "20 min".
func lasting(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int64(d.Round(time.Second)/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int64(d.Round(time.Minute)/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int64(d.Round(time.Hour)/time.Hour))
	}
	return fmt.Sprintf("%d days", int64(d/(24*time.Hour)))
}

// names lists the first of several.
func names(all []string) string {
	if len(all) <= several {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:several], ", "), len(all)-several)
}

// bytesText returns a size as people say it.
func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
