package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
)

// reportOperation is the operation that answers with what a bug report needs.
const reportOperation = "report"

// reportPart is a section of a report, without secrets.
type reportPart struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

func (p *reportPart) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "== %s ==\n%s\n", p.Title, strings.TrimRight(plainLines(p.Text), "\n")+"\n")
	return err
}

// reportLog bounds what a report has of the log, in lines. Of the events it has all that are
// remembered: 1 024 of devices, which on a busy gateway are about an hour's, and 256 others.
const reportLog = 100

// addReport adds the operation of the report. It names devices of all applications.
func (d *daemon) addReport(a *admin.Admin) {
	run := func(ctx context.Context, _ struct{}, reply func(v any) error) error {
		for _, section := range []struct {
			title string
			write func(context.Context, *admin.Admin, io.Writer) error
		}{
			{"status", d.reportStatus},
			{"problems", d.reportProblems},
			{"gateways", reportGateways},
			{"last events", reportLastEvents},
			{"log", d.reportLog},
		} {
			var b strings.Builder
			if err := section.write(ctx, a, &b); err != nil {
				fmt.Fprintf(&b, "%v\n", err)
			}
			if err := reply(reportPart{section.title, masked(b.String())}); err != nil {
				return err
			}
		}
		return nil
	}
	a.Add(reportOperation, admin.Operation{
		Run: admin.Decoding(run), Right: admin.Right{Rights: access.All}, Limit: problemLimit,
	})
}

// flashOfReport is the endurance that the report goes by, as the command status does.
const flashOfReport = 800e9

func (d *daemon) reportStatus(ctx context.Context, a *admin.Admin, w io.Writer) error {
	return call(ctx, a, "status", nil, func(s admin.Status) error {
		return printStatus(w, &s, d.upstreamProblems(), flashOfReport)
	})
}

func (d *daemon) reportProblems(ctx context.Context, _ *admin.Admin, w io.Writer) error {
	found, err := d.problems.List(ctx)
	if err == nil && len(found) == 0 {
		_, err = fmt.Fprintln(w, "none")
	}
	return errors.Join(err, printProblems(w, found))
}

func reportGateways(ctx context.Context, a *admin.Admin, w io.Writer) error {
	return call(ctx, a, "gateway.list", nil, func(g admin.Gateway) error {
		_, err := fmt.Fprintln(w, strings.ReplaceAll(gatewayRow(&g), "\t", "  "))
		return err
	})
}

func reportLastEvents(ctx context.Context, a *admin.Admin, w io.Writer) error {
	return call(ctx, a, "events", admin.EventsArgs{Text: true, Terse: true}, func(line string) error {
		_, err := fmt.Fprintln(w, line)
		return err
	})
}

func (d *daemon) reportLog(_ context.Context, _ *admin.Admin, w io.Writer) error {
	lines := tailOf(d.log)
	for _, l := range lines[max(0, len(lines)-reportLog):] {
		fmt.Fprintf(w, "%s %s %s\n", l.At.UTC().Format(time.RFC3339), l.Level, l.Text)
	}
	return nil
}

// writeReport writes what a bug report needs: of this host, of the configuration, what
// doctor has found, and what the daemon tells, if one runs.
func writeReport(cmd *cobra.Command, c config.Config, path string, found []finding) error {
	out, done, err := reportFile(cmd, path)
	if err != nil {
		return err
	}
	sections := []reportPart{{"program", buildText(thisBuild()) + "\n" + hostText()}}
	var doctor strings.Builder
	for i := range found {
		if err := found[i].print(&doctor, false); err != nil {
			return err
		}
	}
	sections = append(sections, reportPart{"doctor", masked(doctor.String())}, configurationPart(cmd))
	err = ask(cmd.Context(), c, reportOperation, nil, func(p reportPart) error {
		sections = append(sections, p)
		return nil
	})
	if err != nil {
		sections = append(sections, reportPart{"daemon", masked(err.Error())})
	}
	for i := range sections {
		if err := sections[i].print(out); err != nil {
			return err
		}
	}
	return done()
}

// reportFile opens the file of the report; "-" is standard output.
func reportFile(cmd *cobra.Command, path string) (w io.Writer, done func() error, err error) {
	if path == "-" {
		return cmd.OutOrStdout(), func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return f, func() error {
		if err := f.Close(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: the report is in %s; it has no keys and no passwords, "+
			"and EUIs are cut short; look through it before you send it\n", path)
		return err
	}, nil
}

// hostText says on what the program runs.
func hostText() string {
	var u unix.Utsname
	var mem unix.Sysinfo_t
	text := time.Now().UTC().Format(time.RFC3339) + "\n"
	if unix.Uname(&u) == nil {
		text += unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " +
			unix.ByteSliceToString(u.Machine[:]) + "\n"
	}
	if unix.Sysinfo(&mem) == nil {
		text += fmt.Sprintf("memory %d MB, free %d MB; up for %v\n", uint64(mem.Totalram)*uint64(mem.Unit)>>20,
			uint64(mem.Freeram)*uint64(mem.Unit)>>20, time.Duration(mem.Uptime)*time.Second)
	}
	return text
}

// maxConfiguration is how much is read of the configuration, in bytes.
const maxConfiguration = 256 << 10

// configurationPart is the file without its comments, and the variables that override it.
func configurationPart(cmd *cobra.Command) reportPart {
	path, _ := config.Find(cmd.Flag("config").Value.String())
	p := reportPart{Title: "configuration"}
	f, err := os.Open(path)
	if err != nil {
		p.Text = fmt.Sprintf("%v: the defaults hold\n", err)
	} else {
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, maxConfiguration))
		for line := range strings.Lines(string(text)) {
			if trimmed := strings.TrimSpace(line); trimmed != "" && trimmed[0] != '#' {
				p.Text += line
			}
		}
	}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "LORAWAND_") {
			p.Text += v + "\n"
		}
	}
	p.Text = masked(p.Text)
	return p
}
