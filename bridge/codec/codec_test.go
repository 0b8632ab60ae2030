package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// acme is a model with a codec for each of its firmware versions and bands.
func acme() ([]*Model, []*Codec) {
	one := &Codec{
		Brand: "acme", ID: "one", Files: map[string]string{"one.js": "uplink 1", "down.js": "downlink 1"},
		UplinkDecoder: "one.js", DownlinkEncoder: "down.js",
	}
	two := &Codec{
		Brand: "acme", ID: "two", Files: map[string]string{"two.js": "both 2"}, UplinkDecoder: "two.js",
		DownlinkEncoder: "two.js", DownlinkDecoder: "two.js",
	}
	sensor := &Model{Brand: "acme", ID: "sensor", Versions: []Version{
		{Firmware: "1.0", Hardware: []string{"a"}, Codecs: map[string]string{"EU_863_870": "acme/one", "US_902_928": "acme/two"}},
		{Firmware: "2.0", Hardware: []string{"a", "b"}, Codecs: map[string]string{"EU_863_870": "acme/two"}},
		{Firmware: "3.0", Codecs: map[string]string{}},
	}}
	meter := &Model{Brand: "acme", ID: "meter", Versions: []Version{{Firmware: "1.0", Codecs: map[string]string{"EU_863_870": "acme/one", "AS_923": "acme/one"}}}}
	bare := &Model{Brand: "acme", ID: "bare"}
	return []*Model{sensor, meter, bare}, []*Codec{one, two}
}

func library(t *testing.T) *Library {
	t.Helper()
	l := NewLibrary()
	models, codecs := acme()
	if err := l.Fits(models, codecs); err != nil {
		t.Fatal(err)
	}
	l.Put(models, codecs)
	return l
}

// Which codec a device has by what it tells of itself; what it does not tell is
// enough where all that is left have the same one.
func TestFind(t *testing.T) {
	l := library(t)
	for _, tt := range []struct {
		name, model, firmware, hardware, band string
		want                                  string // a codec, or a part of the reason
	}{
		{"all told", "sensor", "1.0", "a", "EU_863_870", "acme/one"},
		{"another band", "sensor", "1.0", "a", "US_902_928", "acme/two"},
		{"another firmware", "sensor", "2.0", "b", "EU_863_870", "acme/two"},
		{"the firmware decides before the hardware", "sensor", "2.0", "z", "EU_863_870", "acme/two"},
		{"without hardware", "sensor", "1.0", "", "EU_863_870", "acme/one"},
		{"without firmware: the hardware is of one", "sensor", "", "b", "EU_863_870", "acme/two"},
		{"without firmware: the band is of one", "sensor", "", "", "US_902_928", "acme/two"},
		{"without band: there is one", "sensor", "2.0", "", "", "acme/two"},
		{"model alone: all have one", "meter", "", "", "", "acme/one"},
		{
			"model alone: there are several", "sensor", "", "", "",
			"has several, for other versions or bands (acme/one, acme/two)",
		},
		{"without band: there are several", "sensor", "1.0", "", "", "has several"},
		{
			"unknown firmware", "sensor", "9", "", "EU_863_870",
			`firmware version "9" and hardware version "" of acme/sensor are not known; there are 1.0, 2.0, 3.0`,
		},
		{"unknown hardware", "meter", "1.1", "x", "", `firmware version "1.1"`},
		{
			"unknown band", "sensor", "1.0", "", "KR_920_923",
			`none for the band "KR_920_923"; there are EU_863_870, US_902_928`,
		},
		{"a version without codecs", "sensor", "3.0", "", "EU_863_870", "has published none"},
		{"a model without versions", "bare", "", "", "", "are not known"},
		{"unknown model", "other", "1.0", "", "EU_863_870", "acme/other is not imported; lorawand codec import reads it"},
		{"no model", "", "1.0", "", "EU_863_870", "does not tell its brand and model; device set"},
	} {
		ids := session.VersionIDs{Brand: "acme", Model: tt.model, Firmware: tt.firmware, Hardware: tt.hardware, Band: tt.band}
		c, err := l.Find(ids)
		if err == nil && c.Key() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, c.Key(), tt.want)
		}
		if err != nil && (!errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := l.Find(session.VersionIDs{Model: "sensor"}); !errors.Is(err, ErrMissing) {
		t.Errorf("without a brand: %v", err)
	}
	l.Remove(nil, []string{"acme/two"})
	_, err := l.Find(session.VersionIDs{Brand: "acme", Model: "sensor", Firmware: "2.0"})
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "acme/two") {
		t.Errorf("its codec is gone: %v", err)
	}
}

