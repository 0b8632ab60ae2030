package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// simBoard is a board with a model of the chip on an air.
func simBoard(t *testing.T, a *air.Air, o sx1302test.Options) *workbench {
	t.Helper()
	sim := &simulation{air: a, chip: o}
	b := &workbench{keys: config.SX1302{Board: "rak2287"}, plan: "EU_863_870_TTN", way: sim.open}
	var err error
	if b.Concentrator, err = b.keys.Concentrator(b.plan); err != nil {
		t.Fatal(err)
	}
	return b
}

// A board hears what another one sends, and what devices send.
func TestListenAndTransmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := air.New(1)
		b := simBoard(t, a, sx1302test.Options{EUI: chipEUI})
		plan, err := region.Lookup(b.plan)
		if err != nil {
			t.Fatal(err)
		}
		v, err := a.Device(air.DeviceOptions{
			Name: "dev", Plan: plan, DataRate: 3,
			RootKeys: frame.RootKeys{AppKey: frame.Key{1}}, RSSI: -8040, SNR: -550,
		})
		if err != nil {
			t.Fatal(err)
		}
		var heard []air.Transmission
		a.Log(func(tx air.Transmission) { heard = append(heard, tx) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		chip, h, err := b.start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		checkListens(t, chip, v)
		var text bytes.Buffer
		o := transmitFlags{
			frequency: 868.1, dataRate: "sf8bw125", power: 16, payload: "aabb", count: 3,
			interval: 2 * time.Second, downlink: true,
		}
		tx, err := o.transmission()
		if err != nil {
			t.Fatal(err)
		}
		if err := o.send(ctx, chip, tx, &text); err != nil || !strings.Contains(text.String(),
			"frame 3 of 3 sent on 868.1 MHz at SF8BW125 with up to 16 dBm") {
			t.Errorf("%v, %s", err, text.String())
		}
		if err := b.stop(chip, h); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(heard) != 3 || heard[2].Begin.Sub(heard[0].Begin).Round(time.Second) != 4*time.Second ||
			heard[0].Frequency != 868_100_000 || heard[0].Power != 1600 ||
			heard[0].DataRate != radio.LoRaDataRate(8, 125_000) || !bytes.Equal(heard[0].PHYPayload, []byte{0xAA, 0xBB}) ||
			heard[0].Uplink {
			t.Errorf("on the air: %+v", heard)
		}
	})
}

// checkListens lets a device join twice, and reads what listen prints of it.
func checkListens(t *testing.T, chip *sx1302.Chip, v *air.Device) {
	t.Helper()
	for _, tt := range []struct {
		json bool
		want []string
	}{
		{false, []string{"SF9BW125", "-80.4 dBm", "SNR -5.50 dB", "CRC good", "23 bytes 00"}},
		{true, []string{`"data_rate":"SF9BW125","if_chain":`}},
	} {
		if _, err := v.Join(); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		if err := listen(ctx, chip, &out, tt.json); err != nil {
			t.Fatal(err)
		}
		stop()
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in %s", want, out.String())
			}
		}
	}
}

func TestConcentratorErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		chip sx1302test.Options
		says string
	}{
		"nothing there": {
			sx1302test.Options{Version: 0xFF},
			"version 0xff on sx1302test; check the power and the reset line of the board, the device node, and whether " +
				"another program holds the bus (rak2287: SPI /dev/spidev0.0, reset header:17)",
		},
		"never reset":     {sx1302test.Options{Version: 0x05}, "check the reset GPIO"},
		"no clock":        {sx1302test.Options{NoClock: true}, "clock"},
		"firmware is ill": {sx1302test.Options{Hang: true}, "AGC"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := simBoard(t, air.New(1), tt.chip)
				if _, _, err := b.start(t.Context()); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, want %q", err, tt.says)
				}
			})
		})
	}
}

