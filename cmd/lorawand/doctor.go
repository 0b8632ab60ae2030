package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

// finding is what doctor says of one thing.
type finding struct {
	Gateway string `json:"gateway,omitempty"`
	Check   string `json:"check"`
	OK      bool   `json:"ok"`    // nothing is wrong
	State   string `json:"state"` // ok, info or wrong
	Says    string `json:"says"`
	Fix     string `json:"fix,omitempty"`
}

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong, and say how to mend it", Args: noArgs,
		Long: "Look for what is wrong, and say how to mend it. The running daemon gives its list of problems, the one\n" +
			"of the web page. Without a daemon the ports and who holds them, the permissions and the space of the\n" +
			"store are looked at. The chips of concentrators are reset and started, unless the daemon works with\n" +
			"them. The exit status is 1 if something is wrong.",
	}
	asJSON := jsonFlag(cmd)
	report := cmd.Flags().String("report", "",
		"write all that a bug report needs to this `file`, without keys; - is standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		d := &doctor{
			open: newOpener(), plugged: serial.Roots{}.List, line: openLine, wait: sleep, nice: niceBehind,
		}
		d.problems = func(ctx context.Context) ([]problems.Problem, error) { return askProblems(ctx, c) }
		path, _ := config.Find(cmd.Flag("config").Value.String())
		d.configuration(path, &c)
		d.software(cmd.Context(), &c)
		d.faults = func(ctx context.Context) (map[string]string, error) { return gatewayFaults(ctx, c) }
		found := d.examine(cmd.Context(), &c)
		if *report != "" {
			return writeReport(cmd, c, *report, found)
		}
		for _, f := range found {
			if err := f.print(cmd.OutOrStdout(), *asJSON); err != nil {
				return err
			}
			if f.State == wrong {
				err = errUnwell
			}
		}
		return err
	}
	return cmd
}

// States of a finding.
const (
	well  = "ok"
	info  = "info" // nothing is wrong; it may be as it is to be
	wrong = "wrong"
)

// errUnwell is the reason for the exit status.
var errUnwell = errors.New("something is wrong, see above")

func (f *finding) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(f)
	}
	mark, fix := map[string]string{well: "ok   ", info: "info ", wrong: "WRONG"}[f.State], ""
	if f.State == wrong {
		mark = alarm(w, mark)
	}
	if f.Fix != "" {
		fix = "; " + f.Fix
	}
	at := f.Check
	if f.Gateway != "" {
		at = f.Gateway + " " + at
	}
	_, err := fmt.Fprintf(w, "%s %s: %s%s\n", mark, at, f.Says, fix)
	return err
}

// gatewayFaults asks the daemon, if one runs, what is wrong with its gateways; nil: none runs.
func gatewayFaults(ctx context.Context, c config.Config) (map[string]string, error) {
	faults := map[string]string{}
	err := ask(ctx, c, "gateway.list", nil, func(g admin.Gateway) error { faults[g.ID] = g.Fault; return nil })
	if errors.Is(err, admin.ErrNotRunning) {
		return nil, nil
	}
	return faults, err
}

// doctor examines a host.
type doctor struct {
	root    string // of the files of the host; "" is /
	open    opener
	plugged func() []serial.Device
	line    func(device string, baud int) (io.ReadWriteCloser, error) // to a satellite receiver
	faults  func(context.Context) (map[string]string, error)
	// problems are those of the running daemon, or admin.ErrNotRunning.
	problems func(context.Context) ([]problems.Problem, error)
	wait     func(context.Context, time.Duration) bool
	nice     func(socket string) (int, error) // of the daemon that listens there

	offHeader func(line string) string // nil: that of this host

	found   []finding
	gateway string // that is examined
}

// say notes a finding. What is good and has a way to another state is information only.
func (d *doctor) say(check string, ok bool, fix, format string, args ...any) {
	state := wrong
	if ok {
		if state = well; fix != "" {
			state = info
		}
	}
	d.note(check, state, fix, format, args...)
}

