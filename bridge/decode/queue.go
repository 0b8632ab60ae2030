package decode

import (
	"context"
	"time"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// queueTime is how long the items of a queue may take to decode, together.
const queueTime = 2 * time.Second

// Downlinks returns what gives an item that waits for a device its decoded_payload, if
// the device's formatter decodes downlinks. Those for which no time is left stay as
// they are, and so does one that cannot be decoded.
func Downlinks(ctx context.Context, pool *formatter.Pool, f formatter.Formatter) func(*session.Item) {
	if f.Kind() == formatter.None || !f.Names("decodeDownlink") {
		return func(*session.Item) {}
	}
	end := time.Now().Add(queueTime)
	return func(it *session.Item) {
		if !time.Now().Before(end) {
			return
		}
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		res := pool.Do(ctx, formatter.Request{
			Formatter: f, Task: formatter.DecodeDownlink, FPort: it.FPort, Bytes: it.FRMPayload,
		})
		if res.Fail == nil {
			it.Decoded, it.DecodedWarnings = res.Data, res.Warnings
		}
	}
}
