package repository

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// files is a folder of all brands.
func files(changes map[string]string) fstest.MapFS {
	all := map[string]string{
		"index.yaml":      "vendors:\n- id: acme\n  name: Acme\n",
		"acme/index.yaml": "endDevices:\n- sensor\n- meter\n",
		"acme/sensor.yaml": `name: Sensor
hardwareVersions: [{version: 1.0, numeric: 1}]
firmwareVersions:
- version: 1.0
  hardwareVersions: ['a', 1.10]
  profiles:
    EU863-870: {id: sensor-profile, codec: sensor-codec}
    AS923-2: {vendorID: module, id: sensor-profile, codec: module-codec}
    US902-928: {id: sensor-profile}
- version: '2.0'
  profiles:
    EU863-870: {id: sensor-profile, codec: meter-codec}
`,
		"acme/meter.yaml":          "firmwareVersions:\n- version: v1\n  profiles:\n    EU_863_870: {codec: meter-codec}\n",
		"acme/sensor-profile.yaml": "macVersion: 1.0.3\n",
		"acme/sensor-codec.yaml": "uplinkDecoder: {fileName: sensor.js}\ndownlinkEncoder: {fileName: src/down.js}\n" +
			"downlinkDecoder: {fileName: sensor.js}\n",
		"acme/meter-codec.yaml":    "uplinkDecoder:\n  fileName: meter.js\n",
		"acme/sensor.js":           "sensor",
		"acme/src/down.js":         "down",
		"acme/meter.js":            "meter",
		"module/index.yaml":        "endDevices: []\n",
		"module/module-codec.yaml": "uplinkDecoder: {fileName: module.js}\n",
		"module/module.js":         "module",
		"noindex/thing.yaml":       "firmwareVersions: [{version: '1', profiles: {EU433: {codec: thing-codec}}}]\n",
		"noindex/thing-codec.yaml": "uplinkDecoder: {fileName: thing.js}\n",
		"noindex/thing.js":         "thing",
	}
	for name, text := range changes {
		all[name] = text
	}
	out := fstest.MapFS{}
	for name, text := range all {
		if text != "" {
			out[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return out
}

func TestRead(t *testing.T) {
	s, err := Read(files(nil), []Name{{Brand: "acme"}, {Brand: "noindex"}, {"acme", "meter"}, {Brand: "module"}}, nil)
	if err != nil || len(s.Models) != 3 || len(s.Codecs) != 4 || len(s.Faults) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	l := codec.NewLibrary()
	if err := l.Fits(s.Models, s.Codecs); err != nil {
		t.Fatal(err)
	}
	l.Put(s.Models, s.Codecs)
	for _, tt := range []struct{ ids, up, down string }{
		{"acme sensor 1.0 1.10 EU_863_870", "sensor", "down"},
		{"acme sensor 1.0 - AS_923_2", "module", "module"},
		{"acme sensor 2.0 - -", "meter", "meter"},
		{"acme sensor 1.0 - US_902_928", "", ""},
		{"acme meter v1 - EU_863_870", "meter", "meter"},
		{"noindex thing 1 - EU_433", "thing", "thing"},
	} {
		f := strings.Fields(strings.ReplaceAll(tt.ids, "-", ""))
		parts := strings.Fields(tt.ids)
		for i, p := range parts {
			if p == "-" {
				parts[i] = ""
			}
		}
		c, err := l.Find(session.VersionIDs{
			Brand: parts[0], Model: parts[1], Firmware: parts[2], Hardware: parts[3],
			Band: parts[4],
		})
		if err != nil {
			if tt.up != "" {
				t.Errorf("%s: %v", f, err)
			}
			continue
		}
		if up, down := c.Script(formatter.DecodeUplink), c.Script(formatter.EncodeDownlink); up != tt.up || down != tt.down {
			t.Errorf("%s: %q and %q", tt.ids, up, down)
		}
	}
	brands, err := Brands(files(nil))
	if err != nil || fmt.Sprint(brands) != "[acme/ module/]" {
		t.Errorf("%v, %v", brands, err)
	}
	s, err = Read(files(nil), brands, func(n Name) bool { return n.Model == "meter" })
	if err != nil || len(s.Models) != 1 || len(s.Codecs) != 1 {
		t.Errorf("one wanted: %+v, %v", s, err)
	}
}

func TestBands(t *testing.T) {
	for region, want := range map[string]string{
		"EU863-870": "EU_863_870", "US902-928": "US_902_928", "AS923": "AS_923", "AS923-2": "AS_923_2", "EU433": "EU_433",
		"ISM2400": "ISM_2400", "EU_863_870": "EU_863_870", "": "", "868": "868",
	} {
		if got := band(region); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}

// bomb is YAML in which ten aliases of ten aliases … become a thousand million items.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// What cannot be read leaves its model out, says in which file, and costs little.
// badFile is a file of acme that cannot be used, and what is said of it.
type badFile struct {
	name, file, text string
	want             string
}

// checkBadFiles finds that a bad file costs its own model and no other.
func checkBadFiles(t *testing.T, tests []badFile) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Read(files(map[string]string{tt.file: tt.text}), []Name{{"acme", "meter"}, {"noindex", "thing"}}, nil)
			if err != nil || len(s.Models) != 1 || len(s.Faults) != 1 || s.Faults[0].Name.Model != "meter" {
				t.Fatalf("%+v, %v", s, err)
			}
			text := s.Faults[0].Err.Error()
			if !strings.Contains(text, tt.want) || strings.Contains(text, "\n") || len(text) > 500 {
				t.Errorf("%s", text)
			}
		})
	}
}