// inform notes a finding that is neither good nor wrong.
func (d *doctor) inform(check, fix, format string, args ...any) {
	d.note(check, info, fix, format, args...)
}

func (d *doctor) note(check, state, fix, format string, args ...any) {
	d.found = append(d.found, finding{d.gateway, check, state != wrong, state, fmt.Sprintf(format, args...), fix})
}

// examine looks at everything.
func (d *doctor) examine(ctx context.Context, c *config.Config) []finding {
	running, err := d.faults(ctx)
	d.host()
	if err != nil {
		return d.found // whether the daemon works with the boards is not known; the software half has said why
	}
	n := 0
	for i := range c.Gateways {
		g := &c.Gateways[i]
		if !isOnBoard(*g) {
			continue
		}
		n++
		if d.gateway = g.ID; d.gateway == "" {
			d.gateway = fmt.Sprintf("gateway[%d]", i)
		}
		if running != nil {
			d.told(running, g)
			continue
		}
		d.board(ctx, g)
	}
	if d.gateway = ""; n == 0 {
		d.say("configuration", true, "if there is a concentrator on board, add [[gateway]] with driver = \"sx1302\" "+
			"and a [gateway.sx1302] with its board", "no gateway has a concentrator on board")
	}
	return d.found
}

// told is what the daemon says of a gateway whose chip it works with.
func (d *doctor) told(running map[string]string, g *config.Gateway) {
	fault, known := running[g.ID]
	switch {
	case g.ID != "" && !known:
		d.say("daemon", false, "systemctl reload lorawand", "the daemon does not know it")
	case fault != "":
		d.say("daemon", false, "mend that, or stop the daemon and call doctor again for more", "%s", fault)
	default:
		d.say("daemon", true, "stop the daemon to have its board examined", "the daemon works with it")
	}
}

// host looks for SPI ports and for boards that are plugged in.
func (d *doctor) host() {
	ports, _ := filepath.Glob(d.root + "/dev/spidev*") // whose only error is a bad pattern
	for i := range ports {
		ports[i] = strings.TrimPrefix(ports[i], d.root)
	}
	switch boot := d.bootConfig(); {
	case len(ports) > 0:
		d.say("SPI", true, "", "%s", strings.Join(ports, ", "))
	case boot != "":
		d.say("SPI", true, fmt.Sprintf("for a board on SPI write dtparam=spi=on into %s and reboot", boot), "no /dev/spidev*")
	default:
		d.say("SPI", true, "for a board on SPI switch its port on in the device tree of this host, "+
			"and load the module spidev", "no /dev/spidev*")
	}
	var usb []string
	for _, p := range d.plugged() {
		usb = append(usb, p.Path)
	}
	if len(usb) == 0 {
		d.say("USB", true, "for a board on USB plug it in; lsusb shows it as 0483:5740", "no USB bridge")
		return
	}
	d.say("USB", true, "", "%s", strings.Join(usb, ", "))
}

// bootConfig returns the file in which a Raspberry Pi's SPI is switched on, and is not; "":
// there is none.
func (d *doctor) bootConfig() string {
	for _, path := range []string{"/boot/firmware/config.txt", "/boot/config.txt"} {
		text, err := os.ReadFile(d.root + path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == "dtparam=spi=on" {
				return ""
			}
		}
		return path
	}
	return ""
}