// A codec has a script for each task, or another one that says what is missing.
func TestScripts(t *testing.T) {
	_, codecs := acme()
	only := &Codec{Files: map[string]string{"x": "decoder"}, DownlinkDecoder: "x"}
	for i, tt := range []struct {
		c                      *Codec
		uplink, encode, decode string
	}{
		{codecs[0], "uplink 1", "downlink 1", "downlink 1"},
		{codecs[1], "both 2", "both 2", "both 2"},
		{only, "decoder", "decoder", "decoder"},
		{&Codec{}, "", "", ""},
	} {
		got := []string{
			tt.c.Script(formatter.DecodeUplink), tt.c.Script(formatter.EncodeDownlink),
			tt.c.Script(formatter.DecodeDownlink),
		}
		if !reflect.DeepEqual(got, []string{tt.uplink, tt.encode, tt.decode}) {
			t.Errorf("%d: %q", i, got)
		}
	}
}

// The store keeps a codec as it was put, and a codec that cannot be used is refused.
func TestStored(t *testing.T) {
	models, codecs := acme()
	for _, m := range models {
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := UnmarshalModel(b); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v came back as %+v, %v", m, again, err)
		}
	}
	for _, c := range codecs {
		b, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := UnmarshalCodec(b); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v came back as %+v, %v", c, again, err)
		}
	}
	long := strings.Repeat("x", formatter.MaxCodec+1)
	for name, text := range map[string]string{
		"no JSON":                      `{`,
		"not an object":                `[]`,
		"no brand":                     `{"codec_id":"x","files":{"a.js":""},"uplink_decoder":"a.js"}`,
		"a path for a brand":           `{"brand_id":"../x","codec_id":"x","files":{"a.js":""},"uplink_decoder":"a.js"}`,
		"capitals":                     `{"brand_id":"acme","codec_id":"X","files":{"a.js":""},"uplink_decoder":"a.js"}`,
		"no script":                    `{"brand_id":"acme","codec_id":"x"}`,
		"a script that is not there":   `{"brand_id":"acme","codec_id":"x","files":{"a.js":""},"uplink_decoder":"b.js"}`,
		"a script that nobody uses":    `{"brand_id":"acme","codec_id":"x","files":{"a.js":"","b.js":""},"uplink_decoder":"a.js"}`,
		"too many scripts":             `{"brand_id":"acme","codec_id":"x","files":{"a.js":"","b.js":"","c.js":"","d.js":""},"uplink_decoder":"a.js","downlink_encoder":"b.js","downlink_decoder":"c.js"}`,
		"a long script":                `{"brand_id":"acme","codec_id":"x","files":{"a.js":"` + long + `"},"uplink_decoder":"a.js"}`,
		"a script with a strange name": `{"brand_id":"acme","codec_id":"x","files":{"\u001b[2J":""},"uplink_decoder":"\u001b[2J"}`,
	} {
		if c, err := UnmarshalCodec([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for name, text := range map[string]string{
		"no JSON":               `{`,
		"no model":              `{"brand_id":"acme"}`,
		"a path for a model":    `{"brand_id":"acme","model_id":"a/b"}`,
		"a long version":        `{"brand_id":"acme","model_id":"x","versions":[{"firmware_version":"` + strings.Repeat("1", maxText+1) + `"}]}`,
		"a long hardware":       `{"brand_id":"acme","model_id":"x","versions":[{"hardware_versions":["` + strings.Repeat("1", maxText+1) + `"]}]}`,
		"too many versions":     `{"brand_id":"acme","model_id":"x","versions":[` + strings.Repeat(`{},`, maxVersions) + `{}]}`,
		"too many hardwares":    `{"brand_id":"acme","model_id":"x","versions":[{"hardware_versions":[` + strings.Repeat(`"",`, maxHardware) + `""]}]}`,
		"a strange band":        `{"brand_id":"acme","model_id":"x","versions":[{"codecs":{"eu 868":"acme/x"}}]}`,
		"a codec without brand": `{"brand_id":"acme","model_id":"x","versions":[{"codecs":{"EU_433":"x"}}]}`,
	} {
		if m, err := UnmarshalModel([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// A Library is bounded, and does not take a model without its codecs.
func TestLibraryLimits(t *testing.T) {
	many := func(codecs, size int) ([]*Model, []*Codec) {
		var m []*Model
		var c []*Codec
		for i := range codecs {
			id := fmt.Sprintf("x%d", i)
			c = append(c, &Codec{
				Brand: "acme", ID: id, Files: map[string]string{"a.js": strings.Repeat("x", size)},
				UplinkDecoder: "a.js",
			})
			m = append(m, &Model{Brand: "acme", ID: id, Versions: []Version{{Codecs: map[string]string{"EU_433": "acme/" + id}}}})
		}
		return m, c
	}
	for _, tt := range []struct {
		name         string
		codecs, size int
		want         error
	}{
		{"none", 0, 0, nil},
		{"as many as may be", MaxCodecs, 100, nil},
		{"one codec more", MaxCodecs + 1, 100, ErrFull},
		{"as large as may be", MaxBytes / formatter.MaxCodec, formatter.MaxCodec, nil},
		{"one script more", MaxBytes/formatter.MaxCodec + 1, formatter.MaxCodec, ErrFull},
	} {
		if err := NewLibrary().Fits(many(tt.codecs, tt.size)); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	l := NewLibrary()
	l.Put(many(MaxCodecs, 100))
	if err := l.Fits(many(10, 200)); err != nil {
		t.Errorf("in the place of others: %v", err)
	}
	if err := l.Fits(acme()); !errors.Is(err, ErrFull) {
		t.Errorf("beside the others: %v", err)
	}
	models, codecs := acme()
	if err := NewLibrary().Fits(models, codecs[:1]); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "acme/two is missing") {
		t.Errorf("without a codec: %v", err)
	}
	if err := NewLibrary().Fits(nil, []*Codec{{}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("an empty codec: %v", err)
	}
	if err := NewLibrary().Fits([]*Model{{}}, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("an empty model: %v", err)
	}
}

// With a model those codecs go that no other has.
func TestOf(t *testing.T) {
	l := library(t)
	for _, tt := range []struct{ name, models, codecs string }{
		{"acme/sensor", "acme/sensor", "acme/two"},
		{"acme/meter", "acme/meter", ""},
		{"acme/bare", "acme/bare", ""},
		{"acme", "acme/bare acme/meter acme/sensor", "acme/one acme/two"},
		{"acm", "", ""},
		{"acme/", "", ""},
		{"", "", ""},
	} {
		models, codecs := l.Of(tt.name)
		if strings.Join(models, " ") != tt.models || strings.Join(codecs, " ") != tt.codecs {
			t.Errorf("%q: %v, %v", tt.name, models, codecs)
		}
	}
	other := []*Model{{Brand: "acme", ID: "sensor", Versions: []Version{{Codecs: map[string]string{"EU_433": "acme/one"}}}}}
	if gone := l.Replaced(other); strings.Join(gone, " ") != "acme/two" {
		t.Errorf("with another sensor %v go", gone)
	}
	if models, _ := acme(); len(l.Replaced(models)) != 0 || len(l.Replaced(nil)) != 0 {
		t.Error("with the same models codecs go")
	}
	models, codecs := l.Of("acme/sensor")
	l.Remove(models, codecs)
	if l.Codec("acme/two") != nil || l.Codec("acme/one") == nil || len(l.Models()) != 2 ||
		l.Models()[0].Key() != "acme/bare" {
		t.Errorf("left are %v", l.Models())
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		is   func(string) bool
		good bool
	}{
		{"a", isID, true},
		{"lse01_v-2", isID, true},
		{strings.Repeat("a", 64), isID, true},
		{strings.Repeat("a", 65), isID, false},
		{"", isID, false},
		{"-a", isID, false},
		{"A", isID, false},
		{"a/b", isID, false},
		{"a\n", isID, false},
		{"é", isID, false},
		{"EU_863_870", isBand, true},
		{strings.Repeat("A", 37), isBand, false},
		{"_EU", isBand, false},
		{"eu", isBand, false},
		{"src/Décodeur v1.2+_-.js", isFile, true},
		{strings.Repeat("é", 128), isFile, true},
		{strings.Repeat("é", 129), isFile, false},
		{"②.js", isFile, true},
		{".js", isFile, false},
		{"../x.js", isFile, false},
		{"a\x1b[2J", isFile, false},
		{"a\xff", isFile, false},
		{"\xff", isFile, false},
		{"a\u202e.js", isFile, false},
	} {
		if tt.is(tt.name) != tt.good {
			t.Errorf("%q: %v", tt.name, !tt.good)
		}
	}
}
