//go:build manual

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A program built with the tag manual writes the manual, so that the daemon does
// not contain this code.
func init() { extra = append(extra, newManual) }

func newManual() *cobra.Command {
	return &cobra.Command{
		Use: "manual DIR", Short: "Write man pages and completions", Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("give one folder"))
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
}

// writeManual writes man1/*.1, a page for each command, and bash/, zsh/ and
// fish/ with the completions.
func writeManual(root *cobra.Command, dir string) error {
	for _, sub := range []string{"man1", "bash", "zsh", "fish"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for _, shell := range []struct {
		path  string
		write func(*bytes.Buffer) error
	}{
		{"bash/lorawand", func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) }},
		{"zsh/_lorawand", func(b *bytes.Buffer) error { return root.GenZshCompletion(b) }},
		{"fish/lorawand.fish", func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) }},
	} {
		var b bytes.Buffer
		if err := shell.write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, shell.path), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return writePages(root, filepath.Join(dir, "man1"))
}

func writePages(cmd *cobra.Command, dir string) error {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), page(cmd, name), 0o644); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		if err := writePages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// page returns the man page of a command.
func page(cmd *cobra.Command, name string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"lorawand\" \"User Commands\"\n", strings.ToUpper(roff(name)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(name), roff(lowerFirst(cmd.Short)),
		roff(cmd.CommandPath()))
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	if cmd.HasAvailableSubCommands() {
		arguments = "COMMAND"
	}
	fmt.Fprintf(&b, "%s\n", roff(strings.TrimSpace(arguments+" [OPTION]...")))
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", paragraphs(about))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(&b, ".SH COMMANDS\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(name+"-"+sub.Name()), roff(sub.Short))
			}
		}
	}
	if cmd.HasAvailableFlags() {
		fmt.Fprint(&b, ".SH OPTIONS\n")
		cmd.InitDefaultHelpFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) { option(&b, f) })
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	fmt.Fprintf(&b, ".SH EXIT STATUS\n0: success; %d: failure; %d: wrong usage or configuration.\n", exitFailed, exitUsage)
	files := ".SH FILES\n.I /etc/lorawand/lorawand.toml\n.RS\nThe configuration; \\fBlorawand config default\\fR prints " +
		"one with comments.\n.RE\n"
	if parent := cmd.Parent(); parent == nil {
		b.WriteString(files)
	} else {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(strings.ReplaceAll(parent.CommandPath(), " ", "-")))
	}
	return b.Bytes()
}

func option(b *bytes.Buffer, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	argument, text := pflag.UnquoteUsage(f)
	b.WriteString(".TP\n")
	if f.Shorthand != "" {
		fmt.Fprintf(b, "\\fB\\-%s\\fR, ", f.Shorthand)
	}
	fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
	if argument != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(argument))
	}
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
	default:
		text += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(b, "\n%s\n", roff(text))
}

// roff escapes a text for man(7). A line that begins with a point or an apostrophe
// would be a macro.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func paragraphs(s string) string {
	return strings.ReplaceAll(roff(strings.TrimSpace(s)), "\n\n", "\n.PP\n")
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
