package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
)

// A device is told what it lacks, and has it when it is imported.
func TestCodecImport(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		dir := repositoryCopy(t, nil)
		device := strings.Replace(deviceJSON("dev1", "01000001"), `"session"`, `"version_ids":{"brand_id":"acme","model_id":"sensor","firmware_version":"1.0","band_id":"EU_863_870"},`+
			`"formatters":{"up_formatter":"FORMATTER_REPOSITORY","down_formatter":"FORMATTER_REPOSITORY"},"session"`, 1)
		second := strings.NewReplacer("dev1", "dev2", "01000001", "01000002").Replace(device)
		file := s.write("devices.json", device+"\n"+second)
		missing := []string{"no codec: that of acme/sensor is not imported; lorawand codec import reads it from a copy of " +
			"github.com/TheThingsNetwork/lorawan-devices"}
		contains(t, "import", s.noted("device", "import", file, "--application", "app1"),
			append(missing, "line 1: dev1", "(and of 1 devices more)")...)
		status, list, errOut := s.cli("", "device", "list")
		if status != 0 || !strings.Contains(list, "codec?/codec?") {
			t.Errorf("%d, %s", status, list)
		}
		contains(t, "list", errOut, append(missing, "app1/dev1: ", "(and of 1 devices more)")...)
		contains(t, "get", s.must("", "device", "get", "dev1", "--application", "app1"),
			append(missing, "up repository, which cannot be used")...)
		contains(t, "formatter test", s.fails("", "formatter", "test", "app1/dev1", "--hex", "01"), missing...)

		if out := s.must("", "codec", "import", dir, "--needed"); out != "Imported 1 model with 1 codec of 1 kB.\n" {
			t.Errorf("%s", out)
		}
		contains(t, "codec list", s.must("", "codec", "list"), "MODEL        FIRMWARE  CODECS  BYTES  DEVICES\n",
			"acme/sensor  1.0       1       286    2\n")
		if status, list, errOut := s.cli("", "device", "list"); status != 0 || errOut != "" ||
			!strings.Contains(list, "codec/codec") {
			t.Errorf("%d, %s%s", status, list, errOut)
		}
		out := s.must("", "formatter", "test", "app1/dev1", "--port", "2", "--hex", "01")
		contains(t, "formatter test", out, "app1/dev1: repository: acme/sensor-codec, ", `{"on":true,"port":2}`, "w1", "of CPU", "allocated")
		contains(t, "encode", s.must("", "formatter", "test", "app1/dev1", "--encode", `{"on":true}`), "frm_payload  01", "f_port       9")
		contains(t, "decode", s.must("", "formatter", "test", "app1/dev1", "--decode-downlink", "--hex", "01"), `{"on":true}`)
		contains(t, "--json", s.must("", "formatter", "test", "app1/dev1", "--hex", "01", "--json"), `"decoded_payload":{"on":true,"port":1}`, `"cpu_us":`)

		for _, path := range []string{dir, dir + "/vendor", dir + "/vendor/acme"} {
			if out := s.must("", "codec", "import", path); out != "Imported 2 models with 1 codec of 1 kB.\n" {
				t.Errorf("%s: %s", path, out)
			}
		}
		s.must("", "codec", "delete", "acme/sensor")
		if out := s.must("", "codec", "import", dir+
			"/vendor/acme/sensor.yaml"); out != "Imported 1 model with 1 codec of 1 kB.\n" {
			t.Errorf("%s", out)
		}
		if list := s.must("", "codec", "list", "--json"); strings.Count(list, "\n") != 2 || !strings.Contains(list, `"model_id":"sensor"`) {
			t.Errorf("%s", list)
		}
		if out := s.must("", "codec", "delete", "acme"); out != "Deleted 2 models and 1 codec.\n" {
			t.Errorf("%s", out)
		}
	})
}

