package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
)

var usages = []struct {
	args   string
	status int
	want   string // in stdout or stderr
}{
	{"", 0, "Available Commands"},
	{"help", 0, "Available Commands"},
	{"device", 0, "import"},
	{"version", 0, "lorawand development"},
	{"version --json", 0, `"target":"linux/`},
	{"config check", 0, "good: 1 gateway."},
	{"config default", 0, "[store]"},
	{"nonsense", 2, `"nonsense"`},
	{"config nonsense", 2, `"nonsense"`},
	{"--nonsense", 2, "--nonsense"},
	{"run now", 2, `"now"`},
	{"demo --devices 0", 2, "--devices: 0, must be 1 to 200"},
	{"demo --speed 0", 2, "--speed"},
	{"demo --duration -1s", 2, "--duration"},
	{"demo --radio lorawan", 2, "--radio"},
	{"demo --devices many", 2, "--devices"},
	{"device import", 2, "needs a file"},
	{"device import -", 2, "--application"},
	{"device import - --application A", 2, "--application: not an id"},
	{"device import /none --application app1", 1, "/none"},
	{"api-key create", 2, "--application"},
	{"api-key revoke", 2, "needs one id"},
	{"api-key revoke X", 1, "no such API key"},
	{"device create", 2, "needs one device id"},
	{"device create Dev", 2, "not an id"},
	{"device create dev1", 2, "--application"},
	{"device create dev1 --application app1", 2, "neither joins nor has a session"},
	{"device create dev1 --application app1 --dev-eui 12", 2, "--dev-eui: malformed identifier"},
	{"device create dev1 --application app1 --app-key 12", 2, "--app-key: a key has 32"},
	{"device create dev1 --application app1 --class D", 2, "--class: \"D\", must be A, B or C"},
	{
		"device create dev1 --application app1 --nwk-s-key " + testNwk + " --f-nwk-s-int-key " + testApp, 2,
		"--f-nwk-s-int-key: given twice",
	},
	{"device set dev1 --application app1", 2, "nothing to set"},
	{"device set dev1 --application app1 --name x", 1, "app1/dev1: no such device"},
	{"device get dev1", 2, "--application"},
	{"device get dev1 --application app1", 1, "app1/dev1: no such device"},
	{"device delete --application app1", 2, "no device id"},
	{"device delete dev1 dev2 --application app1", 1, "app1/dev2: no such device"},
	{"device export dev1", 2, "--application"},
	{"device export dev1 --application app1", 1, "no such device"},
	{"device list x", 2, `"x"`},
	{"downlink push app1", 2, "needs an application and a device id"},
	{"downlink push app1 dev1", 2, "--f-port: missing"},
	{"downlink push app1 dev1 --f-port 256", 2, "--f-port"},
	{"downlink push app1 dev1 --f-port 1", 2, "no payload"},
	{"downlink push app1 dev1 --f-port 1 --hex 1", 2, "--hex"},
	{"downlink push app1 dev1 --f-port 1 --frm-payload %", 2, "--frm-payload"},
	{"downlink push app1 dev1 --f-port 1 --hex 01 --frm-payload AQ==", 2, "not both"},
	{"downlink push app1 dev1 --f-port 1 --hex 01 --priority soon", 2, "--priority"},
	{"downlink push app1 dev1 --f-port 1 --hex 01", 1, "not found (device_not_found)"},
	{"downlink push app1 dev1 -", 1, "not JSON"},
	{"downlink replace app1 dev1 - --f-port 1", 2, "not both"},
	{"downlink list app1 dev1", 1, "no such device"},
	{"downlink clear app1", 2, "needs an application"},
	{"why", 2, "needs one correlation id"},
	{"why a b", 2, "needs one correlation id"},
	{"events now", 2, `"now"`},
	{"application", 0, "delete"},
	{"application list x", 2, `"x"`},
	{"application get", 2, "needs one application id"},
	{"application get A", 2, "not an id"},
	{"application get app1", 1, `"app1": no such application`},
	{"application set app1", 2, "nothing to set"},
	{"application set app1 app2 --up-formatter none", 2, "needs one application id"},
	{"application set app1 --up-formatter default", 2, "--up-formatter: default is for devices"},
	{"application set app1 --up-formatter=", 2, "--up-formatter: empty"},
	{"application set app1 --down-formatter /none.js", 1, "--down-formatter: open /none.js"},
	{"application set app1 --down-formatter /dev/zero", 1, "--down-formatter: /dev/zero: more than 40960 bytes"},
	{"application set app1 --down-formatter none", 1, "no such application"},
	{"application delete", 2, "needs one application id"},
	{"application delete app1 --all", 1, "no such application"},
	{"codec", 0, "import"},
	{"codec import", 2, "needs a folder or a file"},
	{"codec list x", 2, `"x"`},
	{"codec delete", 2, "needs one model or brand"},
	{"codec delete acme", 1, `"acme": no codec of such a brand or model`},
	{"device set dev1 --application app1 --up-formatter cayennelpp", 1, "app1/dev1: no such device"},
	{"device set dev1 --application app1 --up-formatter /dev/zero", 1, "more than 40960 bytes"},
	{"device create dev1 --application app1 --dev-addr 01000001 --nwk-s-key " + testNwk + " --app-s-key " + testApp +
		" --up-formatter none --down-formatter default", 2, "for both directions"},
	{"formatter test app1/dev1 --hex 01", 1, "app1/dev1: no such device"},
	{"formatter test app1/dev1 --strict", 2, "--strict: only for cayennelpp"},
	{"gateway", 0, "list"},
	{"gateway list x", 2, `"x"`},
	{"gateway airtime x y", 2, `"y"`},
	{"status x", 2, `"x"`},
	{"status --endurance much", 2, `--endurance: "much" is no size`},
	{"status --endurance 0GB", 2, "--endurance"},
	{"backup", 2, "needs one FILE"},
	{"restore a b", 2, "needs one FILE"},
	{"restore /none", 1, "/none"},
	{"backup /none/x", 1, "/none"},
	{"replay a b", 2, "needs one FILE"},
	{"api-key create --application app1 --rights all,none", 2, `--rights: no such right: "none"`},
	{"api-key create --application app1 --expires soon", 2, "--expires"},
	{"api-key create --application app1 --import NNSXS.A.B", 1, "no API key of the form"},
}

