//go:build !small

package web

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Each event has a kind, a word and a tone that the page knows, and can be sent.
func TestWords(t *testing.T) {
	kinds := []string{"up", "join", "down", "gw", "mqtt", "drop"}
	tones := []string{"ok", "info", "idle", "warn", "bad"}
	for kind := range kindWords {
		for _, e := range []event.Event{
			{Kind: kind},
			{
				Kind: kind, Err: errors.New("why not"), Hint: "do something", Device: session.ID{Application: "a", Device: "d"},
				HasEUIs: true,
			},
			{Kind: kind, Decision: &event.Decision{Chosen: -1}, Word: "a_word", Address: "x", Client: event.Client{ID: "<i>"}},
		} {
			s := shownEvent(&e)
			if !slices.Contains(kinds, s.Kind) || s.Word == "" || !slices.Contains(tones, s.Tone) {
				t.Errorf("%s: %+v", kind, s)
			}
			if _, err := json.Marshal(s); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	if s := shownEvent(&event.Event{Kind: "something new"}); s.Kind != "gw" || s.Word != "Something new." ||
		s.Tone != "info" {
		t.Errorf("%+v", s)
	}
}

func TestEventTexts(t *testing.T) {
	known := session.ID{Application: "farm", Device: "dev1"}
	for _, tt := range []struct {
		name                  string
		e                     event.Event
		kind, add, text, todo string
	}{
		{
			"a neighbour",
			event.Event{Kind: event.UplinkDropped, Reason: event.DropDevAddr, DevAddr: radio.DevAddr{0x26, 1}},
			"drop", "", "belongs to no device here", "",
		},
		{
			"a replay of a device",
			event.Event{Kind: event.UplinkDropped, Reason: event.DropReplay, Device: known},
			"up", "", "Replay.", "",
		},
		{
			"an unknown device",
			event.Event{Kind: event.JoinRefused, Word: string(event.JoinUnknownDevEUI), HasEUIs: true, Hint: "if …"},
			"join", "device", "Is it yours?", "",
		},
		{
			"a wrong key",
			event.Event{Kind: event.JoinRefused, Word: string(event.JoinWrongKey), Device: known, Hint: "compare them"},
			"join", "", "Wrong AppKey.", "Compare them.",
		},
		{
			"an unknown gateway",
			event.Event{Kind: event.GatewayRefused, Address: "[fd00::1]:1700"},
			"gw", "gateway", "at fd00::1 is", "",
		},
		{
			"a login",
			event.Event{Kind: event.ClientRefused, Word: "revoked", Client: event.Client{Application: "farm"}},
			"mqtt", "", "User farm: The key was revoked.", "",
		},
		{
			"a wrong password of the page",
			event.Event{Kind: event.APIRefused, Word: wrongPagePassword},
			"mqtt", "", "password of this page", "",
		},
	} {
		s := shownEvent(&tt.e)
		if s.Kind != tt.kind || s.Add != tt.add || !strings.Contains(s.Text, tt.text) || s.Todo != tt.todo {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
}

func TestSentence(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "A.", "x": "X.", "the device": "The device.", "is it yours?": "Is it yours?", "f_cnt 7": "f_cnt 7.", "ends.": "Ends.",
		"DevEUI": "DevEUI.", "über": "Über.", "add [[gateway]] with eui = \"0102\"": "Add [[gateway]] with eui = \"0102\"",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
