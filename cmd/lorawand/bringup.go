package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/script"
	"lorawand/radio"
)

// receivePoll is the interval at which the chip is asked for received frames.
const receivePoll = 10 * time.Millisecond

func newConcentratorListen() *cobra.Command {
	var f boardFlags
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Start the concentrator and print every frame that it hears, of any network", Args: noArgs,
	}
	cmd.Flags().DurationVar(&duration, "duration", 0, "stop after this `time` (default: with Ctrl-C)")
	asJSON := jsonFlag(cmd)
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		b, err := f.find(cmd)
		if err != nil {
			return err
		}
		chip, h, err := b.start(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stop(chip, h)) }()
		id := chip.Identity()
		fmt.Fprintf(cmd.ErrOrStderr(), "%s %s listens on %s; Ctrl-C ends it\n", id.Model, id.EUI, b.plan)
		ctx := cmd.Context()
		if duration > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, duration)
			defer cancel()
		}
		return b.explained(listen(ctx, chip, cmd.OutOrStdout(), *asJSON))
	}
	return cmd
}

// listen prints the received frames until ctx ends.
func listen(ctx context.Context, chip *sx1302.Chip, w io.Writer, asJSON bool) error {
	for {
		packets, err := chip.Receive()
		if err != nil {
			return err
		}
		for i := range packets {
			if err := printPacket(w, &packets[i], asJSON); err != nil {
				return err
			}
		}
		if !sleep(ctx, receivePoll) {
			return nil
		}
	}
}

// heardPacket is a frame in the output of listen --json.
type heardPacket struct {
	Count     uint32          `json:"count_us"`
	Frequency radio.Frequency `json:"frequency"` // Hz
	DataRate  string          `json:"data_rate"`
	Channel   uint8           `json:"if_chain"`
	RSSI      float64         `json:"rssi"`
	SNR       float64         `json:"snr"`
	Offset    int32           `json:"frequency_offset"` // Hz
	CRC       string          `json:"crc"`
	Payload   string          `json:"payload"`
}

func printPacket(w io.Writer, p *sx1302.Packet, asJSON bool) error {
	h := heardPacket{
		Count: p.Time, Frequency: p.Frequency, DataRate: p.DataRate.String(), Channel: p.Channel,
		RSSI: float64(p.RSSI) / 1000, SNR: float64(p.SNR) / 100,
		Offset: p.FrequencyError, CRC: p.CRC.String(), Payload: hex.EncodeToString(p.Payload),
	}
	if asJSON {
		return json.NewEncoder(w).Encode(h)
	}
	_, err := fmt.Fprintf(w, "%10d µs  %v  %s  %.1f dBm  SNR %.2f dB  %+d Hz  CRC %s  %d bytes %s\n",
		h.Count, h.Frequency, h.DataRate, h.RSSI, h.SNR, h.Offset, h.CRC, len(p.Payload), h.Payload)
	return err
}

// stop ends the transmission and closes the board.
func (b *workbench) stop(chip *sx1302.Chip, h *board.Hardware) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(chip.Stop(ctx), h.Close())
}

// whileOnAir returns a context that also ends with the terminal or the reader of
// the output. By default that would end the process and leave a carrier on the air.
func whileOnAir(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGPIPE)
}

// explained is explain for an error that may be nil.
func (b *workbench) explained(err error) error {
	if err == nil {
		return nil
	}
	return b.explain(err)
}

// transmitFlags describe the frames to send.
type transmitFlags struct {
	frequency, power     float64
	dataRate, payload    string
	count, chain, offset int
	interval             time.Duration
	carrier, downlink    bool
}

