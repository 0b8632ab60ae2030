package bridge

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/store/storetest"
)

// A push that the disk has not stored in time fails, and is not queued later: its client pushes once
// more, and it is queued once.
func TestPushInTimeOrNever(t *testing.T) {
	const body = `{"downlinks":[{"f_port":15,"frm_payload":"AQID"}]}`
	for _, tt := range []struct {
		name string
		disk time.Duration // how long each commit takes
		fail bool
	}{
		{name: "in time", disk: time.Second},
		{name: "at the last moment", disk: 2*time.Second - time.Millisecond},
		{name: "too late", disk: 3 * time.Second, fail: true},
		{name: "far too late", disk: time.Minute, fail: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &storetest.Commits{}
				st.Slow(tt.disk)
				b, h, out, stop := running(t, st, time.Second, slog.New(slog.DiscardHandler))
				time.Sleep(5 * time.Minute) // what the start writes
				push := func(limit time.Duration) error {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					return b.Push(ctx, dev("dev1"), false, []byte(body))
				}
				err := push(2 * time.Second)
				if tt.fail != errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the push: %v", err)
				}
				if err != nil {
					if err := push(time.Hour); err != nil { // once more
						t.Error(err)
					}
				}
				time.Sleep(5 * time.Minute)
				if n := out.count(); n != 1 {
					t.Errorf("%d messages, want one: it is queued", n)
				}
				st.Slow(0)
				stop()
				if n := h.devices.Device(dev("dev1")).Queue.Len(); n != 1 {
					t.Errorf("%d items are queued", n)
				}
			})
		})
	}
}
