package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unknownApplication = `"app9": no such application; its first API key or device brings it into being`

// Common mistakes on the command line, each with the exact line that tells of it.
func TestMistakenUsage(t *testing.T) {
	s := newSite(t, "")
	abp := " --dev-addr 01ABCDEF --nwk-s-key " + testNwk + " --app-s-key " + testApp
	s.must("", strings.Fields("device create app1/dev1"+abp)...)
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"devise list", 2, `lorawand knows no "devise"; did you mean lorawand device?; see lorawand --help`},
		{"device lst", 2, `lorawand device knows no "lst"; did you mean lorawand device list?; see lorawand device --help`},
		{"device frobnicate", 2, `lorawand device knows no "frobnicate"; see lorawand device --help`},
		{"device list --jsn", 2, `unknown flag: --jsn; did you mean --json?; see lorawand device list --help`},
		{"device list --colour", 2, `unknown flag: --colour; see lorawand device list --help`},
		{"demo --devices many", 2, `--devices: "many" is not a number; see lorawand demo --help`},
		{"demo --duration 5", 2, `--duration: 5 has no unit: write 5s if it is in seconds; see lorawand demo --help`},
		{"demo --duration soon", 2, `--duration: "soon" is not a duration such as 15s or 2m; see lorawand demo --help`},
		{"device list --json=maybe", 2, `--json: "maybe" is neither true nor false; see lorawand device list --help`},
		{
			"downlink push app1/dev1 --f-port 256 --hex 01", 2,
			`--f-port: "256" is too large or too small; see lorawand downlink push --help`,
		},
		{
			"downlink push app1/dev1 --f-port 1 --hex 0g", 2,
			`--hex: 'g' is no hexadecimal digit; see lorawand downlink push --help`,
		},
		{
			"downlink push app1/dev1 --f-port 1 --hex 012", 2,
			`--hex: 3 digits, but two make a byte; see lorawand downlink push --help`,
		},
		{
			"downlink push app1/dev1 --f-port 1 --frm-payload %", 2,
			`--frm-payload: "%" is not base64; --hex takes hexadecimal digits; see lorawand downlink push --help`,
		},
		{"downlink push dev1", 2, `lorawand downlink push needs an application and a device id: APPLICATION/DEVICE; ` +
			`see lorawand downlink push --help`},
		{"device get dev1", 2, `--application: missing; or write APPLICATION/dev1; see lorawand device get --help`},
		{"device get app1/dev1 --application app2", 2, `app1/dev1 is not a device of --application app2; ` +
			`see lorawand device get --help`},
		{"device delete app1/dev1 app2/dev2", 2, `app1/dev1 and app2/dev2: all devices must be of one application; ` +
			`see lorawand device delete --help`},
		{"device set app1/dev1 --plan EU868", 2, `--plan: "EU868" is no frequency plan of this version; the nearest are ` +
			`EU_863_870_TTN, EU_863_870, EU_863_870_ROAMING_DRAFT, RU_864_870_TTN; see lorawand device set --help`},
		{"status", 1, `the daemon is not running: no daemon answers on ` + s.dir + `/control.sock; ` +
			`start it: systemctl start lorawand, or lorawand run`},
	} {
		status, _, errOut := s.cli("", strings.Fields(tt.args)...)
		if want := "lorawand: " + tt.want + "\n"; status != tt.status || errOut != want {
			t.Errorf("%s: exit status %d\n%swant\n%s", tt.args, status, errOut, want)
		}
	}
}

