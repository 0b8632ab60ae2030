package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// abp are the flags of a personalised device.
func abp(addr string) []string {
	return []string{"--dev-addr", addr, "--nwk-s-key", testNwk, "--app-s-key", testApp}
}

// with joins a command line.
func with(args string, more ...string) []string { return append(strings.Fields(args), more...) }

// noted runs a command line that is to succeed, and returns what it says on standard
// error.
func (s *site) noted(args ...string) string {
	s.Helper()
	status, out, errOut := s.cli("", args...)
	if status != 0 {
		s.Errorf("%v: exit status %d\n%s%s", args, status, out, errOut)
	}
	return errOut
}

const lamp = `function decodeUplink(input) { return { data: { on: input.bytes[0] === 1, port: input.fPort }, ` +
	`warnings: ["w1"] }; }
function encodeDownlink(input) { return { bytes: [input.data.on ? 1 : 0], fPort: 9 }; }
function decodeDownlink(input) { return { data: { on: input.bytes[0] === 1 } }; }`

// An application from its first device to its end, with the formatters that its
// devices have of it.
func TestApplicationLife(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		script := s.write("lamp.js", lamp)
		tellsOfNewApplications(t, s, script)
		s.must("", "application", "set", "app1", "--up-formatter", script, "--down-formatter", "cayennelpp")
		list := s.must("", "application", "list")
		contains(t, "list", list, "APPLICATION  DEVICES  KEYS  UP          DOWN\n",
			"app1         2        1     JavaScript  CayenneLPP\n", "app2         0        1     none        none\n")
		contains(t, "list --wide", s.must("", "application", "list", "--wide"), "JavaScript, ")
		get := s.must("", "application", "get", "app1")
		contains(t, "get", get, "application:    app1\n", "devices:        2\n",
			"up formatter:   JavaScript, "+plural(len(lamp), "byte")+"\n", "down formatter: CayenneLPP\n")
		var app struct {
			Formatters struct {
				Up     string `json:"up_formatter"`
				Script string `json:"up_formatter_parameter"`
			} `json:"default_formatters"`
		}
		if err := json.Unmarshal([]byte(s.must("", "application", "get", "app1", "--json")), &app); err != nil ||
			app.Formatters.Script != lamp || app.Formatters.Up != "FORMATTER_JAVASCRIPT" {
			t.Errorf("%+v, %v", app, err)
		}
		contains(t, "device get", s.must("", "device", "get", "dev1", "--application", "app1"),
			"(the application's); down CayenneLPP (the application's)\n")
		contains(t, "device list", s.must("", "device", "list"), "FORMATTERS", "js/lpp")

		// One formatter of its own switches both of the application off.
		contains(t, "set", s.noted(with("device set dev1 --application app1 --up-formatter none")...),
			"dev1: it has no down formatter now")
		contains(t, "its own", s.must("", "device", "get", "dev1", "--application", "app1"),
			"formatters:  up none; down none\n")
		contains(t, "half a default", s.fails("",
			with("device set dev2 --application app1 --up-formatter default --down-formatter none")...), "for both directions")
		s.must("", with("device set dev1 --application app1 --up-formatter default")...)
		contains(t, "default again", s.must("", "device", "get", "dev1", "--application", "app1"), "up JavaScript")
		s.must("", with("device create dev4 --application app1 --up-formatter cayennelpp --down-formatter "+script,
			abp("01000004")...)...)
		export := s.must("", "device", "export", "dev4", "--application", "app1")
		contains(t, "created with its own", export, `"formatters":{"up_formatter":"FORMATTER_CAYENNELPP","down_formatter":"FORMATTER_JAVASCRIPT","down_formatter_parameter":"function`)

		contains(t, "not empty", s.fails("", "application", "delete", "app1"),
			"app1: it is not empty: it has 3 devices and 1 API keys")
		if out := s.must("", "application", "delete", "app1", "--all"); !strings.HasPrefix(out,
			"Deleted app1 with 3 devices and 1 API key; ") {
			t.Errorf("%s", out)
		}
		contains(t, "after delete", s.fails("", "application", "get", "app1"), "no such application")
		if list := s.must("", "application", "list", "--json"); strings.Count(list, "\n") != 2 ||
			strings.Contains(list, "app1") {
			t.Errorf("%s", list)
		}
	})
}

// tellsOfNewApplications creates two devices and a key of app1, a key of app2 and a
// device of app3: whoever is the first of an application is told that it is new.
func tellsOfNewApplications(t *testing.T, s *site, script string) {
	t.Helper()
	contains(t, "none yet", s.fails("", "application", "set", "app1", "--up-formatter", script), `"app1": no such application; its first API key or device`)
	contains(t, "the first device", s.noted(with("device create dev1 --application app1", abp("01000001")...)...),
		"lorawand: app1 is a new application\n")
	for _, next := range [][]string{
		with("device create dev2 --application app1", abp("01000002")...),
		{"api-key", "create", "--application", "app1"},
	} {
		if out := s.noted(next...); strings.Contains(out, "new application") {
			t.Errorf("%v: %s", next, out)
		}
	}
	contains(t, "the first key", s.noted("api-key", "create", "--application", "app2"),
		"lorawand: app2 is a new application\n")
	file := s.write("devices.json", deviceJSON("dev3", "01000003"))
	if out := s.noted("device", "import", file, "--application", "app3", "--dry-run"); strings.Contains(out,
		"new application") {
		t.Errorf("a dry run: %s", out)
	}
	contains(t, "the first import", s.noted("device", "import", file, "--application", "app3"),
		"lorawand: app3 is a new application\n")
}

