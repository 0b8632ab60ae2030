package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
)

func newFormatter() *cobra.Command {
	return group("formatter", "Try payload formatters", newFormatterTest())
}

// formatterFlags describe the test of a formatter.
type formatterFlags struct {
	port           uint8
	hex            string
	encode         string
	decodeDownlink bool
	strict         bool
	json           *bool
}

func newFormatterTest() *cobra.Command {
	var f formatterFlags
	cmd := &cobra.Command{
		Use: "test FILE.js|cayennelpp|APPLICATION/DEVICE", Short: "Run a payload formatter with the limits of the daemon",
		Long: "Run a payload formatter on one payload, as the daemon runs it: a script in a child process that can\n" +
			"do nothing but compute, with a deadline and little memory. Prints its result, its warnings, its\n" +
			"output of console.log, and the time and memory that it takes. Without --encode or --decode-downlink\n" +
			"the payload is an uplink.\n\n" +
			"For a device its own formatter is run, or the one of its application or its maker, by the daemon if\n" +
			"one runs.",
		Example: "lorawand formatter test decoder.js --port 1 --hex 0167\n" +
			"lorawand formatter test app1/dev1 --hex 0167\n" +
			"lorawand formatter test cayennelpp --hex 03670110\n" +
			"lorawand formatter test decoder.js --port 9 --encode '{\"on\": true}'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("formatter test needs one script, device, or cayennelpp"))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.Uint8Var(&f.port, "port", 1, "FPort")
	flags.StringVar(&f.hex, "hex", "", "FRMPayload in `hexadecimal` digits")
	flags.StringVar(&f.encode, "encode", "", "encode a downlink of this decoded_payload, a `JSON` object")
	flags.BoolVar(&f.decodeDownlink, "decode-downlink", false, "decode a downlink")
	flags.BoolVar(&f.strict, "strict", false, "for CayenneLPP: know only the types of The Things Stack")
	f.json = jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := f.request()
		if err != nil {
			return err
		}
		if id, ok := namedDevice(args[0]); ok {
			return f.tryDevice(cmd, id, r)
		}
		if r.Formatter, err = f.formatter(args[0]); err != nil {
			return err
		}
		c, err := loadConfig(cmd)
		if errors.Is(err, fs.ErrPermission) {
			c, err = config.Default(), nil // a script can be tried without rights
		}
		if err != nil {
			return err
		}
		return tryFormatter(cmd.Context(), c, cmd.OutOrStdout(), r, *f.json)
	}
	return cmd
}

// namedDevice reads APPLICATION/DEVICE. A file with this name has precedence.
func namedDevice(name string) (id session.ID, ok bool) {
	id.Application, id.Device, ok = strings.Cut(name, "/")
	if !ok || session.CheckID(id.Application) != nil || session.CheckID(id.Device) != nil {
		return id, false
	}
	_, err := os.Stat(name)
	return id, err != nil
}

// tryDevice asks the daemon to try the formatter of a device.
func (f *formatterFlags) tryDevice(cmd *cobra.Command, id session.ID, r formatter.Request) error {
	if f.strict {
		return usage(errors.New("--strict: only for cayennelpp"))
	}
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	args := admin.TestFormatterArgs{
		DeviceArgs: admin.DeviceArgs{Application: id.Application, Device: id.Device},
		Task:       r.Task, FPort: r.FPort, Bytes: r.Bytes, Data: r.Data,
	}
	return operate(cmd.Context(), c, "formatter.test", args, func(t admin.TestedFormatter) error {
		if !*f.json {
			fmt.Fprintf(cmd.OutOrStdout(), "%v: %s\n", id, formatterText(&t.Formatter))
		}
		return printTried(cmd.OutOrStdout(), r, t.First, t.Again, *f.json)
	})
}

// request returns the request in the flags for a formatter that is not known yet.
func (f *formatterFlags) request() (formatter.Request, error) {
	r := formatter.Request{Task: formatter.DecodeUplink, FPort: f.port, Received: time.Now(), Measure: true}
	var err error
	if r.Bytes, err = parseHex(f.hex); err != nil {
		return r, usage(fmt.Errorf("--hex: %w", err))
	}
	switch {
	case f.encode != "" && (f.decodeDownlink || f.hex != ""):
		return r, usage(errors.New("--encode: neither with --hex nor with --decode-downlink"))
	case f.encode != "":
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(f.encode), &object) != nil {
			return r, usage(errors.New("--encode: not a JSON object"))
		}
		r.Task, r.Data = formatter.EncodeDownlink, []byte(f.encode)
	case f.decodeDownlink:
		r.Task = formatter.DecodeDownlink
	}
	return r, nil
}