// A word where none is taken, and names of what does not exist, each with the exact line.
func TestMistakenNames(t *testing.T) {
	s := newSite(t, "")
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"device list app1", 2, `lorawand device list takes no "app1"; did you mean --application app1?; ` +
			`see lorawand device list --help`},
		{"api-key create --application app1 x", 2, `lorawand api-key create takes no "x"; ` +
			`see lorawand api-key create --help`},
		{"status now", 2, `lorawand status takes no "now"; see lorawand status --help`},
		{"device list --application app9", 0, unknownApplication},
		{"device list --application app9 --json", 0, unknownApplication},
		{"device export --application app9", 0, unknownApplication},
		{"api-key list --application app9", 0, unknownApplication},
		{"mqtt list --application app9", 1, `the daemon is not running: no daemon answers on ` + s.dir +
			`/control.sock; start it: systemctl start lorawand, or lorawand run`},
		{"mqtt list --application APP", 2, `--application: not an id: lower-case letters, digits and single inner ` +
			`dashes, 3 to 36 characters: "APP"; see lorawand mqtt list --help`},
		{"api-key list --application APP", 2, `--application: not an id: lower-case letters, digits and single inner ` +
			`dashes, 3 to 36 characters: "APP"; see lorawand api-key list --help`},
		{"gateway get", 2, `it needs one gateway id or EUI; see lorawand gateway get --help`},
	} {
		status, _, errOut := s.cli("", strings.Fields(tt.args)...)
		if want := "lorawand: " + tt.want + "\n"; status != tt.status || errOut != want {
			t.Errorf("%s: exit status %d\n%swant\n%s", tt.args, status, errOut, want)
		}
	}
}

// A flag by the name that files, other command lines and makers of devices have for it is
// known for what it is.
func TestFlagsOfOthers(t *testing.T) {
	s := newSite(t, "")
	for unknown, flag := range map[string]string{
		"frequency-plan": "plan", "frequency-plan-id": "plan", "frequency_plan_id": "plan",
		"lorawan-version": "version", "mac-version": "version", "lorawan-phy-version": "phy-version",
		"app-eui": "join-eui", "AppEUI": "join-eui", "device-eui": "dev-eui", "ids.dev-eui": "dev-eui",
		"root-keys.app-key.key": "app-key", "application-key": "app-key", "session.dev-addr": "dev-addr",
		"session.keys.app-s-key.key": "app-s-key", "network-session-key": "nwk-s-key",
		"mac-settings.rx1-delay.value": "rx1-delay", "mac-settings.resets-f-cnt": "resets-f-cnt",
		"device-name": "name", "descripton": "description",
		"weather": "",
	} {
		status, _, errOut := s.cli("", "device", "create", "app1/dev1", "--"+unknown, "x")
		want := "lorawand: unknown flag: --" + unknown
		if flag != "" {
			want += "; did you mean --" + flag + "?"
		}
		if want += "; see lorawand device create --help\n"; status != 2 || errOut != want {
			t.Errorf("exit status %d\n%swant\n%s", status, errOut, want)
		}
	}
}

// Variables that set nothing are named, and a missing file says how to get one.
func TestMistakenConfiguration(t *testing.T) {
	unsetVariables(t)
	t.Setenv("LORAWAND_STOR_PATH", "/x")
	s := newSite(t, "")
	const line = "$LORAWAND_STOR_PATH: no such key, it is ignored; did you mean $LORAWAND_STORE_PATH?"
	if status, out, errOut := s.cli("", "config", "check"); status != 0 || errOut != "lorawand: "+line+"\n" {
		t.Errorf("config check: %d, %s%s", status, out, errOut)
	}
	if _, out, _ := s.cli("", "doctor"); !strings.Contains(out, "info  environment: "+line+"; correct or remove it\n") {
		t.Errorf("doctor: %s", out)
	}
	s.conf = filepath.Join(s.dir, "none.toml")
	want := "lorawand: unusable configuration: open " + s.conf + ": no such file or directory; " +
		"lorawand config default prints one to begin with\n"
	if status, _, errOut := s.cli("", "status"); status != 2 || errOut != want {
		t.Errorf("no file: %d, %s", status, errOut)
	}
}

