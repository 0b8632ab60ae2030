// Package event has everything that people are told: events, the records of
// decisions about downlinks, the log of both, and their texts. The reason for
// sending or not sending a downlink is put into words by Decision.Text
// (decision.go) and Why (text.go), the content of a downlink by Content, and the
// advice to an owner by the hints.
package event

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// Kind says what an Event is about.
type Kind string

// Kinds of events.
const (
	UplinkDropped       Kind = "uplink dropped"
	UplinkRepeated      Kind = "uplink repeated"
	CounterRestarted    Kind = "device has begun its frame counter anew"
	GatewayConnected    Kind = "gateway connected"
	GatewayDisconnected Kind = "gateway disconnected"
	GatewayCounterReset Kind = "gateway's counter has begun anew"
	GatewayFailed       Kind = "gateway does not work"
	GatewayRefused      Kind = "gateway refused"
	GatewayDropped      Kind = "what a gateway sends is dropped or cannot be answered"
	ClientRefused       Kind = "MQTT client refused"
	PublishRefused      Kind = "MQTT publish refused"
	SubscribeRefused    Kind = "MQTT subscription refused"
	APIRefused          Kind = "API client refused"
	PacketRefused       Kind = "MQTT packet refused"
	ClientLoggedIn      Kind = "MQTT client has logged in"
	PageLoggedIn        Kind = "browser has logged in to the web page"
	UpstreamConnected   Kind = "connected to the broker upstream"
	UpstreamLost        Kind = "broker upstream cannot be reached"
	GatewayPower        Kind = "gateway does not send with a power"
	BeaconRefused       Kind = "gateway does not send its beacon"
	ServerAnswers       Kind = "other network server answers"
	ServerSilent        Kind = "other network server does not answer"
	ChannelsKept        Kind = "other network server wants other channels"
	ForeignSent         Kind = "downlink of another network sent"
	ForeignRefused      Kind = "downlink of another network not sent"
	WindowsUnknown      Kind = "uplink cannot be answered"
	RX1Unknown          Kind = "no channel for the first receive window"
	JoinAccepted        Kind = "join accepted"
	JoinWithoutChannels Kind = "join-accept without the plan's channels"
	JoinRefused         Kind = "join refused"
	DownlinkQueued      Kind = "downlink queued"
	DownlinkScheduled   Kind = "downlink scheduled"
	DownlinkSent        Kind = "downlink sent"
	DownlinkAcked       Kind = "downlink acknowledged"
	DownlinkNacked      Kind = "downlink not acknowledged"
	DownlinkFailed      Kind = "downlink failed"
	DownlinkUnsent      Kind = "downlink not sent"
	MACAsked            Kind = "device is asked"
	MACAccepted         Kind = "device has accepted a request"
	MACRefused          Kind = "device has refused a request"
	FormatterFailed     Kind = "payload formatter failed"
	FormatterLog        Kind = "payload formatter says"
)

// Word returns the kind as one word: "downlink_sent".
func (k Kind) Word() string { return strings.ToLower(strings.ReplaceAll(string(k), " ", "_")) }

// DropReason is the reason for dropping a frame.
type DropReason uint8

// Reasons for dropping a frame.
const (
	DropMalformed DropReason = iota // not a LoRaWAN frame
	DropNotForUs                    // a downlink of another network, or a proprietary frame
	DropRekey
	DropDevAddr // no device has this DevAddr; most likely it is a neighbour's
	DropMIC
	DropReplay
	DropGap
	DropUnserved
	DropBudget
	DropTestPort
	DropReusedFCnt // another frame has used this counter already
	DropInboxFull  // more came than the core could take
	numDropReasons
)

var dropNames = [...]string{
	DropMalformed: "malformed", DropNotForUs: "not_for_us", DropRekey: "rekey",
	DropDevAddr: "dev_addr", DropMIC: "mic",
	DropReplay: "replay", DropGap: "gap", DropUnserved: "unserved", DropBudget: "budget", DropTestPort: "test_port",
	DropReusedFCnt: "reused_f_cnt", DropInboxFull: "inbox_full",
}

var dropErrors = map[error]DropReason{
	session.ErrDevAddr: DropDevAddr, session.ErrMIC: DropMIC, session.ErrReplay: DropReplay, session.ErrGap: DropGap,
	session.ErrUnserved: DropUnserved, session.ErrBudget: DropBudget, session.ErrReused: DropReusedFCnt,
}