func TestUsage(t *testing.T) {
	s := newSite(t, "")
	for _, tt := range usages {
		status, out, errOut := s.cli("", strings.Fields(tt.args)...)
		if status != tt.status || !strings.Contains(out+errOut, tt.want) {
			t.Errorf("%q: exit status %d, want %d with %q\n%s%s", tt.args, status, tt.status, tt.want, out, errOut)
		}
		for line := range strings.Lines(errOut) {
			if status != 0 && !strings.HasPrefix(line, "lorawand: ") {
				t.Errorf("%q: error line %q", tt.args, line)
			}
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	s := newSite(t, "colour = 1\n[x]\n")
	for _, args := range []string{
		"config check", "run", "device import - --application app1",
		"api-key create --application app1",
	} {
		status, out, errOut := s.cli("", strings.Fields(args)...)
		if status != 2 || strings.Count(errOut, s.conf) != 2 || !strings.Contains(errOut, "colour: unknown key") ||
			out != "" {
			t.Errorf("%s: exit status %d\n%s%s", args, status, out, errOut)
		}
	}
	s = newSite(t, "driver = \"virtual\"")
	status, _, errOut := s.cli("", "run")
	if status != 2 || !strings.Contains(errOut, `not served by this version: [gateway[0].driver = "virtual"]`) {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	if status, _, errOut := s.cli("", "config", "check"); status != 0 || !strings.Contains(errOut, "not served") {
		t.Errorf("config check: exit status %d\n%s", status, errOut)
	}
	none := filepath.Join(s.dir, "none.toml")
	var buf bytes.Buffer
	if status := run(context.Background(), []string{"config", "check", "--config", none}, nil, io.Discard,
		&buf); status != 2 || !strings.Contains(buf.String(), none) {
		t.Errorf("exit status %d\n%s", status, buf.String())
	}
	t.Setenv("LORAWAND_CONFIG", s.conf)
	if status := run(context.Background(), []string{"config", "check"}, nil, io.Discard, &buf); status != 0 {
		t.Errorf("with $LORAWAND_CONFIG: exit status %d\n%s", status, buf.String())
	}
}

// All devices of all files are imported, or none.
func TestImport(t *testing.T) {
	s := newSite(t, "")
	one, two := deviceJSON("dev1", "01000001"), strings.Replace(deviceJSON("dev2", "01000002"), "MAC_V1_0_3", "MAC_V9", 1)
	good := s.write("good.json", one+"\n"+two+"\n")
	bad := s.write("bad.json", "\n"+deviceJSON("dev3", "01000003")+"\n"+deviceJSON("dev4", "zz")+"\n"+
		deviceJSON("Dev 5", "01000005"))

	status, out, errOut := s.cli("", "device", "import", good, bad, "--application", "app1")
	if status != 1 || out != "" || !strings.Contains(errOut, bad+": line 3: dev4: session.dev_addr") ||
		!strings.Contains(errOut, bad+": line 4: Dev 5: device id") {
		t.Errorf("exit status %d\n%s%s", status, out, errOut)
	}
	if out := s.must("", "device", "import", good, "--application", "app1",
		"--dry-run"); out != "Would import 2 devices into app1.\n" {
		t.Errorf("dry run: %s", out)
	}
	if r := s.start(); r.d.state.Devices.Len() != 0 {
		t.Errorf("%d devices after a refused import and a dry run", r.d.state.Devices.Len())
	} else {
		r.stop()
	}
	status, out, errOut = s.cli("", "device", "import", good, "--application", "app1")
	if status != 0 || out != "Imported 2 devices into app1.\n" || !strings.Contains(errOut,
		good+": line 2: dev2: not served by this version: lorawan_version") {
		t.Errorf("exit status %d\n%s%s", status, out, errOut)
	}
	status, _, errOut = s.cli(one, "device", "import", "-", "--application", "app1")
	if status != 1 || !strings.Contains(errOut, "-: line 1: app1/dev1: exists already; --update replaces it") {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	if status, _, errOut = s.cli(one+one, "device", "import", "-", "--application", "app2"); status != 1 ||
		!strings.Contains(errOut, "-: line 1: app2/dev1: is named twice") {
		t.Errorf("twice in one file: exit status %d\n%s", status, errOut)
	}
	s.must(strings.Replace(one, `"dev_addr"`, `"last_f_cnt_up":7,"dev_addr"`, 1), "device", "import", "-", "--application", "app1", "--update")
	s.must(one, "device", "import", "-", "--application", "app1", "--update") // the counter does not go back
	r := s.start()
	for _, d := range r.d.state.Devices.All() {
		if d.ID.Device == "dev1" && (d.Session.FCntUp != 7 || !d.Session.Heard) {
			t.Errorf("the counter has gone back to %d", d.Session.FCntUp)
		}
	}
}

func TestCreateKey(t *testing.T) {
	s := newSite(t, "")
	status, key, errOut := s.cli("", "api-key", "create", "--application", "app1", "--rights", "traffic-read", "--name",
		"x", "--expires", "2000-01-01")
	if status != 0 || strings.Count(key, "\n") != 1 || !strings.HasPrefix(key, "NNSXS.") {
		t.Fatalf("exit status %d\n%s%s", status, key, errOut)
	}
	for _, want := range []string{
		"Host:      127.0.0.1:0", "User name: app1",
		`mosquitto_sub -h 127.0.0.1 -p 0 -t "#" -u app1 -P "KEY" -d`,
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("%q is not in\n%s", want, errOut)
		}
	}
	if strings.Contains(errOut, strings.TrimSpace(key)) {
		t.Error("the key stands on standard error, though standard output is no terminal")
	}
	const theirs = "NNSXS.VEEBURF3KR77ZRXXXXXXXXXXXXXXXXXXXXXXXXX.ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST"
	if out := s.must("", "api-key", "create", "--application", "app1", "--import",
		theirs); strings.TrimSpace(out) != theirs {
		t.Errorf("imported key: %s", out)
	}
	if status, _, errOut := s.cli("", "api-key", "create", "--application", "app1", "--import", theirs); status != 1 ||
		!strings.Contains(errOut, "exists already") {
		t.Errorf("the same key twice: exit status %d\n%s", status, errOut)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "store", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var stored []byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, b...)
	}
	if !bytes.Contains(stored, []byte("api-key")) || bytes.Contains(stored, []byte(theirs[len("NNSXS.")+40:])) {
		t.Errorf("no key stands in the store, or its secret does: %d bytes in %v", len(stored), files)
	}
	r := s.start()
	r.watch("app1", theirs, "#")
}

func TestRunCommand(t *testing.T) {
	s := newSite(t, "")
	var errOut lockedWriter
	var text bytes.Buffer
	errOut.w = &text
	cancel, done := beside(t, func(ctx context.Context) int {
		return run(ctx, []string{"run", "-c", s.conf}, nil, io.Discard, &errOut)
	})
	seen := func(what string) bool {
		errOut.mu.Lock()
		defer errOut.mu.Unlock()
		return strings.Contains(text.String(), what)
	}
	eventually(t, patience, "it listens", func() bool {
		return seen("listening for MQTT clients") && seen("listening for packet forwarders")
	})
	status, _, second := s.cli("", "run")
	if status != 1 || !strings.Contains(second, "in use") {
		t.Errorf("a second daemon: exit status %d\n%s", status, second)
	}
	cancel()
	select {
	case status := <-done:
		if status != 0 || !seen("lorawand stops") {
			t.Errorf("exit status %d\n%s", status, text.String())
		}
	case <-time.After(5 * time.Second):
		t.Error("it does not stop within 5 s")
	}
}

// A log that nobody reads holds up nobody.
func TestStuckLog(t *testing.T) {
	r, w := io.Pipe()
	log, flush := newLogger(config.Log{Level: "info", Format: "text"}, new(slog.LevelVar), w)
	begin := time.Now()
	for i := range 5000 {
		log.Info("line", "i", i)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("5000 lines took %v", d)
	}
	var text bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&text, r)
	}()
	flush()
	_ = w.Close()
	<-done
	if !strings.Contains(text.String(), "i=0") || !strings.Contains(text.String(), "log lines dropped") {
		t.Errorf("%d bytes of log", text.Len())
	}
	log.Info("after the end")

	// One that is stuck for good does not hold up the end for long.
	_, w = io.Pipe()
	log, flush = newLogger(config.Log{Level: "info", Format: "json"}, new(slog.LevelVar), w)
	log.Info("x")
	begin = time.Now()
	flush()
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("the end took %v", d)
	}
}

