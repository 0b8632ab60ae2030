package v3

import (
	"errors"
	"fmt"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// The names, words and codes are those of The Things Stack where it has them.
func TestErrors(t *testing.T) {
	id := session.ID{Application: "app1", Device: "dev1"}
	tests := []struct {
		err        *Error
		json, text string
	}{
		{NoDeviceSession(), `{"namespace":"pkg/applicationserver","name":"no_device_session","message_format":"no device session; check device activation","code":9}`, "no device session; check device activation (no_device_session)"},
		{DeviceNotFound(id), "{\"namespace\":\"pkg/applicationserver\",\"name\":\"device_not_found\",\"message_format\":\"device `{device_uid}` not found\",\"attributes\":{\"device_uid\":\"app1.dev1\"},\"code\":5}", "device `app1.dev1` not found (device_not_found)"},
		{NoFPort(), `{"namespace":"pkg/applicationserver","name":"no_f_port","message_format":"no FPort","code":3}`, "no FPort (no_f_port)"},
		{NoPayload(), `{"namespace":"pkg/applicationserver","name":"no_payload","message_format":"no payload","code":3}`, "no payload (no_payload)"},
		{FormatterNotConfigured("NONE"), "{\"namespace\":\"pkg/messageprocessors\",\"name\":\"formatter_not_configured\",\"message_format\":\"formatter `{formatter}` is not configured\",\"attributes\":{\"formatter\":\"NONE\"},\"code\":9}", "formatter `NONE` is not configured (formatter_not_configured)"},
		{ApplicationDownlinkTooLong(243, 242), "{\"namespace\":\"pkg/networkserver\",\"name\":\"application_downlink_too_long\",\"message_format\":\"application downlink payload length `{length}` exceeds maximum '{max}'\",\"attributes\":{\"length\":243,\"max\":\"242\"},\"code\":3}", "application downlink payload length `243` exceeds maximum '242' (application_downlink_too_long)"},
		{DownlinkExpired(), `{"namespace":"pkg/networkserver","name":"downlink_expired","message_format":"queued downlink is expired","code":9}`, "queued downlink is expired (downlink_expired)"},
		{InvalidAbsoluteTime(), `{"namespace":"pkg/networkserver","name":"absolute_time","message_format":"invalid absolute time set in application downlink","code":3}`, "invalid absolute time set in application downlink (absolute_time)"},
		{InvalidFixedPaths(), `{"namespace":"pkg/networkserver","name":"fixed_paths","message_format":"invalid fixed paths set in application downlink","code":3}`, "invalid fixed paths set in application downlink (fixed_paths)"},
		{TransmissionFailed(radio.TxCollisionPacket), "{\"namespace\":\"pkg/networkserver\",\"name\":\"transmission\",\"message_format\":\"downlink transmission failed with result `{result}`\",\"attributes\":{\"result\":\"COLLISION_PACKET\"},\"code\":2}", "downlink transmission failed with result `COLLISION_PACKET` (transmission)"},
		{MaxRetriesReached(8), `{"namespace":"pkg/applicationserver","name":"max_retries_reached","message_format":"maximum number of retries ({max_retries}) reached","attributes":{"max_retries":"8"},"code":10}`, "maximum number of retries (8) reached (max_retries_reached)"},
		{TooManyRetries(), `{"namespace":"pkg/applicationserver","name":"downlink_max_retries_invalid","message_format":"downlink maximum retries exceed configured maximum of {max}","attributes":{"max":"32"},"code":3}`, "downlink maximum retries exceed configured maximum of 32 (downlink_max_retries_invalid)"},
		{QueueFull(), `{"namespace":"pkg/networkserver","name":"downlink_queue_capacity","message_format":"downlink queue capacity exceeded","code":8}`, "downlink queue capacity exceeded (downlink_queue_capacity)"},
		{Invalid("f", "why"), "{\"namespace\":\"pkg/errors\",\"name\":\"validation\",\"message_format\":\"invalid `{field}`: {reason}\",\"attributes\":{\"field\":\"f\",\"reason\":\"why\"},\"code\":3}", "invalid `f`: why (validation)"},
		{NotDecoded("no\nJSON"), `{"namespace":"lorawand","name":"decode_downlinks","message_format":"decode downlink messages: {reason}","attributes":{"reason":"no\nJSON"},"code":3}`, "decode downlink messages: no JSON (decode_downlinks)"},
		{NotServed(errors.New("class B")), `{"namespace":"lorawand","name":"not_served","message_format":"no downlinks for this device: {reason}","attributes":{"reason":"class B"},"code":12}`, "no downlinks for this device: class B (not_served)"},
	}
	for _, tt := range tests {
		w := writer{b: []byte("{")}
		w.error("error", tt.err)
		if got := string(w.b); got != `{"error":`+tt.json {
			t.Errorf("got  %s\nwant {\"error\":%s", got, tt.json)
		}
		if tt.err.Error() != tt.text {
			t.Errorf("says %q, want %q", tt.err, tt.text)
		}
		if same := errors.Is(fmt.Errorf("push: %w", tt.err), NoFPort()); same != (tt.err.Name == "no_f_port") {
			t.Errorf("%s is no_f_port: %v", tt.err.Name, same)
		}
	}
}