func newConcentratorTransmit() *cobra.Command {
	var f boardFlags
	var o transmitFlags
	cmd := &cobra.Command{
		Use: "transmit", Short: "Start the concentrator and send test frames, or a carrier", Args: noArgs,
		Long: "Start the concentrator and send test frames, or a bare carrier for measurements. This command\n" +
			"enforces no duty cycle: you are responsible for what is sent.",
	}
	fl := cmd.Flags()
	fl.Float64Var(&o.frequency, "frequency", 0, "`MHz` (required)")
	fl.StringVar(&o.dataRate, "data-rate", "SF7BW125", "`data rate`, as SF12BW125, or bit/s of FSK")
	fl.Float64Var(&o.power, "tx-power", 14, "`dBm` at the antenna connector")
	fl.StringVar(&o.payload, "payload", "6c6f726177616e64", "`bytes` in hexadecimal")
	fl.IntVar(&o.count, "count", 1, "`number` of frames, 1 to 10000")
	fl.DurationVar(&o.interval, "interval", time.Second, "`time` from one frame to the next")
	fl.IntVar(&o.chain, "chain", 0, "`radio`, 0 or 1")
	fl.BoolVar(&o.downlink, "downlink", false, "send like a gateway: inverted polarity, no CRC")
	fl.BoolVar(&o.carrier, "carrier", false, "send a bare carrier, as long as --interval")
	fl.IntVar(&o.offset, "offset", 0, "`kHz` from the frequency to the carrier")
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		t, err := o.transmission()
		if err != nil {
			return usage(err)
		}
		b, err := f.find(cmd)
		if err != nil {
			return err
		}
		ctx, cancel := whileOnAir(cmd.Context())
		defer cancel()
		chip, h, err := b.start(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stop(chip, h)) }()
		return b.explained(o.send(ctx, chip, t, cmd.OutOrStdout()))
	}
	return cmd
}

func (o *transmitFlags) transmission() (sx1302.Transmission, error) {
	t := sx1302.Transmission{
		Chain: uint8(o.chain), Frequency: radio.Frequency(math.Round(o.frequency * 1e6)), CodingRate: radio.CodingRate45,
		Power: radio.Decibel(math.Round(o.power * 100)), NoCRC: o.downlink, InvertPolarity: o.downlink, Deviation: 25_000,
		Carrier: o.carrier, CarrierOffset: int32(o.offset) * 1000,
	}
	switch {
	case !(o.frequency >= 100 && o.frequency <= 1000):
		return t, fmt.Errorf("--frequency: %v MHz, must be 100 to 1000", o.frequency)
	case o.count < 1 || o.count > 10_000:
		return t, fmt.Errorf("--count: %d, must be 1 to 10000", o.count)
	case o.chain < 0 || o.chain > 1:
		return t, fmt.Errorf("--chain: %d, must be 0 or 1", o.chain)
	case o.interval <= 0 || o.interval > time.Hour:
		return t, fmt.Errorf("--interval: %v, must be above 0 and at most 1h", o.interval)
	case !(math.Abs(o.power) <= 40):
		return t, fmt.Errorf("--tx-power: %v dBm, must be -40 to 40", o.power)
	case o.offset < -200 || o.offset > 200:
		return t, fmt.Errorf("--offset: %d kHz, must be -200 to 200", o.offset)
	}
	var err error
	if t.DataRate, err = parseDataRate(o.dataRate); err != nil {
		return t, err
	}
	if t.Payload, err = parseHex(o.payload); err != nil || len(t.Payload) == 0 || len(t.Payload) > 255 {
		return t, fmt.Errorf("--payload: must be 1 to 255 bytes in hexadecimal")
	}
	return t, nil
}

// parseDataRate reads "SF7BW125", or a bit rate of FSK.
func parseDataRate(text string) (radio.DataRate, error) {
	if rate, err := strconv.ParseUint(text, 10, 32); err == nil {
		return radio.FSKDataRate(uint32(rate)), nil
	}
	sf, bw, ok := strings.Cut(strings.TrimPrefix(strings.ToUpper(text), "SF"), "BW")
	n, errSF := strconv.ParseUint(sf, 10, 8)
	khz, errBW := strconv.ParseUint(bw, 10, 16)
	if !ok || errSF != nil || errBW != nil {
		return radio.DataRate{}, fmt.Errorf("--data-rate: %.40q, must be as SF7BW125, or a bit rate", text)
	}
	return radio.LoRaDataRate(uint8(n), uint32(khz)*1000), nil
}