func TestJournal(t *testing.T) {
	line := func(format string) string {
		var b bytes.Buffer
		log, flush := newLogger(config.Log{Level: "warn", Format: format}, new(slog.LevelVar), &b)
		log.Info("quiet")
		log.Warn("loud", "n", 1)
		flush()
		return b.String()
	}
	if got := line("text"); !strings.HasPrefix(got, "time=") || strings.Contains(got, "quiet") {
		t.Errorf("%s", got)
	}
	t.Setenv("JOURNAL_STREAM", "8:1")
	if got := line("text"); got != "level=WARN msg=loud n=1\n" {
		t.Errorf("%s", got)
	}
	if got := line("json"); got != `{"level":"WARN","msg":"loud","n":1}`+"\n" {
		t.Errorf("%s", got)
	}
}

func TestPartsThatFail(t *testing.T) {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	stop := stage(ctx, fail, func(ctx context.Context) error { <-ctx.Done(); return nil })
	broken := stage(ctx, fail, func(context.Context) error { return fmt.Errorf("broken") })
	<-ctx.Done()
	stop()
	broken()
	if err := context.Cause(ctx); err == nil || err.Error() != "broken" {
		t.Errorf("cause %v", err)
	}
	s := newSite(t, "")
	c, err := config.Load(s.conf, true)
	if err != nil {
		t.Fatal(err)
	}
	r := s.start()
	c.Store.Path = filepath.Join(s.dir, "other")
	c.MQTT.Listen = []string{r.d.mqttAddr().String()}
	if _, err := newDaemon(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port that is taken: %v", err)
	}
	c.MQTT.Listen, c.UDP.Listen = []string{"127.0.0.1:0"}, r.d.udp.Addr().String()
	if _, err := newDaemon(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a UDP port that is taken: %v", err)
	}
	c.UDP.Listen = "127.0.0.1:0"
	if _, err := newDaemon(c, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("a control socket that is taken: %v", err)
	}
	c.Control.Socket = filepath.Join(s.dir, "other.sock")
	d, err := newDaemon(c, slog.New(slog.DiscardHandler)) // everything was freed
	if err != nil {
		t.Fatal(err)
	}
	d.close()
}

// A live session of a device that joins says with its MAC state how it is heard;
// without that it is taken only if its owner says so.
func TestImportSessionWithoutState(t *testing.T) {
	s := newSite(t, "")
	device := strings.Replace(deviceJSON("dev1", "01000001"), `"session"`, `"supports_join":true,"root_keys":{"app_key":{"key":"`+testApp+`"}},"session"`, 1)
	if status, _, errOut := s.cli(device, "device", "import", "-", "--application", "app1"); status != 1 ||
		!strings.Contains(errOut, "--assume-plan-defaults") {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
	s.must(device, "device", "import", "-", "--application", "app1", "--assume-plan-defaults")
}
