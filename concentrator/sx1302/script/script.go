// Package script runs the production test of a board. Its steps are lines of JSON
// in the form of recordings of sx1302_hal, so that it also runs such recordings.
package script

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// Script runs the steps of a test of a board, one line of JSON each, in the form of
// recordings of sx1302_hal: first a line with "config", then calls of start, eui,
// temperature, receive, instcnt, trigcnt, send, status, abort and stop.
type Script struct {
	open        func(sx1302.Config) (*sx1302.Chip, error)
	temperature func() (int32, error)
	chip        *sx1302.Chip
	waiting     []sx1302.Packet // received packets that no call has returned yet
}

// New returns a Script. Its "config" line calls open to make the chip. temperature
// reads the sensor of the board, 1/256 °C; it may be nil.
func New(open func(sx1302.Config) (*sx1302.Chip, error), temperature func() (int32, error)) *Script {
	return &Script{open: open, temperature: temperature}
}

// stepAnswer is the result of a call. RC is -1 for an error.
type stepAnswer struct {
	K     string `json:"k"`
	G     *int   `json:"g,omitempty"`
	Fn    string `json:"fn"`
	Out   any    `json:"out,omitempty"`
	RC    int    `json:"rc"`
	Error string `json:"error,omitempty"` // as text, with what to check
}

// Step runs a line. The result of a call is a line too; other lines have none.
// ErrScript says that the line is not valid. If the chip cannot do what the line
// asks, the answer has rc -1 and an error.
func (s *Script) Step(ctx context.Context, line []byte) (answer []byte, failed bool, err error) {
	var l stepLine
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrScript, err)
	}
	switch {
	case l.Config != nil:
		return nil, false, s.configure(&l, line)
	case recordedKinds[l.K]:
		return nil, false, nil // the rest of a recording, which is ignored
	case l.K != "call" && !(l.K == "" && l.Fn != ""):
		return nil, false, fmt.Errorf("%w: neither \"config\" nor a call: %.60s", ErrScript, line)
	}
	if err := onlyKeys(line, "k", "g", "fn", "args"); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrScript, err)
	}
	if s.chip == nil {
		return nil, false, fmt.Errorf("%w: %s before a line with \"config\"", ErrScript, l.Fn)
	}
	a := stepAnswer{K: "ret", G: l.G, Fn: l.Fn}
	a.Out, a.RC, err = s.call(ctx, &l)
	if errors.Is(err, ErrScript) {
		return nil, false, err
	}
	if err != nil {
		a.RC, a.Error = -1, err.Error()
	}
	answer, err = json.Marshal(a)
	return answer, a.RC < 0, err
}

// recordedKinds are the kinds of lines in a recording beside configuration and
// calls: the signals on the wires, the actions of the emulator, and the results.
var recordedKinds = map[string]bool{
	"started": true, "ret": true, "w": true, "r": true, "radio": true, "sx1261": true, "fw": true, "sleep": true,
	"i2c": true, "usb_ping": true, "usb_status": true, "usb_gpio": true, "usb_spi": true, "mcu_rmw": true,
	"fifo": true, "set": true, "air": true, "final": true,
}

// configure makes the chip that a line describes.
func (s *Script) configure(l *stepLine, line []byte) error {
	if err := onlyKeys(line, "k", "case", "hal", "config", "emulator"); err != nil {
		return fmt.Errorf("%w: %w", ErrScript, err)
	}
	c, err := Config(l.Config)
	if err == nil {
		s.chip, err = s.open(c)
	}
	return err
}

// callKeys are the arguments of each call except send.
var callKeys = map[string][]string{"receive": {"max"}, "status": {"rf_chain"}, "abort": {"rf_chain"}}

// call runs a call.
func (s *Script) call(ctx context.Context, l *stepLine) (out any, rc int, err error) {
	var args struct {
		Max   int   `json:"max"`
		Chain uint8 `json:"rf_chain"`
	}
	if len(l.Args) > 0 && l.Fn != "send" {
		if err := errors.Join(onlyKeys(l.Args, callKeys[l.Fn]...), json.Unmarshal(l.Args, &args)); err != nil {
			return nil, 0, fmt.Errorf("%w: %s: %w", ErrScript, l.Fn, err)
		}
	}
	if args.Chain >= sx1302.Chains {
		return nil, 0, fmt.Errorf("%w: rf_chain %d, must be 0 or 1", ErrScript, args.Chain)
	}
	switch l.Fn {
	case "start":
		s.waiting = nil
		return nil, 0, s.chip.Start(ctx)
	case "stop":
		return nil, 0, s.chip.Stop(ctx)
	case "eui":
		return map[string]string{"eui": strings.ToLower(s.chip.Identity().EUI.String())}, 0, nil
	case "temperature":
		return s.measure()
	case "receive":
		return s.receive(args.Max)
	case "instcnt":
		v, err := s.chip.Counter()
		return map[string]uint32{"count_us": v}, 0, err
	case "trigcnt":
		v, err := s.chip.PulseCounter()
		return map[string]uint32{"count_us": v}, 0, err
	case "send":
		return s.send(ctx, l.Args)
	case "status":
		v, err := s.chip.TxStatus(int(args.Chain))
		return map[string]string{"tx_status": strings.ToUpper(v.String())}, 0, err
	case "abort":
		return nil, 0, s.chip.Abort(ctx, int(args.Chain))
	}
	return nil, 0, fmt.Errorf("%w: there is no call %.40q", ErrScript, l.Fn)
}

