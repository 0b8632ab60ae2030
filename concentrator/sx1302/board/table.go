package board

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// boardsCSV has a row for each board and group of regions, with the source of the
// row. gains are power:pa:index:dac:mixer:digital; pairs are the values for radio A
// and radio B. A board with the module of another board names that board in the
// column "as", and has only devices and lines of its own.
//
// single_input is true/true where sx1302_hal's global_conf.json sets it, which is
// only for 433 and 470 MHz. The presets of ChirpStack Concentratord 4.7.1, the
// source of most other columns, set it for radio A of nearly all boards.
//
//go:embed boards.csv
var boardsCSV string

// ErrBoard is the reason for refusing a board that is not in the table.
var ErrBoard = errors.New("sx1302: unknown board")

// ErrRegion is the reason for refusing a region without gains in the table.
var ErrRegion = errors.New("sx1302: no gains of the board for the region")

// Board has the known facts about a board: everything in a Config but the
// frequencies.
type Board struct {
	Name    string
	Regions []string // the regions of these gains, such as AS923_2 or EU868
	USB     bool     // behind a USB bridge only, which is not supported yet

	Device      string // of the SPI port
	Reset       string // GPIO chip and line as OpenLine wants it, or "command: " and the text of ResetSteps
	Power       string // as Reset; "" is none
	SX1261      string // device of the radio that scans for LBT; not in the table
	SX1261Reset string
	I2C         string // bus of the temperature sensor, as "/dev/i2c-1"; "" is none

	ClockSource uint8
	Radios      [sx1302.Chains]sx1302.Radio // Enabled and Frequency are not set

	Source string // where the row comes from
}

// Columns of the table.
const (
	colName = iota
	colRegions
	colAs
	colCom
	colDevice
	colReset
	colPower
	colSX1261Reset
	colRadio
	colClock
	colTransmit
	colSingleInput
	colRSSIOffset
	colRSSITemperature
	colGains
	colI2C
	colSource
	columns
)

// Boards returns the table. A board with the module of another one has a row for
// each row of that one.
func Boards() ([]Board, error) {
	table := csv.NewReader(strings.NewReader(boardsCSV))
	table.FieldsPerRecord = columns
	rows, err := table.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("sx1302: table of boards: %w", err)
	}
	var all []Board
	for i, row := range rows[1:] {
		twins, err := parseRow(row, rows[1:])
		if err != nil {
			return nil, fmt.Errorf("sx1302: table of boards: row %d: %w", i+1, err)
		}
		all = append(all, twins...)
	}
	return all, nil
}

// parseRow returns the board of a row, or for a board with the module of another
// one a board for each row of that one.
func parseRow(row []string, all [][]string) ([]Board, error) {
	if row[colAs] == "" {
		b, err := parseBoard(row)
		return []Board{b}, err
	}
	var out []Board
	for _, of := range all {
		if of[colName] != row[colAs] {
			continue
		}
		b, err := parseBoard(of)
		if err != nil {
			return nil, err
		}
		b.setHost(row)
		out = append(out, b)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no board %q", row[colAs])
	}
	return out, nil
}

// setHost sets the devices and lines from a row.
func (b *Board) setHost(row []string) {
	b.Name, b.USB, b.Device, b.Source = row[colName], row[colCom] == "USB", row[colDevice], row[colSource]
	b.Reset, b.Power, b.SX1261Reset, b.I2C = row[colReset], row[colPower], row[colSX1261Reset], row[colI2C]
}

// FindBoard returns the board with a name, such as "rak2287", for a region. With
// the region "" it returns a board with a single set of gains.
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
		return Board{}, fmt.Errorf("%w: %s has gains for %s, not for %q", ErrRegion, name, strings.Join(regions, ", "),
			region)
	}
	return found[0], nil
}

// FindLines returns the board with a name for callers that need only its devices
// and lines, which are the same in all regions. It has no gains.
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
		return nil, fmt.Errorf("%w: %.40q; known are %s", ErrBoard, name,
			strings.Join(nearest(name, slices.Compact(names)), ", "))
	}
	return rows, nil
}

// nearest returns the names that resemble one, or all names if none does.
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

// sharedPairs returns how many of their pairs of letters two names share, in
// percent.
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
	b := Board{Regions: strings.Fields(row[colRegions]), ClockSource: row[colClock][0] - '0'}
	b.setHost(row)
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
		if r.Type, err = sx1302.ParseRadioType(row[colRadio]); err != nil {
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

// ParseGains reads gains such as "14:1:6" (dBm, external amplifier, power index)
// or, for SX1255 and SX1257, "14:2:0:3:10:0" (with DAC, mixer, digital).
func ParseGains(entries []string) ([]sx1302.Gain, error) {
	var long []string
	for _, e := range entries {
		if strings.Count(e, ":") == 2 {
			e += ":0:0:0"
		}
		long = append(long, e)
	}
	return parseGains(strings.Join(long, " "))
}

func parseGains(text string) ([]sx1302.Gain, error) {
	var gains []sx1302.Gain
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
		gains = append(gains, sx1302.Gain{
			Power: int8(v[0]), PAGain: uint8(v[1]), PowerIndex: uint8(v[2]), DACGain: uint8(v[3]), MixGain: uint8(v[4]),
			DigGain: uint8(v[5]),
		})
	}
	return gains, nil
}