func TestBadModels(t *testing.T) {
	const model = "acme/meter.yaml"
	checkBadFiles(t, []badFile{
		{"no model", model, "", "acme/meter.yaml: file does not exist"},
		{"not YAML", model, "a: [", "acme/meter.yaml: cannot be used: yaml"},
		{"binary", model, "\x00\x01\xff", "acme/meter.yaml: cannot be used"},
		{"a list", model, "[1, 2]", "cannot be used: yaml"},
		{"text for firmware", model, "firmwareVersions: yes\n", "cannot be used: yaml"},
		{"a map for a version", model, "firmwareVersions: [{version: {a: 1}}]\n", "cannot be used: yaml"},
		{"empty", model, "# nothing\n", "it names no codec"},
		{"no codec", model, "firmwareVersions: [{version: 1, profiles: {EU433: {id: x}}}]\n", "it names no codec"},
		{"a file that is too long", model, "a: " + strings.Repeat("x", maxYAML) + "\n", "more than 1048576 bytes"},
		{"deep nesting", model, "a: " + strings.Repeat("[", 20_000) + "\n", "cannot be used"},
		{"a bomb for firmware", model, bomb() + "firmwareVersions: *a8\n", "cannot be used"},
		{
			"a bomb for hardware versions", model, bomb() + "firmwareVersions: [{version: 1, hardwareVersions: *a8}]\n",
			"cannot be used",
		},
		{"an alias of itself", model, "firmwareVersions: &a [*a]\n", "cannot be used"},
		{"many versions", model, "firmwareVersions: [" +
			strings.Repeat("{version: 1, profiles: {EU433: {codec: meter-codec}}},", 100) + "]", "100 firmware versions"},
		{
			"a strange region", model, "firmwareVersions: [{version: 1, profiles: {'EU 868': {codec: meter-codec}}}]\n",
			`band "EU _868"`,
		},
		{
			"a codec elsewhere", model, "firmwareVersions: [{version: 1, profiles: {EU433: {codec: ../module/module-codec}}}]\n",
			"not a name of a file",
		},
		{
			"a vendor elsewhere", model, "firmwareVersions: [{version: 1, profiles: {EU433: {vendorID: ../.., codec: none}}}]\n",
			"not a name of a file",
		},
		{
			"a codec that is not there", model, "firmwareVersions: [{version: 1, profiles: {EU433: {codec: none}}}]\n",
			"acme/none.yaml: file does not exist",
		},
	})
}

