package enddevice

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice/sheet"
)

// errForm is the reason for a file that is of neither form.
var errForm = fmt.Errorf("%w: not JSON, and not CSV with a header of known columns", ErrFile)

// table is a CSV file: with a header, and separated by ";" as The Things Stack has
// it, by "," or by tabs.
type table struct {
	rows    *csv.Reader
	before  int      // lines before what rows reads
	names   []string // of the columns, "" for those that are passed over
	unknown []string // what these are called
}

// openTable reads the header of a table.
func openTable(b []byte) (*table, error) {
	var t table
	separator, b := separatorLine(b)
	if separator != 0 {
		t.before = 1
	} else {
		separator = guessSeparator(b)
	}
	t.rows = csv.NewReader(bytes.NewReader(b))
	t.rows.Comma, t.rows.ReuseRecord, t.rows.FieldsPerRecord = separator, true, -1
	t.rows.TrimLeadingSpace = separator != '\t' // it would swallow empty cells
	row, err := t.rows.Read()
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+t.before, errForm)
	}
	known := 0
	for _, cell := range row {
		name := sheet.Name(cell)
		switch {
		case name != "":
			known++
		case strings.TrimSpace(cell) != "":
			t.unknown = append(t.unknown, strings.Clone(strings.TrimSpace(cell)))
			name = ""
		default:
			name = ""
		}
		t.names = append(t.names, name)
	}
	if known == 0 {
		line, _ := t.rows.FieldPos(0)
		return nil, fmt.Errorf("line %d: %w", line+t.before, errForm)
	}
	return &t, nil
}

// separators are those that tables have.
const separators = ";\t,"

// separatorLine reads "sep=;", with which spreadsheets begin some files, and
// returns what comes behind it; 0 is none.
func separatorLine(b []byte) (separator rune, rest []byte) {
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	text := strings.Trim(strings.TrimSuffix(string(first[:min(len(first), 16)]), "\r"), `"`)
	if len(text) == 5 && strings.EqualFold(text[:4], "sep=") && strings.Contains(separators, text[4:]) {
		return rune(text[4]), rest
	}
	return 0, b
}

// guessSeparator returns what stands most often in the first line.
func guessSeparator(b []byte) rune {
	first, _, _ := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\n"))
	best, most := ';', 0
	for _, s := range separators {
		if n := bytes.Count(first, []byte(string(s))); n > most {
			best, most = s, n
		}
	}
	return best
}

// maxNamed is how many unknown columns a warning names.
const maxNamed = 20

func (t *table) warnings() []string {
	if len(t.unknown) == 0 {
		return nil
	}
	named := make([]string, min(len(t.unknown), maxNamed))
	for i := range named {
		named[i] = fmt.Sprintf("%.40q", t.unknown[i])
	}
	text := strings.Join(named, ", ")
	if more := len(t.unknown) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return []string{
		"columns that are not known are passed over: " + text + "; the known ones are listed by: device import --help",
	}
}

// eachRow calls f for each row of a table, and returns warnings on its header.
// Columns that are not known are passed over, and so are empty cells and empty
// rows.
func eachRow(b []byte, o Options, f func(d *session.Device, notes []string, line int, err error)) ([]string, error) {
	t, err := openTable(b)
	if err != nil {
		return nil, err
	}
	for {
		row, err := t.rows.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return t.warnings(), nil
		case errors.As(err, &wrong):
			f(nil, nil, wrong.StartLine+t.before, wrong.Err)
			continue
		case err != nil:
			return nil, err // not reached: the text is in memory
		}
		line, _ := t.rows.FieldPos(0)
		if row = trimRow(row, len(t.names)); row == nil {
			continue
		}
		var r reader
		d, err := t.device(row, o, r.note)
		f(d, r.notes, line+t.before, err)
	}
}

// trimRow trims the cells of a row, and takes away empty ones beyond the header.
// It returns nil for a row that is empty.
func trimRow(row []string, columns int) []string {
	last := 0
	for i := range row {
		if row[i] = strings.TrimSpace(row[i]); row[i] != "" {
			last = i + 1
		}
	}
	if last == 0 {
		return nil
	}
	if last <= columns && len(row) > columns {
		row = row[:columns]
	}
	return row
}

// device makes the device of a row.
func (t *table) device(row []string, o Options, note func(format string, args ...any)) (*session.Device, error) {
	d := &session.Device{ID: session.ID{Application: o.Application}}
	if len(row) != len(t.names) {
		return d, csv.ErrFieldCount
	}
	addressed := false
	for i, cell := range row {
		name := t.names[i]
		if name == "" || cell == "" {
			continue
		}
		if err := sheet.Set(d, name, strings.Clone(cell)); err != nil {
			return d, err
		}
		addressed = addressed || name == sheet.DevAddr
	}
	if d.ID.Device == "" && !d.DevEUI.IsZero() {
		d.ID.Device = gateway.DefaultID(d.DevEUI) // the form is the same for devices
	}
	switch {
	case d.ID.Device == "":
		return d, errors.New("without id and dev_eui")
	case d.Session != nil && !addressed:
		return d, fmt.Errorf("%s: %w", sheet.DevAddr, ErrMissing)
	}
	use(d, session.Settings{})
	o.defaults(d)
	if d.VersionName == "" {
		return d, fmt.Errorf("lorawan_version: %w", errNoVersion)
	}
	return d, finish(d, o, note)
}