func (s *Script) measure() (out any, rc int, err error) {
	if s.temperature == nil {
		return nil, 0, errNoSensor
	}
	t, err := s.temperature()
	if err != nil {
		return nil, 0, err
	}
	s.chip.SetTemperature(t)
	return map[string]float64{"celsius": float64(t) / 256}, 0, nil
}

// send returns 1 for a packet whose channel is in use.
func (s *Script) send(ctx context.Context, raw json.RawMessage) (out any, rc int, err error) {
	var args Send
	if err := strictly(raw, &args); err != nil {
		return nil, 0, fmt.Errorf("%w: send: %w", ErrScript, err)
	}
	t, err := args.Transmission()
	if err != nil {
		return nil, 0, err
	}
	out = map[string]int64{"time_on_air_ms": args.airtime(&t)}
	if err := s.chip.Send(t); err != nil {
		return out, 0, err
	}
	err = s.chip.AwaitLBT(ctx, int(t.Chain))
	if errors.Is(err, sx1302.ErrChannelBusy) {
		return out, 1, nil
	}
	return out, 0, err
}

// Packet is a packet as receive (lgw_receive) returns it.
type Packet struct {
	BwKHz    uint32  `json:"bw_khz"`
	Coding   uint8   `json:"coderate"`
	Count    uint32  `json:"count_us"`
	CRC      uint16  `json:"crc"`
	Datarate uint32  `json:"datarate"`
	Freq     uint32  `json:"freq_hz"`
	Offset   int32   `json:"freq_offset"`
	FTime    uint32  `json:"ftime"`
	HasFTime bool    `json:"ftime_received"`
	IFChain  uint8   `json:"if_chain"`
	Modem    uint8   `json:"modem_id"`
	Mod      string  `json:"modulation"`
	Payload  string  `json:"payload"`
	RFChain  uint8   `json:"rf_chain"`
	RSSIC    float64 `json:"rssic"`
	RSSIS    float64 `json:"rssis"`
	Size     int     `json:"size"`
	SNR      float64 `json:"snr"`
	Status   string  `json:"status"`
}

// receive returns at most this many packets; the next call returns the rest.
func (s *Script) receive(most int) (out any, rc int, err error) {
	if most <= 0 {
		most = 16
	}
	list := []Packet{}
	if len(s.waiting) == 0 {
		packets, err := s.chip.Receive()
		if err != nil {
			return nil, 0, err
		}
		for _, p := range packets {
			p.Payload = slices.Clone(p.Payload)
			s.waiting = append(s.waiting, p)
		}
	}
	n := min(most, len(s.waiting))
	for i := range s.waiting[:n] {
		list = append(list, s.packet(&s.waiting[i]))
	}
	s.waiting = s.waiting[n:]
	return list, n, nil
}

// crcNames are the states of the CRC as sx1302_hal names them.
var crcNames = map[sx1302.CRCStatus]string{
	sx1302.GoodCRC: "CRC_OK", sx1302.BadCRC: "CRC_BAD", sx1302.NoCRC: "NO_CRC",
}

// undefined is the SNR and signal RSSI of FSK frames in sx1302_hal, which then adds
// the offsets of the board.
const undefined = -128

func (s *Script) packet(p *sx1302.Packet) Packet {
	out := Packet{
		BwKHz: p.DataRate.Bandwidth / 1000, Coding: uint8(p.CodingRate), Count: p.Time, CRC: p.PayloadCRC,
		Datarate: uint32(p.DataRate.SpreadingFactor), Freq: uint32(p.Frequency), Offset: p.FrequencyError,
		FTime: p.FineTimestamp, HasFTime: p.HasFineTimestamp, IFChain: p.Channel, Modem: p.Modem, Mod: "LORA",
		Payload: hex.EncodeToString(p.Payload), RFChain: p.Chain, RSSIC: float64(p.RSSI) / 1000,
		RSSIS: float64(p.SignalRSSI) / 1000, Size: len(p.Payload), SNR: float64(p.SNR) / 100,
		Status: crcNames[p.CRC],
	}
	if p.DataRate.Modulation == radio.FSK {
		base := s.chip.RSSICorrection(p.Chain)
		out.Mod, out.BwKHz, out.Datarate = "FSK", 125, p.DataRate.BitRate
		out.SNR, out.RSSIS = undefined, undefined+float64(base)/1000
	}
	return out
}

// errNoSensor is the answer of a board without a temperature sensor.
var errNoSensor = errors.New("sx1302: no STTS751 temperature sensor")
