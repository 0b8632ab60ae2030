package sx1302

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// facts says what the table has of a board as testdata/boards.csv does, which is
// written as ChirpStack Concentratord 4.7.1 and the files of sx1302_hal are.
func facts(b *Board) map[string]string {
	pair := func(of func(*Radio) string) string { return of(&b.Radios[0]) + "/" + of(&b.Radios[1]) }
	line := func(name string) string {
		if strings.HasPrefix(name, "command: ") {
			return "mts-io-sysfs"
		}
		if chip, n, ok := strings.Cut(name, ":"); ok {
			// A HAT's lines are those of the header, whatever its chip is called.
			if want := map[bool]string{true: "header", false: "/dev/gpiochip0"}[b.Device == "/dev/spidev0.0"]; chip != want && !b.USB {
				return name + ", not of " + want
			}
			return n
		}
		return name
	}
	var gains []string
	for _, g := range b.Radios[0].Gains {
		text := fmt.Sprintf("%d:%d:%d", g.Power, g.PAGain, g.PowerIndex)
		if b.Radios[0].Type != SX1250 {
			text += fmt.Sprintf(":dig%d:dac%d:mix%d", g.DigGain, g.DACGain, g.MixGain)
		}
		gains = append(gains, text)
	}
	return map[string]string{
		"board": b.Name, "regions": strings.Join(b.Regions, " "), "spi": b.Device,
		"reset": line(b.Reset), "power": line(b.Power), "sx1261_reset": line(b.SX1261Reset), "ad5338r_reset": line(b.DACReset),
		"radio_type": b.Radios[0].Type.String(), "clock_source": fmt.Sprint(b.ClockSource), "full_duplex": fmt.Sprint(b.FullDuplex),
		"tx_enable":         pair(func(r *Radio) string { return fmt.Sprint(r.Transmit) }),
		"single_input_mode": pair(func(r *Radio) string { return fmt.Sprint(r.SingleInput) }),
		"rssi_offset":       pair(func(r *Radio) string { return decimal(int32(r.RSSIOffset), 100) }),
		"rssi_tcomp": pair(func(r *Radio) string {
			var c []string
			for _, v := range r.RSSITemperature {
				c = append(c, decimal(v, 1000))
			}
			return strings.Join(c, ",")
		}),
		"tx_gain_lut": strings.Join(gains, " "), "stts751_bus": b.I2C,
	}
}

// decimal writes v parts of a unit with at least one place.
func decimal(v int32, unit int64) string {
	places := len(fmt.Sprint(unit)) - 1
	text := fmt.Sprintf("%.*f", places, float64(v)/float64(unit))
	for strings.HasSuffix(text, "0") && !strings.HasSuffix(text, ".0") {
		text = strings.TrimSuffix(text, "0")
	}
	return text
}

// TestBoardFacts compares every value of the table.
func TestBoardFacts(t *testing.T) {
	f, err := os.Open("testdata/boards.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Boards()
	if err != nil || len(all) != len(rows)-1 {
		t.Fatalf("%d boards, want %d; %v", len(all), len(rows)-1, err)
	}
	sorted := func(words string) string {
		w := strings.Fields(words)
		slices.Sort(w)
		return strings.Join(w, " ")
	}
	for _, row := range rows[1:] {
		name, regions := row[0], sorted(row[1])
		i := slices.IndexFunc(all, func(b Board) bool { return b.Name == name && sorted(strings.Join(b.Regions, " ")) == regions })
		if i < 0 {
			t.Errorf("no %s for %s", name, regions)
			continue
		}
		got := facts(&all[i])
		for k, want := range row {
			column := rows[0][k]
			if column == "regions" {
				continue
			}
			if got[column] != want {
				t.Errorf("%s for %s: %s is %q, want %q", name, regions, column, got[column], want)
			}
		}
		if b := &all[i]; b.USB != (row[2] == "") || b.Radios[1].Type != b.Radios[0].Type || b.Radios[1].Gains != nil {
			t.Errorf("%s for %s: USB %v, radio B %+v", name, regions, b.USB, b.Radios[1])
		}
	}
}
