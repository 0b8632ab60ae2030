package sx1302

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lorawand/radio"
)

// boardsCSV has a row per board and group of regions. gains are
// power:pa:index:dac:mixer:digital; pairs are those of radio A and radio B.
//
//go:embed boards.csv
var boardsCSV string

// ErrBoard is the reason for a board that is not in the table.
var ErrBoard = errors.New("sx1302: unknown board")

// Board is what is known of a board: all that a Config needs but the
// frequencies.
type Board struct {
	Name    string
	Regions []string // whose gains these are, as AS923_2 or EU868
	USB     bool     // behind a USB bridge only, which is to come

	Device      string // of the SPI port
	Reset       string // GPIO chip and line as OpenLine wants it, or "command: " and the text of ResetSteps
	Power       string // likewise; "" is none
	SX1261      string // device of the radio that listens before talking; the table does not know it
	SX1261Reset string
	DACReset    string
	I2C         string // bus of the temperature sensor, as "/dev/i2c-1"; "" is none

	ClockSource uint8
	FullDuplex  bool
	Radios      [Chains]Radio // without Enabled and Frequency
}

// Columns of the table.
const (
	colName = iota
	colRegions
	colCom
	colDevice
	colReset
	colPower
	colSX1261Reset
	colDACReset
	colRadio
	colClock
	colFullDuplex
	colTransmit
	colSingleInput
	colRSSIOffset
	colRSSITemperature
	colGains
	colI2C
	columns
)

// Boards returns the table.
func Boards() ([]Board, error) {
	rows, err := csv.NewReader(strings.NewReader(boardsCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("sx1302: table of boards: %w", err)
	}
	var all []Board
	for i, row := range rows[1:] {
		b, err := parseBoard(row)
		if err != nil {
			return nil, fmt.Errorf("sx1302: table of boards: row %d: %w", i+1, err)
		}
		all = append(all, b)
	}
	return all, nil
}

// FindBoard returns the board of a name, as "rak2287", for a region. Region ""
// takes a board that has but one set of gains.
func FindBoard(name, region string) (Board, error) {
	rows, err := boardRows(name)
	if err != nil {
		return Board{}, err
	}
	var regions []string
	var found []Board
	for _, b := range rows {
		regions = append(regions, b.Regions...)
		if region == "" || slices.Contains(b.Regions, region) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return Board{}, fmt.Errorf("%w: %s has gains for %s, not for %q", ErrBoard, name, strings.Join(regions, ", "), region)
	}
	return found[0], nil
}

// FindLines returns the board of a name for what needs its devices and its lines
// only, which are the same in all regions. It has no gains.
func FindLines(name string) (Board, error) {
	rows, err := boardRows(name)
	if err != nil {
		return Board{}, err
	}
	b := rows[0]
	for i := range b.Radios {
		b.Radios[i].Transmit, b.Radios[i].Gains = false, nil
	}
	return b, nil
}

// boardRows returns the rows of a board, at least one.
func boardRows(name string) ([]Board, error) {
	all, err := Boards()
	if err != nil {
		return nil, err
	}
	var names []string
	var rows []Board
	for _, b := range all {
		names = append(names, b.Name)
		if strings.EqualFold(b.Name, name) {
			rows = append(rows, b)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: %.40q; known are %s", ErrBoard, name, strings.Join(nearest(name, slices.Compact(names)), ", "))
	}
	return rows, nil
}

// nearest returns those names that look like one, or all if none does.
func nearest(name string, names []string) []string {
	name = strings.ToLower(name)
	near := slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		return name == "" || !strings.Contains(other, name) && !strings.Contains(name, other) && sharedPairs(name, other) < 50
	})
	if len(near) == 0 {
		return names
	}
	return near
}

// sharedPairs returns which share of the pairs of letters two names have in
// common, in percent.
func sharedPairs(a, b string) int {
	pairs := max(len(a)-1, 0) + max(len(b)-1, 0)
	if pairs == 0 {
		return 0
	}
	shared := 0
	for i := range max(len(a)-1, 0) {
		if strings.Contains(b, a[i:i+2]) {
			shared++
		}
	}
	return min(100*2*shared/pairs, 100)
}

func parseBoard(row []string) (Board, error) {
	if len(row) != columns {
		return Board{}, fmt.Errorf("%d columns, want %d", len(row), columns)
	}
	b := Board{
		Name: row[colName], Regions: strings.Fields(row[colRegions]), USB: row[colCom] == "USB", Device: row[colDevice],
		Reset: row[colReset], Power: row[colPower], SX1261Reset: row[colSX1261Reset], DACReset: row[colDACReset], I2C: row[colI2C],
		FullDuplex: row[colFullDuplex] == "true", ClockSource: row[colClock][0] - '0',
	}
	gains, err := parseGains(row[colGains])
	if err != nil {
		return b, err
	}
	for i := range b.Radios {
		half := func(column int) string {
			pair := strings.Split(row[column], "/")
			return pair[min(i, len(pair)-1)]
		}
		r := &b.Radios[i]
		if r.Type, err = parseRadioType(row[colRadio]); err != nil {
			return b, err
		}
		r.Transmit, r.SingleInput = half(colTransmit) == "true", half(colSingleInput) == "true"
		if r.Transmit {
			r.Gains = gains
		}
		offset, err := strconv.ParseFloat(half(colRSSIOffset), 64)
		if err != nil {
			return b, err
		}
		r.RSSIOffset = radio.Decibel(math.Round(offset * 100))
		for k, text := range strings.Fields(half(colRSSITemperature)) {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || k >= len(r.RSSITemperature) {
				return b, fmt.Errorf("temperature coefficient %d is %q", k, text)
			}
			r.RSSITemperature[k] = int32(math.Round(v * 1000))
		}
	}
	return b, nil
}

func parseRadioType(text string) (RadioType, error) {
	for t := SX1250; t <= SX1257; t++ {
		if t.String() == text {
			return t, nil
		}
	}
	return 0, fmt.Errorf("no such radio: %q", text)
}

// ParseGains reads gains such as "14:1:6" (dBm, external amplifier, index of the
// power) or, for SX1255 and SX1257, "14:2:0:3:10:0" (then DAC, mixer, digital).
func ParseGains(entries []string) ([]Gain, error) {
	var long []string
	for _, e := range entries {
		if strings.Count(e, ":") == 2 {
			e += ":0:0:0"
		}
		long = append(long, e)
	}
	return parseGains(strings.Join(long, " "))
}

func parseGains(text string) ([]Gain, error) {
	var gains []Gain
	for entry := range strings.FieldsSeq(text) {
		var v [6]int
		parts := strings.Split(entry, ":")
		if len(parts) != len(v) {
			return nil, fmt.Errorf("gain %q has %d parts, want %d", entry, len(parts), len(v))
		}
		for i, p := range parts {
			n, err := strconv.ParseInt(p, 10, 8)
			if err != nil {
				return nil, fmt.Errorf("gain %q: %w", entry, err)
			}
			v[i] = int(n)
		}
		gains = append(gains, Gain{int8(v[0]), uint8(v[1]), uint8(v[2]), uint8(v[3]), uint8(v[4]), uint8(v[5])})
	}
	return gains, nil
}
