//go:build !small

package web

import (
	"fmt"
	"strings"

	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
)

// shown is an event as the page shows it.
type shown struct {
	ID          string  `json:"id"`
	At          int64   `json:"at"`
	Kind        string  `json:"kind"` // up, join, down, gw, mqtt or drop
	Word        string  `json:"word"`
	Tone        string  `json:"tone"` // ok, info, idle, warn or bad
	Application string  `json:"app,omitempty"`
	Device      string  `json:"dev,omitempty"`
	Gateway     string  `json:"gw,omitempty"`
	Text        string  `json:"text,omitempty"`
	Todo        string  `json:"todo,omitempty"`
	Add         string  `json:"add,omitempty"` // device or gateway: it can be added
	DevEUI      string  `json:"devEUI,omitempty"`
	JoinEUI     string  `json:"joinEUI,omitempty"`
	GatewayEUI  string  `json:"gwEUI,omitempty"`
	From        string  `json:"from,omitempty"` // an address
	Uplink      *uplink `json:"up,omitempty"`
	Raw         any     `json:"raw"`
}

// kindWords are how the page speaks of a kind of event.
var kindWords = map[event.Kind]struct{ kind, word, tone string }{
	event.UplinkDropped:       {"up", "Dropped", "warn"},
	event.UplinkRepeated:      {"drop", "Repeated", "idle"},
	event.CounterRestarted:    {"up", "Counter begun anew", "info"},
	event.GatewayConnected:    {"gw", "Connected", "ok"},
	event.GatewayDisconnected: {"gw", "Off line", "bad"},
	event.GatewayCounterReset: {"gw", "Restarted", "info"},
	event.GatewayFailed:       {"gw", "Does not work", "bad"},
	event.GatewayRefused:      {"gw", "Gateway refused", "warn"},
	event.GatewayDropped:      {"gw", "Not taken", "warn"},
	event.GatewayPower:        {"gw", "Power", "warn"},
	event.BeaconRefused:       {"gw", "Beacon", "warn"},
	event.ClientRefused:       {"mqtt", "Login failed", "warn"},
	event.PublishRefused:      {"mqtt", "Publish refused", "warn"},
	event.SubscribeRefused:    {"mqtt", "Subscription refused", "warn"},
	event.PacketRefused:       {"mqtt", "Packet refused", "warn"},
	event.APIRefused:          {"mqtt", "Login failed", "warn"},
	event.ClientLoggedIn:      {"mqtt", "Logged in", "ok"},
	event.PageLoggedIn:        {"mqtt", "Logged in", "ok"},
	event.ServerAnswers:       {"gw", "Other server answers", "ok"},
	event.ServerSilent:        {"gw", "Other server silent", "warn"},
	event.ChannelsKept:        {"gw", "Channels not changed for it", "info"},
	event.ForeignSent:         {"down", "Sent for another network", "ok"},
	event.ForeignRefused:      {"down", "Not sent for another network", "info"},
	event.UpstreamConnected:   {"mqtt", "Upstream connected", "ok"},
	event.UpstreamLost:        {"mqtt", "Upstream lost", "bad"},
	event.WindowsUnknown:      {"down", "Cannot be answered", "warn"},
	event.RX1Unknown:          {"down", "No RX1", "warn"},
	event.JoinAccepted:        {"join", "Joined", "ok"},
	event.JoinWithoutChannels: {"join", "Joined without channels", "info"},
	event.JoinRefused:         {"join", "Join refused", "bad"},
	event.DownlinkQueued:      {"down", "Queued", "info"},
	event.DownlinkScheduled:   {"down", "Scheduled", "info"},
	event.DownlinkSent:        {"down", "Sent", "ok"},
	event.DownlinkAcked:       {"down", "Acknowledged", "ok"},
	event.DownlinkNacked:      {"down", "Not acknowledged", "warn"},
	event.DownlinkFailed:      {"down", "Failed", "bad"},
	event.DownlinkUnsent:      {"down", "Not sent", "warn"},
	event.MACAsked:            {"down", "Asked", "info"},
	event.MACAccepted:         {"down", "Accepted", "ok"},
	event.MACRefused:          {"down", "Refused by the device", "warn"},
	event.FormatterFailed:     {"up", "Formatter failed", "warn"},
	event.FormatterLog:        {"up", "Formatter says", "info"},
}

