package v3

import (
	"encoding/json"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// exampleDownlink has every field.
func exampleDownlink(t testing.TB) *Downlink {
	t.Helper()
	return &Downlink{
		DeviceIDs:      DeviceIDs{ID: session.ID{Application: "app1", Device: "dev1"}},
		CorrelationIDs: []string{"as:downlink:A", "my-id"},
		ReceivedAt:     at(t, "2026-11-22T08:10:02Z"),
		Item: &session.Item{
			FPort: 15, FRMPayload: []byte("hello"), Decoded: []byte(`{"on":true}`), Confirmed: true, Priority: radio.PriorityHigh,
			CorrelationIDs: []string{"as:downlink:A", "my-id"}, MaxAttempts: 5, Attempt: 2,
			ClassBC: &session.ClassBC{
				Gateways: []session.GatewayAntenna{
					{GatewayID: "gtw-1", EUI: radio.EUI64{0xA1, 7: 1}, Antenna: 1, Group: 2},
					{GatewayID: "gtw-2"},
				},
				AbsoluteTime: at(t, "2026-11-22T09:00:00.5Z"),
			},
			SessionKeyID: []byte{9}, FCnt: 99,
		},
		ItemCorrelationIDs: []string{"ns:transmission:B"},
		SessionKeyID:       []byte{1, 2},
		FCnt:               7,
		Priority:           radio.PriorityHighest,
		Err:                MaxRetriesReached(5),
	}
}

// Which fields each kind of message has.
func TestAppendDownlink(t *testing.T) {
	const (
		envelope = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}},` +
			`"correlation_ids":["as:downlink:A","my-id"],"received_at":"2026-11-22T08:10:02Z",`
		payload = `"frm_payload":"aGVsbG8=","decoded_payload":{"on":true},"confirmed":true,`
		classBC = `"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1","eui":"A100000000000001"},"antenna_index":1,"group_index":2},` +
			`{"gateway_ids":{"gateway_id":"gtw-2"}}],"absolute_time":"2026-11-22T09:00:00.500Z"},`
		ids   = `"correlation_ids":["ns:transmission:B"]`
		retry = `,"confirmed_retry":{"attempt":2,"max_attempts":5}`
		item  = classBC + `"priority":"HIGH",` + ids + retry
		frame = `"priority":"HIGHEST",` + ids
		key   = `"session_key_id":"AQI=","f_port":15,"f_cnt":7,`
		asked = `"session_key_id":"CQ==","f_port":15,"f_cnt":99,`
		fails = `"error":{"namespace":"pkg/applicationserver","name":"max_retries_reached",` +
			`"message_format":"maximum number of retries ({max_retries}) reached","attributes":{"max_retries":"5"},"code":10}`
	)
	tests := []struct {
		name, kind string
		change     func(*Downlink)
		want       string
	}{
		{"queued", DownQueued, nil, `"downlink_queued":{` + asked + payload + item + `}}`},
		{"sent", DownSent, nil, `"downlink_sent":{` + key + payload + frame + `}}`},
		{"ack", DownAck, nil, `"downlink_ack":{` + key + payload + item + `}}`},
		{"nack", DownNack, nil, `"downlink_nack":{` + key + payload + item + `}}`},
		{"failed after frames", DownFailed, nil, `"downlink_failed":{"downlink":{` + key + payload + item + `},` + fails + `}}`},
		{"failed as it was pushed", DownFailed, func(d *Downlink) { d.FCnt = 0 }, `"downlink_failed":{"downlink":{` + asked + payload + item + `},` + fails + `}}`},
		{"failed in the air", DownFailed, func(d *Downlink) { d.Transmission = true }, `"downlink_failed":{"downlink":{` + key + payload + frame + `},` + fails + `}}`},
		{"failed unread", DownFailed, func(d *Downlink) { d.Item, d.ItemCorrelationIDs, d.FCnt = nil, nil, 0 }, `"downlink_failed":{"downlink":{},` + fails + `}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := exampleDownlink(t)
			if tt.change != nil {
				tt.change(d)
			}
			if got := string((&Encoder{}).AppendDownlink(nil, tt.kind, d)); got != envelope+tt.want {
				t.Errorf("got  %s\nwant %s", got, envelope+tt.want)
			}
		})
	}
}