func TestTransmitFlags(t *testing.T) {
	good := transmitFlags{frequency: 868.1, dataRate: "50000", power: 14, payload: "00", count: 1, interval: time.Second}
	if tx, err := good.transmission(); err != nil || tx.DataRate != radio.FSKDataRate(50_000) {
		t.Errorf("%+v, %v", tx, err)
	}
	for name, change := range map[string]func(*transmitFlags){
		"--frequency": func(o *transmitFlags) { o.frequency = 868_100_000 },
		"--count":     func(o *transmitFlags) { o.count = 0 },
		"--chain":     func(o *transmitFlags) { o.chain = 2 },
		"--interval":  func(o *transmitFlags) { o.interval = 0 },
		"--tx-power":  func(o *transmitFlags) { o.power = 100 },
		"--offset":    func(o *transmitFlags) { o.offset = 300 },
		"--data-rate": func(o *transmitFlags) { o.dataRate = "DR5" },
		"--payload":   func(o *transmitFlags) { o.payload = "xyz" },
	} {
		o := good
		change(&o)
		if _, err := o.transmission(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A recording of the reference runs as a script.
func TestConcentratorScript(t *testing.T) {
	f, err := os.Open("../../concentrator/sx1302/testdata/start_eu868.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	recording, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		run := func(script string) (string, error) {
			var out bytes.Buffer
			b := simBoard(t, air.New(1), sx1302test.Options{EUI: chipEUI})
			plugIn := b.way
			b.way = func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
				h, err := plugIn(s, c)
				h.Temperature = nil // a board without a sensor
				return h, err
			}
			err := b.script(t.Context(), "test.jsonl", strings.NewReader(script), &out)
			return out.String(), err
		}
		out, err := run(string(recording))
		for _, want := range []string{
			`"fn":"start","rc":0}`, `"fn":"eui","out":{"eui":"0016c001f1234567"},"rc":0}`, `"fn":"receive","out":[],"rc":0}`,
			`"fn":"temperature","rc":-1,"error":"sx1302: no STTS751 temperature sensor"}`, `"fn":"stop","rc":0}`,
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %s in %s", want, out)
			}
		}
		if err == nil || !strings.Contains(err.Error(), "test.jsonl: 1 steps failed, the first in line") {
			t.Errorf("%v", err)
		}
		if _, err := run("\n\nnonsense\n"); err == nil || !strings.Contains(err.Error(), "test.jsonl: line 3: ") {
			t.Errorf("%v", err)
		}
	})
}

// carrierScript leaves a carrier on the air.
const carrierScript = `{"config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,"freq_hz":867500000,"type":"sx1250","tx_enable":true},` +
	`{"set":"txgain","rf_chain":0,"lut":[{"rf_power":14,"pa_gain":1,"pwr_idx":5}]}]}
{"k":"call","fn":"start"}
{"k":"call","fn":"send","args":{"modulation":"CW","mode":"immediate","freq_hz":868100000,"rf_power":14,"rf_chain":0}}
`

// However a script ends, the chip is silent then.
func TestScriptLeavesNoCarrier(t *testing.T) {
	for name, tt := range map[string]struct {
		last string // line
		end  func(in *io.PipeWriter, cancel context.CancelFunc)
		says string
	}{
		"end of the file":    {end: func(in *io.PipeWriter, _ context.CancelFunc) { in.Close() }},
		"interrupt":          {end: func(_ *io.PipeWriter, cancel context.CancelFunc) { cancel() }},
		"mistyped call":      {last: `{"k":"call","fn":"recieve"}`, says: `line 4: sx1302: script: there is no call "recieve"`},
		"another set-up":     {last: `{"config":[{"set":"board","clksrc":0},{"set":"rxrf","rf_chain":0,"freq_hz":867500000,"type":"sx1250"}]}`, end: func(in *io.PipeWriter, _ context.CancelFunc) { in.Close() }},
		"set-up of no sense": {last: `{"config":[{"set":"nothing"}]}`, says: "line 4: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				var model *sx1302test.Chip
				sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI}, made: func(c *sx1302test.Chip) {
					model = c
				}}
				b := simBoard(t, sim.air, sim.chip)
				b.way = sim.open
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, w := io.Pipe()
				defer w.Close()
				done := make(chan error, 1)
				go func() { done <- b.script(ctx, "test.jsonl", r, &out) }()
				if _, err := io.WriteString(w, carrierScript); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				sent := model.Emissions()
				if len(sent) != 1 || sent[0].Cut {
					t.Fatalf("no carrier on the air: %+v, %s", sent, out.String())
				}
				if tt.last != "" {
					if _, err := io.WriteString(w, tt.last+"\n"); err != nil {
						t.Fatal(err)
					}
				}
				if tt.end != nil {
					tt.end(w, cancel)
				}
				select {
				case err := <-done:
					if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
						t.Errorf("%v, want %q", err, tt.says)
					}
				case <-time.After(5 * time.Second):
					t.Error("does not end")
				}
				if sent = model.Emissions(); len(sent) != 1 || !sent[0].Cut {
					t.Errorf("the carrier is still on the air: %+v", sent)
				}
			})
		})
	}
}

// A terminal that is lost ends what is on the air as Ctrl-C does.
func TestWhileOnAir(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
		ctx, cancel := whileOnAir(t.Context())
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Errorf("%v does not end it", s)
		}
		cancel()
	}
}
