package upstream

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/v3"
)

// In an outage the long messages that one application causes do not drive out the uplinks of
// another, neither from the journal nor, where the disk does not work, from memory.
func TestFloodOfAnother(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault error
		ups   int // one a minute
	}{
		{"journal", nil, 60},
		{"memory", errors.New("read-only file system"), 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t)
				s.o.Applications = []string{"app1", "app2"}
				s.o.Journal.Bytes = 2 * journal.MinBytes
				s.far.off = true
				var log bytes.Buffer
				s.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				s.start()
				s.disk.Fail(func(string, string) error { return tt.fault })
				r := rand.New(rand.NewPCG(1, 2))
				long := make([]byte, 45_000)
				for range tt.ups {
					for range 20 { // 1.6 a second would only take longer
						for i := range long {
							long[i] = byte(r.Uint32())
						}
						s.Publish(v3.Message{
							Application: "app2", Device: "none", Suffix: v3.DownFailed,
							Payload: []byte(base64.StdEncoding.EncodeToString(long)),
						})
						s.wait(3 * time.Second)
					}
					s.up()
				}
				s.disk.Fail(nil)
				s.far.cut(false)
				s.wait(5 * time.Minute)
				ups := 0
				for _, a := range s.far.arrivals() {
					if strings.HasPrefix(a.topic, "site1/v3/app1/") {
						ups++
					}
				}
				if st := s.Status(); ups != tt.ups || st.Waiting != 0 || st.Lost+uint64(st.Journal.Lost) < 1000 {
					t.Errorf("%d uplinks of %d have arrived; %+v", ups, tt.ups, st)
				}
				s.stop()
				if n := strings.Count(log.String(), "messages are lost"); tt.fault == nil && (n < 1 || n > tt.ups/10+1) {
					t.Errorf("the losses are told %d times", n)
				}
			})
		})
	}
}