// DropReasonOf returns the reason for an error of session.Registry.Match.
func DropReasonOf(err error) DropReason {
	for target, r := range dropErrors {
		if errors.Is(err, target) {
			return r
		}
	}
	return DropMIC
}

// DropCounts has the number of dropped frames for each DropReason.
type DropCounts [numDropReasons]uint64

// Err returns what there is to say of a reason where no error says more; nil: nothing.
func (r DropReason) Err() error { return dropTexts[r] }

var dropTexts = map[DropReason]error{
	DropNotForUs: errors.New("not an uplink of LoRaWAN"),
	DropRekey:    errors.New("the first frame of a session of LoRaWAN 1.1 holds no RekeyInd"),
	DropTestPort: errors.New("FPort 224 is for the test protocol, not for applications"),
}

// String returns the reason as a word.
func (r DropReason) String() string { return dropNames[r] }

// Event is something that an owner may want to know.
type Event struct {
	Kind       Kind
	Host       radio.HostTime
	At         time.Time // Host as calendar time; the zero time where the calendar is not known
	Reason     DropReason
	Gateway    string
	GatewayEUI radio.EUI64 // with GatewayRefused, and with GatewayDropped for a gateway that is not served
	Address    string
	Device     session.ID // zero: unknown device
	DevAddr    radio.DevAddr
	HasDevAddr bool
	DevEUI     radio.EUI64
	JoinEUI    radio.EUI64
	HasEUIs    bool
	FCnt       uint32
	Word       string // the reason as one word, with JoinRefused, GatewayDropped and refusals of MQTT clients
	Client     Client // with refusals of MQTT clients, and their logins
	Err        error
	Hint       string // what the owner can do about it

	CorrelationIDs []string
	Decision       *Decision // with DownlinkScheduled, DownlinkUnsent and some JoinRefused
}

// Client is an MQTT client that has logged in, or whose login, publish or subscription is
// refused.
type Client struct {
	ID          string
	Application string // as the client says, if it has not logged in
	LoggedIn    bool
	Topic       string // topic or filter
}

// level returns the level of an event in the log when it is written for the first
// time.
func (e *Event) level() slog.Level {
	switch e.Kind {
	case MACRefused, ForeignRefused, ServerAnswers, ChannelsKept, GatewayConnected, CounterRestarted, JoinAccepted,
		JoinWithoutChannels, JoinRefused:
		return slog.LevelInfo
	case GatewayDisconnected, GatewayCounterReset, GatewayFailed, GatewayRefused, GatewayDropped, GatewayPower,
		BeaconRefused, ServerSilent, DownlinkFailed, DownlinkUnsent, WindowsUnknown, RX1Unknown, FormatterFailed:
		return slog.LevelWarn
	case UplinkDropped:
		switch e.Reason {
		case DropUnserved, DropBudget, DropReusedFCnt:
			return slog.LevelWarn
		case DropReplay, DropGap, DropMIC, DropRekey, DropTestPort:
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
	if e.Kind == GatewayRefused || !e.GatewayEUI.IsZero() {
		out = append(out, slog.String("gateway_eui", e.GatewayEUI.String()))
	}
	if e.Address != "" {
		out = append(out, slog.String("address", e.Address))
	}
	if e.Device != (session.ID{}) {
		out = append(out, slog.String("application_id", e.Device.Application), slog.String("device_id", e.Device.Device))
		out = append(out, slog.Uint64("f_cnt", uint64(e.FCnt)))
	}
	for _, a := range []slog.Attr{
		slog.String("client_id", e.Client.ID), slog.String("application_id", e.Client.Application),
		slog.String("topic", e.Client.Topic),
	} {
		if a.Value.String() != "" {
			out = append(out, a)
		}
	}
	if e.HasDevAddr {
		out = append(out, slog.String("dev_addr", e.DevAddr.String()))
	}
	if e.HasEUIs {
		out = append(out, slog.String("dev_eui", e.DevEUI.String()), slog.String("join_eui", e.JoinEUI.String()))
	}
	if e.Word != "" {
		out = append(out, slog.String("reason", e.Word))
	}
	if e.Decision != nil {
		out = append(out, slog.String("decision", e.Decision.Text()))
	}
	if e.Err != nil {
		out = append(out, slog.String("error", e.Err.Error()))
	}
	if e.Hint != "" {
		out = append(out, slog.String("hint", e.Hint))
	}
	return out
}
