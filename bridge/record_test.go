package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/recording"
	"lorawand/bridge/state"
	"lorawand/bridge/store/storetest"
)

// registered has the records of the devices of a home, as a store has them.
type registered struct{ *home }

func (r registered) Records(kind string) (out []state.Record) {
	for _, d := range r.devices.All() {
		records, err := state.DeviceRecords(d)
		if err != nil {
			r.Fatal(err)
		}
		for _, one := range records {
			if one.Kind == kind && one.Data != nil {
				out = append(out, one)
			}
		}
	}
	return out
}

// file is one in memory.
type file struct {
	bytes.Buffer
	closed bool
}

func (f *file) Close() error { f.closed = true; return nil }

// What a Bridge does with its Recorder can be replayed to the end: the same messages, and the
// panic at a change that makes the core fail.
func TestRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out, f := newHome(t), &fakeOutbox{}, &file{}
		log := slog.New(slog.DiscardHandler)
		r := recording.New(recording.Options{Out: f, Limit: 1 << 30, Store: registered{h}, Logger: log})
		b, err := New(Options{
			Devices: h.devices, Gateways: h.gateways, Store: &storetest.Commits{}, Outbox: out, DefaultPlan: h.plan,
			Clock: NewClock(trusted), Serves: true, Logger: log, Recorder: r,
		})
		if err != nil {
			t.Fatal(err)
		}
		stops := []func(){begin(t, b.Run), begin(t, r.Run)}
		synctest.Wait()
		b.GatewayEvent(connected(gwA))
		for i := range uint32(3) {
			b.Uplink(h.uplink(gwA, "dev1", i))
			body := `{"downlinks":[{"f_port":15,"frm_payload":"AQID","confirmed":true}]}`
			if err := b.Push(t.Context(), dev("dev1"), false, []byte(body)); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
		}
		_, err = b.await(t.Context(), func(ticket uint64) core.Input {
			return core.Provisioned{Ticket: ticket, Put: []state.DevicePut{{}}} // without a device
		})
		b.Uplink(h.uplink(gwA, "dev2", 1))
		time.Sleep(time.Second)
		if n := faultsOf(t, b); err != nil || n != 1 {
			t.Errorf("%v, %d faults, want 1", err, n)
		}
		for _, stop := range stops {
			stop()
		}
		if !f.closed {
			t.Error("the file is open")
		}
		sameAgain(t, f.Bytes(), out)
	})
}

// begin starts a part, and returns what ends it.
func begin(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// sameAgain replays a recording: it publishes what was published.
func sameAgain(t *testing.T, recorded []byte, out *fakeOutbox) {
	t.Helper()
	p, err := recording.NewReplay(bytes.NewReader(recorded))
	if err != nil {
		t.Fatal(err)
	}
	var published []string
	faults := 0
	err = p.Run(func(e *recording.Effect) error {
		switch e.Effect {
		case "Fault":
			faults++
		case "Publish":
			text, err := json.Marshal(e.Detail)
			if err != nil {
				return err
			}
			published = append(published, string(text))
		}
		return nil
	})
	if err != nil || p.End == "" || faults != 1 {
		t.Errorf("%v, end %q, %d faults", err, p.End, faults)
	}
	if len(published) != len(out.msgs) || len(published) < 7 {
		t.Fatalf("%d messages, and %d when it was recorded", len(published), len(out.msgs))
	}
	for i, m := range out.msgs {
		want, err := json.Marshal(map[string]any{
			"Topic": m.Application + "/" + m.Device + "/" + m.Suffix, "Payload": json.RawMessage(m.Payload),
		})
		if err != nil {
			t.Fatal(err)
		}
		var got, had any
		if json.Unmarshal([]byte(published[i]), &got) != nil || json.Unmarshal(want, &had) != nil {
			t.Fatal("no JSON")
		}
		if text(t, got) != text(t, had) {
			t.Errorf("message %d\n%s\nwas\n%s", i, text(t, got), text(t, had))
		}
	}
}

// text is a value as JSON with sorted keys.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Each type of input can be recorded.
func TestEachInput(t *testing.T) {
	recorded := map[string]bool{}
	for _, in := range recording.Inputs() {
		recorded[reflect.TypeOf(in).Name()] = true
		if copied(in) == nil {
			t.Errorf("%T is not copied", in)
		}
	}
	files, err := filepath.Glob("core/*.go")
	if err != nil {
		t.Fatal(err)
	}
	of := regexp.MustCompile(`(?m)^func \((\w+)\) input\(\)`)
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range of.FindAllSubmatch(text, -1) {
			if found++; !recorded[string(m[1])] {
				t.Errorf("%s is not recorded", m[1])
			}
		}
	}
	if found != len(recorded) {
		t.Errorf("the core has %d types of inputs, and %d are recorded", found, len(recorded))
	}
}