// The lists fit a terminal of 80 columns, whatever the ids are.
func TestListsFit(t *testing.T) {
	s := newSite(t, "")
	long := strings.Repeat("a", 36)
	s.must("", with("device create dev1 --up-formatter repository --brand brand-with-a-name --model "+
		"model-with-a-long-name --application "+long, abp("01000001")...)...)
	s.must("", "application", "set", long, "--up-formatter", "repository", "--down-formatter", "repository")
	dir := repositoryCopy(t, map[string]string{
		"vendor/brand-with-a-name/index.yaml": "endDevices: [model-with-a-long-name]\n",
		"vendor/brand-with-a-name/model-with-a-long-name.yaml": "firmwareVersions: [{version: 1.0.0-rc1, profiles: " +
			"{EU863-870: {codec: c}}}, {version: 2.0.0-rc1, profiles: {EU863-870: {codec: c}}}]\n",
		"vendor/brand-with-a-name/c.yaml": "uplinkDecoder: {fileName: c.js}\n",
		"vendor/brand-with-a-name/c.js":   lamp,
	})
	s.must("", "codec", "import", dir)
	for _, list := range []string{"application list", "codec list"} {
		for line := range strings.Lines(s.must("", strings.Fields(list)...)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", list, n, line)
			}
		}
	}
	contains(t, "codec list --wide", s.must("", "codec", "list", "--wide"), "brand-with-a-name/model-with-a-long-name",
		"firmware 2.0.0-rc1, EU_863_870: brand-with-a-name/c")
}

// The settings of applications are there after the daemon has ended in any way, and in a
// backup.
func TestApplicationsLast(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	script := s.write("lamp.js", lamp)
	s.must("", with("device create dev1 --up-formatter repository --brand acme --model sensor --application app1",
		abp("01000001")...)...)
	s.must("", "application", "set", "app1", "--down-formatter", script)
	s.must("", "codec", "import", repositoryCopy(t, nil))
	is := func(what string, s *site) {
		t.Helper()
		contains(t, what, s.must("", "application", "list"), "none  JavaScript")
		contains(t, what, s.must("", "device", "get", "dev1", "--application", "app1"), "up repository: acme/sensor-codec, ")
		contains(t, what, s.must("", "codec", "list"), "acme/sensor")
	}
	is("at once", s)
	// What is on the disk now is what a power cut leaves.
	killed := newSite(t, "")
	if err := os.CopyFS(killed.dir+"/store", os.DirFS(s.dir+"/store")); err != nil {
		t.Fatal(err)
	}
	is("after a power cut", killed)
	backup := s.must("", "backup", "-")
	r.stop()
	is("without the daemon", s)
	r = s.start()
	is("after a restart", s)
	s.must("", "application", "delete", "app1", "--all")
	s.must("", "codec", "delete", "acme")
	r.stop()
	s.must(backup, "restore", "-")
	is("restored", s)
}

// The shell completes the words that stand for formatters.
func TestCompleteFormatters(t *testing.T) {
	for args, want := range map[string]string{
		"device set dev1 --up-formatter":        "cayennelpp\nrepository\nnone\ndefault\n",
		"device create dev1 --down-formatter":   "cayennelpp\nrepository\nnone\ndefault\n",
		"application set app1 --down-formatter": "cayennelpp\nrepository\nnone\n",
	} {
		var out bytes.Buffer
		words := append(with("__complete "+args), "")
		if status := run(t.Context(), words, nil, &out, io.Discard); status != 0 || out.String() != want+":0\n" {
			t.Errorf("%s: exit status %d, %q", args, status, out.String())
		}
	}
}

// Deleting an application closes the connections of its keys.
func TestApplicationDeleteDisconnects(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r.watch("app1", key, "#")
	if out := s.must("", "application", "delete", "app1", "--all"); !strings.Contains(out, "ended: 1.") {
		t.Errorf("%s", out)
	}
}

// repositoryCopy writes a small copy of a device repository and returns its folder.
func repositoryCopy(t *testing.T, files map[string]string) string {
	t.Helper()
	if files == nil {
		files = map[string]string{
			"vendor/index.yaml":      "vendors: [{id: acme}]\n",
			"vendor/acme/index.yaml": "endDevices: [sensor, meter]\n",
			"vendor/acme/sensor.yaml": "firmwareVersions: [{version: '1.0', profiles: {EU863-870: {codec: " +
				"sensor-codec}}}]\n",
			"vendor/acme/meter.yaml": "firmwareVersions: [{version: '1.0', profiles: {EU863-870: {codec: " +
				"sensor-codec}}}]\n",
			"vendor/acme/sensor-codec.yaml":   sensorCodec,
			"vendor/acme/lamp.js":             lamp,
			"vendor/nobody/index.yaml":        "endDevices: []\n",
			"vendor/acme/sensor-profile.yaml": "macVersion: 1.0.3\n",
		}
	}
	dir := t.TempDir()
	for name, text := range files {
		path := dir + "/" + name
		if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const sensorCodec = `uplinkDecoder:
  fileName: lamp.js
  examples:
  - description: on
    input: {fPort: 2, bytes: [1]}
    output: {data: {on: true, port: 2}, warnings: [w1]}
downlinkEncoder:
  fileName: lamp.js
  examples:
  - description: off
    input: {data: {on: false}}
    output: {bytes: [0], fPort: 9}
downlinkDecoder:
  fileName: lamp.js
  examples:
  - input: {fPort: 9, bytes: [1]}
    output: {data: {on: true}}
`