// formatter returns the formatter with a name: cayennelpp, or a script.
func (f *formatterFlags) formatter(name string) (formatter.Formatter, error) {
	if name == "cayennelpp" {
		return formatter.NewCayenneLPP(f.strict), nil
	}
	source, err := readScript(name)
	if err != nil {
		return formatter.Formatter{}, err
	}
	return formatter.NewJavaScript(source)
}

// readScript reads a script up to the largest size of a script.
func readScript(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, formatter.MaxScript+1))
	return string(b), err
}

// trialSlack is for scripts that are tried out, for which no frame waits: on a busy machine a good one may be without
// the processor for long. Its CPU time has the limit of the daemon.
const trialSlack = time.Minute

// triedOptions are for a pool that tries scripts out.
func triedOptions(c config.Config) formatter.Options {
	return formatter.Options{
		Deadline: c.Formatter.Deadline.D(), Slack: trialSlack, Logger: slog.New(slog.DiscardHandler),
	}
}

// tryFormatter runs a request twice, because the first run also compiles the
// script, which is rare in the daemon.
func tryFormatter(ctx context.Context, c config.Config, out io.Writer, r formatter.Request, asJSON bool) error {
	ctx, cancel := context.WithCancel(ctx)
	pool := formatter.New(triedOptions(c))
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	first := pool.Do(ctx, r)
	again := first
	if first.Fail == nil {
		again = pool.Do(ctx, r)
	}
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	return printTried(out, r, first, again, asJSON)
}

// printTried prints the result, or returns why there is none.
func printTried(out io.Writer, r formatter.Request, first, again formatter.Result, asJSON bool) (err error) {
	if asJSON {
		err = printResultJSON(out, r, again)
	} else {
		err = printResult(out, r, first, again)
	}
	if err == nil && first.Fail != nil {
		return fmt.Errorf("%w (%s)", first.Fail, first.Fail.Name)
	}
	return err
}

// printResult prints a result for people.
func printResult(out io.Writer, r formatter.Request, first, again formatter.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, text string) { fmt.Fprintf(w, "%s\t%s\n", what, plainLine(text)) }
	if first.Data != nil {
		line("decoded_payload", string(first.Data))
	}
	if r.Task == formatter.EncodeDownlink && first.Fail == nil {
		line("frm_payload", strings.ToUpper(hex.EncodeToString(first.Bytes)))
		line("f_port", fmt.Sprint(first.FPort))
	}
	if first.Fail == nil || first.Data != nil {
		for _, s := range first.Warnings {
			line("warning", s)
		}
	}
	for _, n := range first.Normalized {
		line("normalized_payload", string(n))
	}
	for _, s := range first.NormalizedWarnings {
		line("normalized warning", s)
	}
	for _, s := range first.Log {
		line("log", s)
	}
	if first.Cost.Wall > 0 {
		cpu := func(c formatter.Cost) string { return c.CPU.Round(time.Microsecond).String() }
		line("time", fmt.Sprintf("%s of CPU the first time, then %s; %s in all", cpu(first.Cost), cpu(again.Cost),
			again.Cost.Wall.Round(time.Microsecond)))
		line("memory", fmt.Sprintf("%d kB allocated; the child has had at most %.1f MB", again.Cost.Allocated>>10,
			float64(again.Cost.RSS)/1e6))
	}
	return w.Flush()
}

// resultJSON is a result for programs.
type resultJSON struct {
	DecodedPayload     json.RawMessage   `json:"decoded_payload,omitempty"`
	Warnings           []string          `json:"decoded_payload_warnings,omitempty"`
	NormalizedPayload  []json.RawMessage `json:"normalized_payload,omitempty"`
	NormalizedWarnings []string          `json:"normalized_payload_warnings,omitempty"`
	FRMPayload         []byte            `json:"frm_payload,omitempty"`
	FPort              uint8             `json:"f_port,omitempty"`
	Error              string            `json:"error,omitempty"`
	Log                []string          `json:"log,omitempty"`
	CPUMicroseconds    int64             `json:"cpu_us"`
	WallMicroseconds   int64             `json:"wall_us"`
	Allocated          int64             `json:"allocated"`
	RSS                int64             `json:"rss"`
}

func printResultJSON(out io.Writer, r formatter.Request, res formatter.Result) error {
	v := resultJSON{
		DecodedPayload: res.Data, Warnings: res.Warnings, NormalizedWarnings: res.NormalizedWarnings, FRMPayload: res.Bytes,
		Log:             res.Log,
		CPUMicroseconds: res.Cost.CPU.Microseconds(), WallMicroseconds: res.Cost.Wall.Microseconds(),
		Allocated: res.Cost.Allocated, RSS: res.Cost.RSS,
	}
	for _, n := range res.Normalized {
		v.NormalizedPayload = append(v.NormalizedPayload, n)
	}
	if r.Task == formatter.EncodeDownlink {
		v.FPort = res.FPort
	}
	if res.Fail != nil {
		v.Error = res.Fail.Error()
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
