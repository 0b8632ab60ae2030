package bridge

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// EventKind is what an Event is about.
type EventKind string

// Kinds of events.
const (
	UplinkDropped       EventKind = "uplink dropped"
	UplinkRepeated      EventKind = "uplink repeated"
	CounterRestarted    EventKind = "device has begun its frame counter anew"
	GatewayConnected    EventKind = "gateway connected"
	GatewayDisconnected EventKind = "gateway disconnected"
	GatewayCounterReset EventKind = "gateway's counter has begun anew"
)

// DropReason is why a frame was dropped.
type DropReason uint8

// Reasons.
const (
	DropMalformed DropReason = iota // no frame of LoRaWAN
	DropNotForUs                    // a downlink of another network, or proprietary
	DropJoin
	DropDevAddr // no device with this DevAddr: most likely a neighbour's
	DropMIC
	DropReplay
	DropGap
	DropUnserved
	DropBudget
	DropTestPort
	numDropReasons
)

var dropNames = [...]string{
	DropMalformed: "malformed", DropNotForUs: "not_for_us", DropJoin: "join", DropDevAddr: "dev_addr", DropMIC: "mic",
	DropReplay: "replay", DropGap: "gap", DropUnserved: "unserved", DropBudget: "budget", DropTestPort: "test_port",
}

// String returns the reason as a word.
func (r DropReason) String() string { return dropNames[r] }

// Event is something that an owner may want to know.
type Event struct {
	Kind       EventKind
	At         time.Time // the zero time where the calendar is not known
	Reason     DropReason
	Gateway    string
	Address    string
	Device     session.ID // zero: not known
	DevAddr    radio.DevAddr
	HasDevAddr bool
	FCnt       uint32
	Err        error
}

func (c *Core) report(e Event) {
	e.At = c.now.at(c.now.Host)
	c.do(Report{e})
}

func (c *Core) drop(reason DropReason, e Event) {
	c.stats.Dropped[reason]++
	e.Kind, e.Reason = UplinkDropped, reason
	c.report(e)
}

// level is how loud an event is said the first time.
func (e *Event) level() slog.Level {
	switch e.Kind {
	case GatewayConnected, CounterRestarted:
		return slog.LevelInfo
	case GatewayDisconnected, GatewayCounterReset:
		return slog.LevelWarn
	case UplinkDropped:
		switch e.Reason {
		case DropUnserved, DropBudget:
			return slog.LevelWarn
		case DropReplay, DropGap, DropMIC, DropJoin, DropTestPort:
			return slog.LevelInfo
		}
	}
	return slog.LevelDebug
}

func (e *Event) attrs() []slog.Attr {
	var out []slog.Attr
	if e.Kind == UplinkDropped {
		out = append(out, slog.String("reason", e.Reason.String()))
	}
	if e.Gateway != "" {
		out = append(out, slog.String("gateway_id", e.Gateway))
	}
	if e.Address != "" {
		out = append(out, slog.String("address", e.Address))
	}
	if e.Device != (session.ID{}) {
		out = append(out, slog.String("application_id", e.Device.Application), slog.String("device_id", e.Device.Device), slog.Uint64("f_cnt", uint64(e.FCnt)))
	}
	if e.HasDevAddr {
		out = append(out, slog.String("dev_addr", e.DevAddr.String()))
	}
	if e.Err != nil {
		out = append(out, slog.String("error", e.Err.Error()))
	}
	return out
}

// eventLog writes events to the log. The same about the same device or gateway
// is said once a minute and goes to the debug level in between, so that nobody
// on the air can fill a disk.
type eventLog struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[eventKey]time.Time
}

type eventKey struct {
	kind    EventKind
	reason  DropReason
	device  session.ID
	gateway string
}

const (
	sayAgain     = time.Minute
	maxEventKeys = 1024
)

func (l *eventLog) write(e *Event) {
	level := e.level()
	if level > slog.LevelDebug && !l.first(e) {
		level = slog.LevelDebug
	}
	if l.log.Enabled(context.Background(), level) {
		l.log.LogAttrs(context.Background(), level, string(e.Kind), e.attrs()...)
	}
}

func (l *eventLog) first(e *Event) bool {
	key := eventKey{e.Kind, e.Reason, e.Device, ""}
	if e.Device == (session.ID{}) {
		key.gateway = e.Gateway
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[eventKey]time.Time{}
	}
	if last, ok := l.said[key]; ok && now.Sub(last) < sayAgain {
		return false
	}
	if len(l.said) >= maxEventKeys {
		clear(l.said)
	}
	l.said[key] = now
	return true
}
