package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// foldTo writes a text; on a terminal its lines are folded at its width, and what follows
// begins as far in as the values of the lines do.
func foldTo(w io.Writer, text string, indent int) error {
	if isTerminal(w) {
		text = folded(text, terminalWidth(w), indent)
	}
	_, err := io.WriteString(w, text)
	return err
}

// folded folds the lines of a text at spaces; a word that is too long is cut.
func folded(text string, width, indent int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, newline := strings.CutSuffix(line, "\n")
		for utf8.RuneCountInString(line) > width && width > 2*indent {
			runes := []rune(line)
			at := width
			for i := width; i > indent; i-- {
				if runes[i] == ' ' {
					at = i
					break
				}
			}
			b.WriteString(strings.TrimRight(string(runes[:at]), " ") + "\n")
			line = strings.Repeat(" ", indent) + strings.TrimLeft(string(runes[at:]), " ")
		}
		b.WriteString(line)
		if newline {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