func TestBadCodecs(t *testing.T) {
	const codecFile = "acme/meter-codec.yaml"
	long := strings.Repeat("x", formatter.MaxCodec+1)
	checkBadFiles(t, []badFile{
		{"a codec that is not YAML", codecFile, "uplinkDecoder: [", "acme/meter-codec.yaml: cannot be used"},
		{"a codec without scripts", codecFile, "uplinkDecoder: {}\n", "0 scripts"},
		{
			"a script that is not there", codecFile, "uplinkDecoder: {fileName: none.js}\n",
			"acme/none.js: file does not exist",
		},
		{"a script outside", codecFile, "uplinkDecoder: {fileName: ../module/module.js}\n", "not a file of this folder"},
		{"a script of the system", codecFile, "uplinkDecoder: {fileName: /etc/passwd}\n", "not a file of this folder"},
		{
			"a script with dots", codecFile, "uplinkDecoder: {fileName: src/../../module/module.js}\n",
			"not a file of this folder",
		},
		{"the folder for a script", codecFile, "uplinkDecoder: {fileName: .}\n", "not a file of this folder"},
		{"a folder for a script", codecFile, "uplinkDecoder: {fileName: src}\n", "acme/src: cannot be used: not a file"},
		{"a script that is too long", "acme/meter.js", long, "acme/meter.js: cannot be used: more than 393216 bytes"},
		{"a script name for terminals", codecFile, `uplinkDecoder: {fileName: "a\x1b[2J.js"}` + "\n", "file does not exist"},
		{"a bomb for a script", codecFile, bomb() + "uplinkDecoder: {fileName: *a8}\n", "cannot be used"},
	})
}

func TestBadIndexes(t *testing.T) {
	for name, index := range map[string]string{"not YAML": "[", "a bomb": bomb() + "endDevices: *a8", "text": "endDevices: x"} {
		if s, err := Read(files(map[string]string{"acme/index.yaml": index}), []Name{{Brand: "acme"}}, nil); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	s, err := Read(files(map[string]string{"acme/index.yaml": "endDevices: [../noindex/thing, '', /etc/passwd]"}),
		[]Name{{Brand: "acme"}}, nil)
	if err != nil || len(s.Models) != 0 || len(s.Faults) != 3 {
		t.Errorf("an index that leads outside: %+v, %v", s, err)
	}
	if _, err := Read(files(nil), []Name{{Brand: "nobody"}}, nil); err == nil {
		t.Error("a brand that is not there")
	}
	if _, err := Read(files(nil), []Name{{Brand: "../x"}}, nil); err == nil {
		t.Error("a brand elsewhere")
	}
}

// On a disk links that lead outside are not followed, and a pipe is not waited for.
func TestLinks(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.js")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, files(nil)); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string]func(path string) error{
		"an absolute link":  func(p string) error { return os.Symlink(outside, p) },
		"a relative link":   func(p string) error { return os.Symlink("../../../../../../../.."+outside, p) },
		"a link to itself":  func(p string) error { return os.Symlink(filepath.Base(p), p) },
		"a link to nothing": func(p string) error { return os.Symlink("none", p) },
		"a pipe":            func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a folder":          func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		for _, file := range []string{"acme/meter.js", "acme/meter-codec.yaml", "acme/meter.yaml"} {
			path := filepath.Join(dir, file)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			if s, err := Read(root(t, dir), []Name{{"acme", "meter"}}, nil); err != nil || len(s.Faults) != 1 ||
				len(s.Codecs) != 0 {
				t.Errorf("%s for %s: %+v, %v", name, file, s, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, was, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A link within is as good as a file.
	if err := os.Rename(filepath.Join(dir, "acme/meter.js"), filepath.Join(dir, "acme/real.js")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.js", filepath.Join(dir, "acme/meter.js")); err != nil {
		t.Fatal(err)
	}
	if s, err := Read(root(t, dir), []Name{{"acme", "meter"}}, nil); err != nil || len(s.Codecs) != 1 ||
		s.Codecs[0].Files["meter.js"] != "meter" {
		t.Errorf("a link within: %+v, %v", s, err)
	}
}

func root(t *testing.T, dir string) fs.FS {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.FS()
}