// board opens the board of a gateway and starts its chip.
func (d *doctor) board(ctx context.Context, g *config.Gateway) {
	conf := config.SX1302{}
	if g.SX1302 != nil {
		conf = *g.SX1302
	}
	c, err := conf.Concentrator(g.FrequencyPlan)
	if err != nil {
		d.say("configuration", false, "lorawand config check", "%v", err)
		return
	}
	d.receiver(ctx, c.GNSS)
	d.lines(&c.Board)
	b := &workbench{keys: conf, Concentrator: c, plan: g.FrequencyPlan, way: d.open}
	h, err := b.open()
	if err != nil {
		d.say("board", false, d.fix(err), "%v", err)
		_, err := sx1302.LoadFirmware(conf.Firmware, c.Chip)
		d.outcome("firmware", err, "all programs of the chip are there")
		return
	}
	defer h.Close()
	firmware, err := h.Firmware()
	d.outcome("firmware", err, "all programs of the chip are there")
	missing := err != nil
	chip, err := b.chip(h, firmware)
	if err != nil {
		d.say("board", false, "", "%v", err)
		return
	}
	id, err := chip.Probe(ctx)
	if err != nil {
		d.outcome("bus", b.explain(err), "")
		return
	}
	d.say("bus", true, "", "%s %s, version 0x%02x, on %s", id.Model, id.EUI, id.Version, h.Conn)
	if missing {
		return
	}
	if err := chip.Start(ctx); err != nil {
		d.outcome("start", b.explain(err), "")
		return
	}
	d.say("start", true, "", "radios and programs have started")
	d.runs(ctx, chip, h, c.GNSS != "")
	if c.Chip.Spectrum {
		d.outcome("SX1261", chip.SpectrumFault(), "it can measure the noise floor")
	}
	d.outcome("stop", chip.Stop(ctx), "")
}

// outcome says what has failed, or what is good if there is something to say.
func (d *doctor) outcome(check string, err error, good string) {
	if err != nil {
		d.say(check, false, d.fix(err), "%v", err)
	} else if good != "" {
		d.say(check, true, "", "%s", good)
	}
}

// fix returns what to do about an error, where that does not say so itself.
func (d *doctor) fix(err error) string {
	boot := d.bootConfig()
	switch {
	case errors.Is(err, os.ErrPermission):
		return permissionFix(err)
	case errors.Is(err, serial.ErrNoBridge):
		return "plug the board in; lsusb shows it as 0483:5740"
	case errors.Is(err, os.ErrNotExist) && boot != "":
		return fmt.Sprintf("write dtparam=spi=on into %s and reboot", boot)
	case errors.Is(err, os.ErrNotExist):
		return "attach the board; for one on SPI switch the port on in the device tree of this host, and load the " +
			"module spidev"
	case errors.Is(err, sx1302.ErrNoChip):
		return "seat the board anew; try another reset line (concentrator reset shows which one is used)"
	}
	return ""
}

// between is how long the counter and the pulses are watched.
const between = 2500 * time.Millisecond

// runs looks at the chip at work: sensor, counter, pulses.
func (d *doctor) runs(ctx context.Context, chip *sx1302.Chip, h *board.Hardware, gnss bool) {
	if h.Temperature == nil {
		d.inform("temperature", "", "the board has no sensor: 25 °C is taken, and the RSSI may be off by 2 dB")
	} else if t, err := h.Temperature(); err != nil {
		d.inform("temperature", "", "%v: 25 °C is taken, and the RSSI may be off by 2 dB", err)
	} else {
		d.say("temperature", true, "", "%.1f °C", float64(t)/256)
	}
	counter, err := chip.Counter()
	pulse, pulseErr := chip.PulseCounter()
	if err = errors.Join(err, pulseErr); err != nil || !d.wait(ctx, between) {
		d.outcome("counter", err, "")
		return
	}
	later, err := chip.Counter()
	pulseLater, pulseErr := chip.PulseCounter()
	switch err = errors.Join(err, pulseErr); {
	case err != nil:
		d.outcome("counter", err, "")
	case later == counter:
		d.say("counter", false, "check the supply: the radio that gives the clock does not run", "the counter stands still")
	default:
		d.say("counter", true, "", "the counter runs")
	}
	if pulse == pulseLater && gnss {
		d.say("pulse", false, "give the receiver's antenna a view of the sky; then look whether the board connects its PPS "+
			"to the SX1302", "no pulse each second")
		return
	}
	if pulse == pulseLater {
		d.say("pulse", true, "fine timestamps and Class B need a GNSS receiver with a fix", "no pulse each second")
		return
	}
	d.say("pulse", true, "", "a pulse each second is seen")
}
