package enddevice

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
)

// errForm is the reason for a file that is of neither form.
var errForm = fmt.Errorf("%w: not JSON, and not CSV with a header of known columns", ErrFile)

// eachRow calls f for each row of a CSV file: with a header, and separated by
// ";" as The Things Stack has it, or by ",". Columns that are not known are
// passed over, and so are empty cells.
func eachRow(b []byte, o Options, f func(d *session.Device, notes []string, line int, err error)) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("line 1: %w: the text is not UTF-8", ErrFile)
	}
	rows := csv.NewReader(bytes.NewReader(b))
	rows.Comma, rows.TrimLeadingSpace, rows.ReuseRecord = separator(b), true, true
	names, err := header(rows)
	if err != nil {
		return err
	}
	for {
		row, err := rows.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			f(nil, nil, wrong.StartLine, wrong.Err)
			continue
		case err != nil:
			return err // not reached: the text is in memory
		}
		line, _ := rows.FieldPos(0)
		var r reader
		d, err := rowDevice(names, row, o, r.note)
		f(d, r.notes, line, err)
	}
}

// separator is what stands in the first line.
func separator(b []byte) rune {
	first, _, _ := bytes.Cut(b, []byte("\n"))
	if bytes.ContainsRune(first, ';') || !bytes.ContainsRune(first, ',') {
		return ';'
	}
	return ','
}

// header returns the names of the columns, "" for those that are not known.
func header(r *csv.Reader) ([]string, error) {
	row, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", errForm)
	}
	names := make([]string, len(row))
	known := 0
	for i, cell := range row {
		name := strings.ToLower(strings.TrimSpace(cell))
		if lookup(name) != nil {
			names[i] = name
			known++
		}
	}
	if known == 0 {
		line, _ := r.FieldPos(0)
		return nil, fmt.Errorf("line %d: %w", line, errForm)
	}
	return names, nil
}

// rowDevice makes the device of a row.
func rowDevice(names, row []string, o Options, note func(format string, args ...any)) (*session.Device, error) {
	d := &session.Device{ID: session.ID{Application: o.Application}}
	for i, cell := range row {
		if cell = strings.TrimSpace(cell); names[i] == "" || cell == "" {
			continue
		}
		if err := lookup(names[i])(d, strings.Clone(cell)); err != nil {
			return d, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	if d.ID.Device == "" && !d.DevEUI.IsZero() {
		d.ID.Device = gateway.DefaultID(d.DevEUI) // the form is the same for devices
	}
	if d.ID.Device == "" {
		return d, errors.New("without id and dev_eui")
	}
	use(d, session.Settings{})
	o.defaults(d)
	if d.VersionName == "" {
		return d, fmt.Errorf("lorawan_version: %w", errNoVersion)
	}
	return d, finish(d, o, note)
}