// unsetVariables takes what starts with LORAWAND_ out of the environment, for the
// time of a test: those who run it set some.
func unsetVariables(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "LORAWAND_") {
			t.Setenv(name, "") // is put back at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A device is named in one way by all commands, and what goes is said.
func TestNamesOfDevices(t *testing.T) {
	s := newSite(t, "")
	create := []string{"--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk, "--app-s-key", testApp}
	for _, tt := range []struct{ args, want string }{
		{"device create app1/dev1", "Created app1/dev1: "},
		{"device get app1/dev1", "dev1"},
		{"device get dev1 --application app1", "dev1"},
		{"device get app1/dev1 --application app1", "dev1"},
		{"device set app1/dev1 --name door", ""},
		{"device export app1/dev1", `"device_id":"dev1"`},
		{"downlink push app1/dev1 --f-port 1 --hex BE:EF", "as:downlink:"},
		{"downlink push app1 dev1 --f-port 1 --hex 0xBEEF", "as:downlink:"},
		{"downlink push dev1 --application app1 --f-port 1 --hex be-ef", "as:downlink:"},
		{"downlink list app1/dev1", "2 bytes: BEEF"},
		{"downlink clear app1/dev1", "Emptied the queue of app1/dev1: 3 downlinks.\n"},
		{"downlink clear app1/dev1 --yes", "Emptied the queue of app1/dev1: 0 downlinks.\n"},
		{"device delete app1/dev1", "Deleted 1 device of app1: dev1.\n"},
		{"--version", "lorawand development"},
	} {
		words := strings.Fields(tt.args)
		if strings.HasPrefix(tt.args, "device create") {
			words = append(words, create...)
		}
		if out := s.must("", words...); !strings.Contains(out, tt.want) {
			t.Errorf("%s: no %q in\n%s", tt.args, tt.want, out)
		}
	}
	s.must("", append([]string{"device", "create", "app1/dev1"}, create...)...)
	out := s.must("", "downlink", "push", "app1/dev1", "--f-port", "1", "--hex", "BE EF")
	if !strings.HasPrefix(out, "as:downlink:") {
		t.Errorf("--hex with a blank: %s", out)
	}
}

// A user at the terminal is asked.
func TestAskYes(t *testing.T) {
	for answer, want := range map[string]error{
		"yes\n": nil, "y\n": nil, "YES\n": nil, "yes": nil, "no\n": errDeclined, "\n": errDeclined, "": errDeclined,
	} {
		var out strings.Builder
		err := askYes(strings.NewReader(answer), &out, "Delete it?")
		asked := strings.HasPrefix(out.String(), "Delete it? Type yes to go on: ")
		if !errors.Is(err, want) || (want == nil) != (err == nil) || !asked {
			t.Errorf("%q: %v, %q", answer, err, &out)
		}
	}
	if isTerminal(strings.NewReader("")) || isTerminal(io.Discard) {
		t.Error("what is no file is a terminal")
	}
}

// The error of a socket that cannot be reached says how to get access.
func TestNoAccess(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root may write to each socket: only the text is tested")
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for gid, want := range map[int]string{
		0: "call it as root", 54321: "call it as root, or join its group: usermod -aG 54321 $USER, then log in again",
	} {
		if err := os.Chown(path, -1, gid); err != nil {
			continue // only root may
		}
		if got := socketFix(path); got != want {
			t.Errorf("group %d: %q, want %q", gid, got, want)
		}
	}
	if got := socketFix(path + ".none"); got != "call it as root" {
		t.Errorf("%q", got)
	}
}

// The Makefile says which Go it needs where there is none, or an old one.
func TestOldGo(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"echo go version go1.19.8 linux/amd64", "is needed, and GO is 1.19.8: see https://go.dev/dl\n"},
		{"exit 1", "is needed, and GO is older and cannot fetch it: see https://go.dev/dl\n"},
		{"", "is needed, and there is no GO: see https://go.dev/dl\n"},
		{"echo go version go1.999.1 linux/mips", ""},
	} {
		name := filepath.Join(t.TempDir(), "go")
		if tt.script != "" {
			if err := os.WriteFile(name, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "../..", "go", "GO="+name)
		out, err := cmd.CombinedOutput()
		want := strings.Replace(tt.want, "GO", name, 1)
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, no %q in\n%s", tt.script, err, want, out)
		}
	}
}
