package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// isTerminal reports whether people are at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// errDeclined ends a command that its caller did not confirm.
var errDeclined = errors.New("nothing was changed")

// yesFlag adds --yes.
func yesFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().BoolP("yes", "y", false, "do it without asking")
}

// confirm asks whether to do what cannot be taken back, if somebody sits at the terminal.
// A script is not asked.
func confirm(cmd *cobra.Command, yes bool, what string) error {
	if yes || !isTerminal(cmd.InOrStdin()) {
		return nil
	}
	return askYes(cmd.InOrStdin(), cmd.ErrOrStderr(), what)
}

func askYes(in io.Reader, out io.Writer, what string) error {
	fmt.Fprintf(out, "%s Type yes to go on: ", plainLine(what))
	answer, err := bufio.NewReader(in).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); word == "yes" || word == "y" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(out)
	}
	return errDeclined
}

// parseHex reads hexadecimal digits: blanks, colons, dashes and a leading 0x make no
// difference.
func parseHex(text string) ([]byte, error) {
	digits := strings.NewReplacer(" ", "", ":", "", "-", "", "\t", "").Replace(text)
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "0x"), "0X")
	for _, r := range digits {
		if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return nil, fmt.Errorf("%q is no hexadecimal digit", r)
		}
	}
	if len(digits)%2 != 0 {
		return nil, fmt.Errorf("%d digits, but two make a byte", len(digits))
	}
	return hex.DecodeString(digits)
}