// send sends the frames and prints the result of each.
func (o *transmitFlags) send(ctx context.Context, chip *sx1302.Chip, t sx1302.Transmission, w io.Writer) error {
	if o.carrier {
		if err := chip.Send(t); err != nil {
			return err
		}
		fmt.Fprintf(w, "carrier on %v for %v\n", t.Frequency, o.interval)
		sleep(ctx, o.interval)
		return chip.Abort(context.WithoutCancel(ctx), o.chain)
	}
	for n := range o.count {
		began := time.Now()
		if err := chip.Send(t); err != nil {
			return err
		}
		outcome := fmt.Sprintf("sent on %v at %v with up to %v dBm", t.Frequency, t.DataRate, t.Power)
		err := chip.AwaitLBT(ctx, o.chain)
		if errors.Is(err, sx1302.ErrChannelBusy) {
			outcome, err = "not sent: its channel is busy", nil
		}
		if err := errors.Join(err, sent(ctx, chip, o.chain)); err != nil {
			return fmt.Errorf("frame %d: %w", n+1, err)
		}
		fmt.Fprintf(w, "frame %d of %d %s\n", n+1, o.count, outcome)
		if n+1 < o.count && !sleep(ctx, o.interval-time.Since(began)) {
			return nil
		}
	}
	return nil
}

// sentWithin is longer than any frame.
const sentWithin = 15 * time.Second

// sent waits until a transmitter is free.
func sent(ctx context.Context, chip *sx1302.Chip, chain int) error {
	for end := time.Now().Add(sentWithin); ; {
		state, err := chip.TxStatus(chain)
		switch {
		case err != nil:
			return err
		case state == sx1302.TxFree:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("the transmitter is still %s after %v; check the power supply and the antenna", state, sentWithin)
		case !sleep(ctx, time.Millisecond):
			return ctx.Err()
		}
	}
}

func newConcentratorScript() *cobra.Command {
	var f boardFlags
	cmd := &cobra.Command{
		Use: "script FILE", Short: "Run a board's test, step by step",
		Long: "Run the steps of FILE (- is the standard input), one line of JSON each: a line with \"config\" that\n" +
			"sets the chip up, then calls such as {\"k\":\"call\",\"fn\":\"start\"}. Each result is printed as a line of\n" +
			"JSON, with rc -1 and the reason for what failed; the exit status is 1 then. Other lines are skipped,\n" +
			"so recordings of sx1302_hal run unchanged.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("no file given"))
			}
			b, err := f.find(cmd)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				in = file
			}
			ctx, cancel := whileOnAir(cmd.Context())
			defer cancel()
			return b.script(ctx, args[0], in, cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	return cmd
}

// maxScriptLine limits the lines of a script, bytes.
const maxScriptLine = 1 << 20

// script runs the lines of a script until its end or the end of ctx. It leaves
// nothing on the air.
func (b *workbench) script(ctx context.Context, name string, in io.Reader, out io.Writer) (err error) {
	h, err := b.open()
	if err != nil {
		return err
	}
	var chip *sx1302.Chip
	defer func() {
		if chip == nil {
			err = errors.Join(err, h.Close())
			return
		}
		err = errors.Join(err, b.stop(chip, h))
	}()
	steps := script.New(func(c sx1302.Config) (*sx1302.Chip, error) {
		b.Chip = c
		firmware, err := h.Firmware()
		if err != nil {
			return nil, err
		}
		next, err := b.chip(h, firmware)
		if err != nil {
			return nil, err
		}
		if chip != nil {
			err = chip.Stop(context.WithoutCancel(ctx))
		}
		chip = next
		return chip, err
	}, h.Temperature)
	failures, first := 0, 0
	err = eachLine(ctx, in, func(n int, line []byte) error {
		answer, failed, err := steps.Step(ctx, line)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", name, n, err)
		}
		if answer != nil {
			fmt.Fprintf(out, "%s\n", answer)
		}
		if failed {
			failures++
			first = cmp.Or(first, n)
		}
		return nil
	})
	if failures > 0 {
		err = errors.Join(err, b.explain(fmt.Errorf("%s: %d steps failed, the first in line %d", name, failures, first)))
	}
	return err
}

// eachLine calls do with each line that is not blank, and its number, until do
// fails, the lines end or ctx ends. A pipe or a terminal may block a reader for
// ever, so another goroutine reads.
func eachLine(ctx context.Context, in io.Reader, do func(n int, line []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte)
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxScriptLine)
	go func() {
		defer close(lines)
		for scanner.Scan() {
			select {
			case lines <- bytes.Clone(scanner.Bytes()):
			case <-ctx.Done():
				return
			}
		}
	}()
	for n := 1; ctx.Err() == nil; n++ {
		select {
		case <-ctx.Done():
		case line, more := <-lines:
			if !more {
				return scanner.Err()
			}
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if err := do(n, line); err != nil {
				return err
			}
		}
	}
	return nil
}
