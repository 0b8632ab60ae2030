package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lorawand/bridge/admin"
	"lorawand/bridge/v3/enddevice/sheet"
	"lorawand/cmd/lorawand/config"
)

// errUsage is the reason for refusing a command line.
var errUsage = errors.New("wrong usage")

// usageError is an error of the command line. Is(errUsage) is true of it.
type usageError struct{ error }

func (e usageError) Is(target error) bool { return target == errUsage }

// Unwrap returns what is wrong.
func (e usageError) Unwrap() error { return e.error }

func usage(err error) error { return usageError{err} }

// explained returns the lines of an error, with what to do: the help of the command that
// was called, or how to reach the daemon.
func explained(cmd *cobra.Command, err error) []string {
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	last := &lines[len(lines)-1]
	switch {
	case errors.Is(err, errUsage):
		*last += "; see " + cmd.CommandPath() + " --help"
	case errors.Is(err, admin.ErrNotRunning):
		*last += "; start it: systemctl start lorawand, or lorawand run"
	case errors.Is(err, config.ErrConfig) && errors.Is(err, fs.ErrNotExist):
		*last += "; lorawand config default prints one to begin with"
	}
	return lines
}

// flagValue is what pflag says of a wrong value: the value, the flag, and Go's error.
var flagValue = regexp.MustCompile(`^invalid argument ("(?:[^"\\]|\\.)*") for "(?:-\w, )?(--[\w-]+)" flag: (.*)$`)

// flagError puts what pflag says into words, and suggests a flag for an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	if m := flagValue.FindStringSubmatch(err.Error()); m != nil {
		return usage(fmt.Errorf("%s: %s", m[2], wrongValue(cmd, m[1], m[2], m[3])))
	}
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return usage(err)
	}
	var all []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			all = append(all, f.Name)
		}
	})
	if near := cmp.Or(fieldFlag(name, all), partFlag(name, all), config.Nearest(name, all)); near != "" {
		return usage(fmt.Errorf("%w; did you mean --%s?", err, near))
	}
	return usage(err)
}

// fieldFlag returns the flag for the field of a device that files call so, or "".
func fieldFlag(name string, all []string) string {
	field := sheet.Name(name)
	for _, f := range fieldFlags {
		if f.field == field && slices.Contains(all, f.flag) {
			return f.flag
		}
	}
	return ""
}

// partFlag returns the longest flag whose words stand in a name one after the other, as in
// those of The Things Stack's command line: --root-keys.app-key.key is --app-key. "" is none.
func partFlag(name string, all []string) (longest string) {
	name = "-" + strings.NewReplacer(".", "-", "_", "-").Replace(strings.ToLower(name)) + "-"
	for _, flag := range all {
		if len(flag) > len(longest) && strings.Contains(name, "-"+flag+"-") {
			longest = flag
		}
	}
	return longest
}

func wrongValue(cmd *cobra.Command, value, flag, why string) string {
	kind := ""
	if f := cmd.Flags().Lookup(strings.TrimPrefix(flag, "--")); f != nil {
		kind = f.Value.Type()
	}
	switch {
	case strings.Contains(why, "out of range"):
		return value + " is too large or too small"
	case kind == "bool":
		return value + " is neither true nor false"
	case kind == "duration":
		bare := strings.Trim(value, `"`)
		if _, err := time.ParseDuration(bare + "s"); err == nil {
			return fmt.Sprintf("%s has no unit: write %ss if it is in seconds", bare, bare)
		}
		return value + " is not a duration such as 15s or 2m"
	case strings.Contains(why, "strconv."):
		return value + " is not a number"
	}
	return why
}

// unknownCommand returns a usage error for a word behind a command, with what was most likely meant.
func unknownCommand(cmd *cobra.Command, word string) error {
	if !cmd.HasSubCommands() {
		if f := cmd.Flags().Lookup("application"); f != nil && !f.Changed {
			return usage(fmt.Errorf("%s takes no %q; did you mean --application %[2]s?", cmd.CommandPath(), word))
		}
		return usage(fmt.Errorf("%s takes no %q", cmd.CommandPath(), word))
	}
	var all []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, sub.Name())
		}
	}
	slices.Sort(all)
	if near := config.Nearest(word, all); near != "" {
		return usage(fmt.Errorf("%s knows no %q; did you mean %s %s?", cmd.CommandPath(), word, cmd.CommandPath(), near))
	}
	return usage(fmt.Errorf("%s knows no %q", cmd.CommandPath(), word))
}