func TestAppendDownlinkRetry(t *testing.T) {
	tests := []struct {
		name string
		item session.Item
		want string
	}{
		{"unconfirmed", session.Item{}, `{}`},
		{"confirmed", session.Item{Confirmed: true, Attempt: 1}, `{"confirmed":true,"confirmed_retry":{"attempt":1}}`},
		{"attempts given", session.Item{Confirmed: true, MaxAttempts: 3}, `{"confirmed":true,"confirmed_retry":{"max_attempts":3}}`},
		{"attempts given, once nacked", session.Item{Confirmed: true, MaxAttempts: 3, Attempt: 1}, `{"confirmed":true,"confirmed_retry":{"attempt":1,"max_attempts":3}}`},
		{"empty", session.Item{Confirmed: true}, `{"confirmed":true,"confirmed_retry":{}}`},
		{"unconfirmed, but given", session.Item{MaxAttempts: 3}, `{"confirmed_retry":{"max_attempts":3}}`},
	}
	for _, tt := range tests {
		got := string((&Encoder{}).AppendDownlink(nil, DownQueued, &Downlink{Item: &tt.item}))
		if _, got, _ = strings.Cut(got, `"downlink_queued":`); got != tt.want+"}" {
			t.Errorf("%s: %s, want %s}", tt.name, got, tt.want)
		}
	}
}

// Zeros are left out unless the Encoder is to write them; a field that is nil is never written.
func TestAppendDownlinkZeros(t *testing.T) {
	item := &session.Item{ClassBC: &session.ClassBC{Gateways: []session.GatewayAntenna{{GatewayID: "gtw-1"}}}}
	d := &Downlink{Item: item, Err: NoPayload()}
	tests := []struct{ kind, without, with string }{
		{
			DownQueued, `"downlink_queued":{"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1"}}]}}}`,
			`"downlink_queued":{"f_port":0,"frm_payload":"","confirmed":false,` +
				`"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1"},"antenna_index":0,"group_index":0}]},"priority":"LOWEST"}}`,
		},
		{DownSent, `"downlink_sent":{}}`, `"downlink_sent":{"f_port":0,"f_cnt":0,"frm_payload":"","confirmed":false,"priority":"LOWEST"}}`},
	}
	for _, tt := range tests {
		for zero, want := range map[bool]string{false: tt.without, true: tt.with} {
			got := string((&Encoder{Zero: zero}).AppendDownlink(nil, tt.kind, d))
			if !strings.HasSuffix(got, "}},"+want) {
				t.Errorf("zero %v: %s\nwant %s", zero, got, want)
			}
			if strings.Contains(got, "received_at") || !json.Valid([]byte(got)) {
				t.Errorf("zero %v: %s", zero, got)
			}
		}
	}
}

func TestAppendJoinWithoutClock(t *testing.T) {
	got := string((&Encoder{}).AppendJoin([]byte("before "), &JoinAccept{
		DeviceIDs: DeviceIDs{
			ID: session.ID{Application: "app1", Device: "dev1"}, DevAddr: radio.DevAddr{1},
			HasDevAddr: true,
		}, SessionKeyID: []byte{1},
	}))
	const want = `before {"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_addr":"01000000"},"join_accept":{"session_key_id":"AQ=="}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Messages are written without allocation into a buffer that is large enough.
func TestAppendAllocates(t *testing.T) {
	d := exampleDownlink(t)
	e := &Encoder{}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		for _, kind := range []string{DownQueued, DownSent, DownAck, DownNack, DownFailed} {
			buf = e.AppendDownlink(buf[:0], kind, d)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendDownlink(b *testing.B) {
	d := exampleDownlink(b)
	e := &Encoder{}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendDownlink(buf[:0], DownSent, d)
	}
}