// isNeighbours reports whether an event is about a frame that belongs to no device here.
func isNeighbours(e *event.Event) bool {
	return e.Kind == event.UplinkRepeated || e.Kind == event.UplinkDropped && e.Device == (session.ID{})
}

// shownEvent returns an event as the page shows it.
func shownEvent(e *event.Event) shown {
	w := kindWords[e.Kind]
	out := shown{
		At: ms(e.Host), Kind: w.kind, Word: w.word, Tone: w.tone, Application: e.Device.Application, Device: e.Device.Device,
		Gateway: e.Gateway, Text: eventText(e), Todo: sentence(e.Hint), Raw: e,
	}
	if w.kind == "" { // a kind that is newer than this table
		out.Kind, out.Word, out.Tone = "gw", sentence(string(e.Kind)), "info"
	}
	if isNeighbours(e) && e.Kind == event.UplinkDropped {
		out.Kind, out.Word, out.Tone = "drop", "Neighbour", "idle"
	}
	if e.HasEUIs {
		out.DevEUI, out.JoinEUI = e.DevEUI.String(), e.JoinEUI.String()
	}
	if out.Kind == "mqtt" {
		out.From, out.Application = door.HostOf(e.Address), e.Client.Application
	}
	switch {
	case e.Kind == event.GatewayRefused:
		out.Add, out.GatewayEUI, out.From, out.Todo = "gateway", e.GatewayEUI.String(), door.HostOf(e.Address), ""
	case e.Kind == event.JoinRefused && e.Device == (session.ID{}):
		out.Tone = "warn"
		if e.Word == string(event.JoinUnknownDevEUI) {
			out.Add, out.Todo = "device", ""
		}
	}
	return out
}

// eventText says in words what has happened.
func eventText(e *event.Event) string {
	why := ""
	if e.Err != nil {
		why = sentence(e.Err.Error())
	}
	switch e.Kind {
	case event.UplinkDropped:
		return droppedText(e, why)
	case event.GatewayRefused:
		return fmt.Sprintf("A gateway at %s is not known here. Is it yours?", door.HostOf(e.Address))
	case event.GatewayDropped:
		return strings.TrimSpace(sentence(strings.ReplaceAll(e.Word, "_", " ")) + " " + why)
	case event.ClientRefused, event.APIRefused:
		reason, _ := refusalWords(e.Word, nil)
		return strings.TrimSpace("User " + e.Client.Application + ": " + reason)
	case event.ClientLoggedIn:
		return fmt.Sprintf("Client %s of user %s.", e.Client.ID, e.Client.Application)
	case event.PageLoggedIn:
		return "A browser has logged in to this page."
	case event.PublishRefused, event.SubscribeRefused, event.PacketRefused:
		return fmt.Sprintf("Client %s, %s: %s", e.Client.ID, e.Client.Topic, strings.ReplaceAll(e.Word, "_", " "))
	case event.JoinAccepted:
		return fmt.Sprintf("DevAddr %v.", e.DevAddr)
	case event.JoinRefused:
		return joinRefusedText(e, why)
	case event.DownlinkSent, event.DownlinkAcked, event.DownlinkNacked:
		return fmt.Sprintf("f_cnt %d. %s", e.FCnt, why)
	case event.DownlinkScheduled, event.DownlinkUnsent:
		if e.Decision != nil {
			return sentence(e.Decision.Text())
		}
	}
	return why
}

func droppedText(e *event.Event, why string) string {
	switch {
	case e.Reason == event.DropDevAddr:
		return fmt.Sprintf("DevAddr %v belongs to no device here: another network's.", e.DevAddr)
	case why != "":
		return why
	}
	return sentence(strings.ReplaceAll(e.Reason.String(), "_", " "))
}

func joinRefusedText(e *event.Event, why string) string {
	switch event.JoinRefusal(e.Word) {
	case event.JoinUnknownDevEUI:
		return "No device with this DevEUI is known here. Is it yours?"
	case event.JoinUnknownJoinEUI:
		return "A device with this DevEUI is known here with another JoinEUI."
	case event.JoinWrongKey:
		return "Wrong AppKey."
	}
	if why != "" {
		return why
	}
	return sentence(strings.ReplaceAll(e.Word, "_", " "))
}
