package event

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// A driver's report becomes an event that names the gateway: a served one, a stranger, or
// none.
func TestOfGateway(t *testing.T) {
	known := &gateway.Gateway{ID: "gw1", EUI: eui}
	for _, tt := range []struct {
		name    string
		kind    radio.GatewayEventKind
		cause   string
		eui     radio.EUI64
		known   *gateway.Gateway
		want    Kind
		gateway string
		ofEUI   bool
		hint    string
	}{
		{
			"refused", radio.GatewayRefused, "", eui, nil, GatewayRefused, "eui-70b3000000000001", true,
			`eui = "70B3000000000001"`,
		},
		{
			"dropped, of one that is served", radio.GatewayDropped, "no_pull_data", eui, known, GatewayDropped, "gw1", false,
			"serv_port_down",
		},
		{
			"dropped, of a stranger", radio.GatewayDropped, "malformed", eui, nil, GatewayDropped, "eui-70b3000000000001", true,
			"",
		},
		{"dropped, of nobody", radio.GatewayDropped, "too_many", radio.EUI64{}, nil, GatewayDropped, "", false, "rmem_max"},
	} {
		e := OfGateway(&radio.GatewayEvent{
			Kind: tt.kind, Gateway: tt.eui, Cause: tt.cause, Fault: "a fault", Address: "192.0.2.1:1700",
		}, tt.known)
		if e.Kind != tt.want || e.Gateway != tt.gateway || e.GatewayEUI.IsZero() == tt.ofEUI || e.Word != tt.cause ||
			e.Err == nil || e.Err.Error() != "a fault" || e.Address != "192.0.2.1:1700" ||
			!strings.Contains(e.Hint, tt.hint) || tt.hint == "" && e.Hint != "" {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

// Follow tells the events from then on, FollowAll also those before, until the callback
// returns an error or the context ends; then the place is free.
func TestFollow(t *testing.T) {
	l := NewLog(slog.New(slog.DiscardHandler))
	l.Write(&Event{Kind: DownlinkSent, FCnt: 1})
	enough := errors.New("enough")
	var seen []uint32
	follow := func(most int) func(Event) error {
		seen = nil
		return func(e Event) error {
			if seen = append(seen, e.FCnt); len(seen) == most {
				return enough
			}
			l.Write(&Event{Kind: DownlinkSent, FCnt: e.FCnt + 1}) // the next that comes
			return nil
		}
	}
	if err := l.FollowAll(t.Context(), follow(3)); !errors.Is(err, enough) || len(seen) != 3 || seen[0] != 1 ||
		seen[2] != 3 {
		t.Errorf("all: %v, %v", seen, err)
	}
	if err := l.FollowAll(t.Context(), follow(1)); !errors.Is(err, enough) || len(seen) != 1 {
		t.Errorf("the first is enough: %v, %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Follow(ctx, follow(1)); err != nil || len(seen) != 0 {
		t.Errorf("a context that has ended: %v, %v", seen, err)
	}
	if n := len(l.followers); n != 0 {
		t.Errorf("%d places are taken by those who have gone", n)
	}
	for range maxFollowers {
		if _, _, _, err := l.Watch(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Follow(t.Context(), follow(1)); !errors.Is(err, errFollowers) {
		t.Errorf("one too many: %v", err)
	}
	if err := l.FollowAll(t.Context(), follow(1)); !errors.Is(err, errFollowers) || len(seen) != 0 {
		t.Errorf("one too many, with those before: %v, %v", err, seen)
	}
}

// The log has what an event says, each fact under its name.
func TestLogLine(t *testing.T) {
	var out strings.Builder
	l := NewLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	l.Write(&Event{
		Kind: JoinRefused, Word: "wrong_key", Gateway: "gw1", Device: dev1, FCnt: 7, HasEUIs: true, DevEUI: eui,
		HasDevAddr: true, DevAddr: radio.DevAddr{1, 2, 3, 4}, Address: "192.0.2.1:1", Err: errors.New("wrong MIC"),
		Hint: "compare", Client: Client{ID: "c", Topic: "t"}, Decision: &Decision{Chosen: -1, Join: true},
	})
	for _, want := range []string{
		"level=INFO", `msg="join refused"`, "reason=wrong_key", "gateway_id=gw1", "application_id=app1", "device_id=dev1",
		"f_cnt=7", "dev_eui=70B3000000000001", "join_eui=0000000000000000", "dev_addr=01020304", "address=192.0.2.1:1",
		`error="wrong MIC"`, "hint=compare", "client_id=c", "topic=t", `decision="join-request heard`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	out.Reset()
	l.Write(&Event{Kind: DownlinkQueued})
	if got := out.String(); !strings.Contains(got, "level=DEBUG") || strings.Contains(got, "_id=") ||
		strings.Contains(got, "f_cnt") || strings.Contains(got, "reason=") {
		t.Errorf("of nothing: %s", got)
	}
}