// The maker's examples are compared with what the codec does, and nothing is imported.
func TestCodecCheck(t *testing.T) {
	s := newSite(t, "")
	good := repositoryCopy(t, nil)
	if out := s.must("", "codec", "import", good,
		"--check"); out != "3 examples of 1 codec: 3 as their makers say, 0 not.\n" {
		t.Errorf("%s", out)
	}
	if list := s.must("", "codec", "list", "--json"); list != "" {
		t.Errorf("a check has imported %s", list)
	}
	for _, tt := range []struct {
		name, codec, script string
		want                []string
	}{
		{"no examples", "uplinkDecoder: {fileName: lamp.js}\n", lamp, []string{
			"acme/sensor-codec: has no examples\n",
			"0 examples of 1 codec",
		}},
		{"other data", strings.Replace(sensorCodec, "on: true, port: 2", "on: true, port: 3", 1), lamp, []string{`acme/sensor-codec: uplink decoder: on: data is {"on":true,"port":2}, not {"on":true,"port":3}`, "2 as their makers say, 1 not."}},
		{
			"other bytes", strings.Replace(sensorCodec, "bytes: [0], fPort: 9", "bytes: [0, 1]", 1), lamp,
			[]string{"downlink encoder: off: bytes is [0], not [0,1]"},
		},
		{
			"an error", sensorCodec, "function decodeUplink() { throw new Error('no\x1b[2J'); }",
			[]string{"uplink decoder: on: error is", "3 not."},
		},
		{"a script without end", sensorCodec, "for (;;);", []string{"script timeout", "3 not."}},
		{"no script at all", sensorCodec, "", []string{"3 not."}},
		{
			"an example of another form", sensorCodec + "  - {input: {bytes: '01'}, output: {}}\n", lamp,
			[]string{"downlink decoder: example 2: cannot be used", "3 as their makers say, 1 not."},
		},
	} {
		dir := repositoryCopy(t, nil)
		for name, text := range map[string]string{"sensor-codec.yaml": tt.codec, "lamp.js": tt.script} {
			if err := os.WriteFile(filepath.Join(dir, "vendor/acme", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		status, out, errOut := s.cli("", "codec", "import", dir, "--check")
		if wrong := !strings.Contains(out, ", 0 not."); wrong != (status == 1) {
			t.Errorf("%s: exit status %d\n%s%s", tt.name, status, out, errOut)
		}
		contains(t, tt.name, out, tt.want...)
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: %q", tt.name, out)
		}
	}
}

// A codec that cannot be imported is named, and changes nothing.
func TestCodecImportRefused(t *testing.T) {
	s := newSite(t, "")
	dir := repositoryCopy(t, nil)
	if err := os.WriteFile(dir+"/vendor/acme/meter.yaml", []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "a model of a folder", s.noted("codec", "import", dir),
		"lorawand: left out: acme/meter: acme/meter.yaml: cannot be used")
	contains(t, "a file", s.fails("", "codec", "import", dir+"/vendor/acme/sensor.yaml", dir+"/vendor/acme/meter.yaml"),
		"meter.yaml: acme/meter.yaml: cannot be used")
	for _, tt := range []struct{ path, want string }{
		{"/none", "/none: no such file"},
		{dir + "/vendor/acme/lamp.js", "not the MODEL.yaml of a device"},
		{dir + "/vendor/acme/sensor-profile.yaml", "it names no codec"},
		{dir + "/vendor/nobody", "no codec found"},
		{t.TempDir(), "no codec found"},
	} {
		contains(t, tt.path, s.fails("", "codec", "import", tt.path), tt.want)
	}
	contains(t, "nothing needed", s.fails("", "codec", "import", dir, "--needed"),
		"no codec of a model that a registered device is of")
	many := map[string]string{}
	for i := range codec.MaxCodecs + 1 {
		name := "m" + strings.Repeat("x", i%50) + string(rune('a'+i/50))
		many["vendor/acme/"+name+".yaml"] = "firmwareVersions: [{version: 1, profiles: {EU433: {codec: " + name +
			"-codec}}}]\n"
		many["vendor/acme/"+name+"-codec.yaml"] = "uplinkDecoder: {fileName: a.js}\n"
	}
	many["vendor/acme/a.js"] = lamp
	contains(t, "too many", s.fails("", "codec", "import", repositoryCopy(t, many)+"/vendor/acme"),
		"too many codecs: they would be ", "at most 512 with 256 of 2048 kB", "--needed")
}

// A maker's codec may be longer than the script that a device is given: it is
// checked, imported and run all the same.
func TestLongCodecImport(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		dir := repositoryCopy(t, nil)
		write := func(size int) {
			script := lamp + strings.Repeat("// a table of the maker\n", (size-len(lamp))/24)
			if err := os.WriteFile(dir+"/vendor/acme/lamp.js", []byte(script+strings.Repeat("\n", size-len(script))),
				0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(formatter.MaxCodec)
		if out := s.must("", "codec", "import", dir,
			"--check"); out != "3 examples of 1 codec: 3 as their makers say, 0 not.\n" {
			t.Errorf("%s", out)
		}
		if out := s.must("", "codec", "import", dir); out != "Imported 2 models with 1 codec of 384 kB.\n" {
			t.Errorf("%s", out)
		}
		device := strings.Replace(deviceJSON("dev1", "01000001"), `"session"`, `"version_ids":{"brand_id":"acme","model_id":"sensor"},`+
			`"formatters":{"up_formatter":"FORMATTER_REPOSITORY"},"session"`, 1)
		s.must("", "device", "import", s.write("devices.json", device), "--application", "app1")
		contains(t, "formatter test", s.must("", "formatter", "test", "app1/dev1", "--port", "2", "--hex", "01"), `{"on":true,"port":2}`)
		write(formatter.MaxCodec + 1)
		contains(t, "too long", s.fails("", "codec", "import", dir), "more than 393216 bytes")
	})
}
