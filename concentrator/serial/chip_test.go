package serial_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"lorawand/concentrator/serial"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/script"
	"lorawand/concentrator/sx1302/sx1302test"
)

// settings are those of a recording.
func settings(t *testing.T, meta record) sx1302.Config {
	t.Helper()
	var list []script.Setting
	if err := json.Unmarshal(meta.Config, &list); err != nil {
		t.Fatal(err)
	}
	c, err := script.Config(list)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bridged is a chip behind a bridge that tells what it is asked.
type bridged struct {
	requests [][]byte
	chip     *sx1302.Chip
	model    *sx1302test.Chip
	bridge   *serial.Bridge
}

func newBridged(t *testing.T, c sx1302.Config) *bridged {
	t.Helper()
	x := &bridged{model: sx1302test.New(sx1302test.Options{EUI: [8]byte{0, 0x16, 0xC0, 1, 0xF1, 0x23, 0x45, 0x67}})}
	far := serialtest.New(serialtest.Board{
		SX1302: x.model, SX1261: x.model.SX1261(), Reset: x.model.Reset, Celsius: func() uint16 { return 3150 },
		Observe: func(request []byte) { x.requests = append(x.requests, bytes.Clone(request)) },
	})
	var err error
	if x.bridge, err = serial.New(far.Memory(), serial.Options{Name: "memory"}); err != nil {
		t.Fatal(err)
	}
	x.chip, err = sx1302.New(x.bridge, c, sx1302.Options{
		Firmware: sx1302.Firmware{
			AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB), SX1261: sx1302test.Patch(),
		},
		SX1261: x.bridge.SX1261(),
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestChipRequests has the driver of the chip start a board of a recording and send what
// was sent there, and compares its requests with those of the reference, byte for byte but
// for their numbers. Settings may come in another order, and programs are not in the
// recording; what the driver asks besides is listed.
func TestChipRequests(t *testing.T) {
	eachRecording(t, func(t *testing.T, all []record) {
		x := newBridged(t, settings(t, all[0]))
		for _, r := range all {
			if r.K != "call" {
				continue
			}
			sent := len(x.requests)
			switch r.Fn {
			case "start":
				if err := x.chip.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				compareSets(t, x.requests[2:], recordedIn(t, all, "start", "eui"))
			case "send":
				var args script.Send
				if err := json.Unmarshal(r.Args, &args); err != nil {
					t.Fatal(err)
				}
				tx, err := args.Transmission()
				if err != nil {
					t.Fatal(err)
				}
				if err := x.chip.Send(tx); err != nil {
					t.Fatal(err)
				}
				compareSend(t, x.requests[sent:], recordedIn(t, all, "send"))
			}
		}
	})
}

// recordedIn returns the requests to the SPI bus during calls of some functions, without
// numbers.
func recordedIn(t *testing.T, all []record, functions ...string) (out []string) {
	t.Helper()
	in := false
	for _, r := range all {
		switch {
		case r.K == "call":
			in = slices.Contains(functions, r.Fn)
		case in && r.K == "usb_spi":
			out = append(out, string(unhex(t, r.Header)[1:])+string(unhex(t, r.Req)))
		}
	}
	return out
}

// besides are requests that the driver makes and the reference does not: which model the
// chip is, and a stop of what an earlier process may have left running, of modems (5605), of
// what drives the radios (5601) and of transmitters (5200, 5400).
var besides = []string{
	"000905000100000400e180d0", "000605000256010808", "000605000256050800",
	"000605000252000100", "000605000252000200", "000605000252000400", "000605000254000100", "000605000254000200",
	"000605000254000400",
}

// reads reports whether a request, without number, does no more than read registers: what is
// checked is up to the driver.
func reads(request string) bool {
	return len(request) > 10 && request[2] == 5 && request[4] == 1 && request[8] == 0 && request[9]&writeBit == 0
}

// compareSets compares requests but for their order and those that only read registers.
func compareSets(t *testing.T, requests [][]byte, recorded []string) {
	t.Helper()
	counts := map[string]int{}
	for _, r := range requests {
		key := string(r[1:])
		if len(r) > 4000 {
			key = key[:3] // a program
		}
		counts[key]++
	}
	for _, r := range besides {
		counts[string(unhex(t, r))]--
	}
	for _, r := range recorded {
		counts[r]--
	}
	for key, n := range counts {
		if n != 0 && !reads(key) {
			t.Errorf("request %x: %+d than recorded", key, n)
		}
	}
}

// compareSend compares what is sent for a packet: the state of the transmitter is asked for
// first, then all else is one request.
func compareSend(t *testing.T, requests [][]byte, recorded []string) {
	t.Helper()
	if len(requests) != 2 || len(recorded) != 1 {
		t.Fatalf("%d requests, %d recorded", len(requests), len(recorded))
	}
	if got := string(requests[1][1:]); got != recorded[0] {
		t.Errorf("sent\n%x, want\n%x", got, recorded[0])
	}
}

// TestPolls: a poll that finds nothing is one request.
func TestPolls(t *testing.T) {
	eachRecording(t, func(t *testing.T, all []record) {
		x := newBridged(t, settings(t, all[0]))
		if err := x.chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := len(x.requests)
		for range 10 {
			if packets, err := x.chip.Receive(); err != nil || len(packets) > 0 {
				t.Fatal(packets, err)
			}
		}
		if got := len(x.requests) - before; got != 10 {
			t.Errorf("%d requests for 10 polls", got)
		}
		heard := sx1302test.Frame{Payload: []byte("heard"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
		x.model.Deliver(heard.Record())
		if packets, err := x.chip.Receive(); err != nil || len(packets) != 1 || string(packets[0].Payload) != "heard" {
			t.Errorf("%+v, %v", packets, err)
		}
	})
}
