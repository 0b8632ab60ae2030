package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// usualWidth is that of a terminal which does not say it, in columns.
const usualWidth = 80

// table gathers rows, cells separated by tabs; the first is the header. On a terminal it
// leaves out columns until it fits, the first of spare first, and says so.
type table struct {
	bytes.Buffer
	spare []string // names of columns
}

// addWide adds --wide, and -v for it.
func addWide(cmd *cobra.Command) *bool {
	wide := cmd.Flags().Bool("wide", false, "show all columns, however wide the table is")
	cmd.Flags().BoolVarP(wide, "verbose", "v", false, "the same as --wide")
	return wide
}

// print writes the table. A file or a pipe gets all of it.
func (t *table) print(out io.Writer, wide bool) error {
	rows := t.rows()
	width := 0
	if isTerminal(out) && !wide {
		width = terminalWidth(out)
	}
	rows, left := fit(rows, t.spare, width)
	widths := widthsOf(rows)
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+gap)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if len(left) > 0 {
		fmt.Fprintf(&b, "(--wide shows more: %s)\n", strings.Join(left, ", "))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// gap is between two columns.
const gap = 2

func (t *table) rows() (rows [][]string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(t.String(), "\n"), "\n") {
		rows = append(rows, strings.Split(line, "\t"))
	}
	return rows
}

// fit leaves out columns until the rows are at most so wide; 0 is without a limit. What is
// still too wide is cut in the widest column. It returns the names of what is left out.
func fit(rows [][]string, spare []string, width int) (_ [][]string, left []string) {
	for _, name := range spare {
		if width == 0 || total(rows) <= width {
			return rows, left
		}
		for i, head := range rows[0] {
			if head == name {
				rows, left = withoutColumn(rows, i), append(left, name)
				break
			}
		}
	}
	for width > 0 && total(rows) > width {
		widths := widthsOf(rows)
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		most := widths[widest] - (total(rows) - width)
		if most < len("a…") {
			return rows, left
		}
		for _, row := range rows {
			if widest < len(row) {
				row[widest] = shorten(row[widest], most)
			}
		}
	}
	return rows, left
}

func withoutColumn(rows [][]string, column int) (out [][]string) {
	for _, row := range rows {
		if column < len(row) {
			row = append(append([]string(nil), row[:column]...), row[column+1:]...)
		}
		out = append(out, row)
	}
	return out
}

func widthsOf(rows [][]string) (widths []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// total is the width of the rows with their gaps.
func total(rows [][]string) (n int) {
	widths := widthsOf(rows)
	for _, w := range widths {
		n += w
	}
	return n + gap*(len(widths)-1)
}

// terminalWidth returns the width of a terminal.
func terminalWidth(out any) int {
	if f, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return usualWidth
}

// alarm marks what is wrong: in red on a terminal, unless its user wants no colours.
// Source: https://no-color.org
func alarm(out io.Writer, text string) string {
	if !isTerminal(out) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[31m" + text + "\x1b[0m"
}
