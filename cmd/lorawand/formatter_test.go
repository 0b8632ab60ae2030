//go:build !small

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lorawand/bridge/formatter"
)

// The test program runs scripts in itself, as the daemon does.
func TestMain(m *testing.M) {
	if formatter.IsChild(os.Args) {
		os.Exit(formatter.RunChild())
	}
	if os.Getenv(commandEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A device's queue shows what its downlinks mean, and what cannot be decoded stays as
// it is.
func TestDownlinkListDecodes(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		s.must(formatted(t, map[string]string{"down_formatter": "FORMATTER_JAVASCRIPT", "down_formatter_parameter": `
			function decodeDownlink(i) {
				if (i.bytes[0] > 1) throw new Error("no");
				return {data: {on: i.bytes[0] === 1, port: i.fPort}, warnings: ["w"]};
			}`}),
			"device", "import", "-", "--application", "app1")
		for _, hex := range []string{"01", "02", "00"} {
			s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", hex)
		}
		list := s.must("", "downlink", "list", "app1", "dev1")
		contains(t, "list", list, `f_port 7, 1 bytes: 01, {"on":true,"port":7}, as:downlink:`, "f_port 7, 1 bytes: 02, as:downlink:", `00, {"on":false,"port":7}, as:`)
		contains(t, "list --json", s.must("", "downlink", "list", "app1", "dev1", "--json"), `"decoded_payload":{"on":true,"port":7},"decoded_payload_warnings":["w"]`)
	})
}

// Without a daemon scripts are run as its configuration says.
func TestFormatterSettingsWithoutDaemon(t *testing.T) {
	s := newSite(t, "[formatter]\njavascript = false\n")
	s.must(formatted(t, map[string]string{"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "x"}), "device", "import", "-", "--application", "app1")
	status, _, errOut := s.cli("", "formatter", "test", "app1/dev1", "--hex", "01")
	if status != 1 || !strings.Contains(errOut, "JavaScript formatters are switched off") {
		t.Errorf("%d, %s", status, errOut)
	}
}

func TestFormatterTest(t *testing.T) {
	s := newSite(t, "")
	script := filepath.Join(t.TempDir(), "decoder.js")
	if err := os.WriteFile(script, []byte(`
		function decodeUplink(input) {
			console.log("port", input.fPort, { bytes: input.bytes });
			if (input.bytes.length === 0) throw new Error("no\x1b[2Jbytes");
			if (input.bytes[0] === 0xff) for (;;);
			return { data: { t: input.bytes[0] / 2, recent: new Date() - input.recvTime < 60000 }, warnings: ["w1"] };
		}
		function normalizeUplink(input) { return { data: { air: { temperature: input.data.t } }, warnings: ["n1"] }; }
		function encodeDownlink(input) { return { bytes: [input.data.on ? 1 : 0, input.fPort], fPort: 9 }; }
		function decodeDownlink(input) { return { data: { on: input.bytes[0] === 1 } }; }
	`), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "long.js")
	if err := os.WriteFile(long, make([]byte, formatter.MaxScript+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   string
		status int
		want   []string // in stdout or stderr
	}{
		{script + " --port 2 --hex 2a01", 0, []string{`decoded_payload     {"recent":true,"t":21}`, "w1", `{"air":{"temperature":21}}`, "n1", `port 2 {"bytes":[42,1]}`, "of CPU", "allocated"}},
		{script + " --hex 2a --json", 0, []string{`"decoded_payload":{"recent":true,"t":21}`, `"cpu_us":`, `"normalized_payload_warnings":["n1"]`}},
		{script, 1, []string{"Error: no", "(script)"}},
		{script + " --hex ff", 1, []string{"script timeout", "(script_timeout)"}},
		{script + ` --port 3 --encode {"on":true}`, 0, []string{"frm_payload  0103", "f_port       9"}},
		{script + ` --encode {"on":true} --json`, 0, []string{`"frm_payload":"AQE="`, `"f_port":9`}},
		{script + " --decode-downlink --hex 01", 0, []string{`{"on":true}`}},
		{"cayennelpp --hex 03670110", 0, []string{`{"temperature_3":27.2}`}},
		{"cayennelpp --hex 036701100b74014a", 0, []string{`{"temperature_3":27.2,"voltage_11":3.3}`}},
		{"cayennelpp --hex 036701100b74014a --strict", 0, []string{`{"temperature_3":27.2}`, "unknown type 0x74"}},
		{"cayennelpp --hex 01", 1, []string{"cut short"}},
		{`cayennelpp --encode {"value_2":50.5}`, 0, []string{"0213BA"}},
		{"cayennelpp --decode-downlink --hex 0213ba", 0, []string{`{"value_2":50.5}`}},
		{"", 2, []string{"needs one script"}},
		{script + " --hex 1", 2, []string{"--hex"}},
		{script + " --port 256", 2, []string{"--port"}},
		{script + " --encode [1]", 2, []string{"--encode: not a JSON object"}},
		{script + " --encode {} --hex 01", 2, []string{"--encode: neither"}},
		{"/none.js", 1, []string{"/none.js"}},
		{long, 1, []string{"40961 bytes, more than 40960"}},
	} {
		status, stdout, stderr := s.cli("", append([]string{"formatter", "test"}, strings.Fields(tt.args)...)...)
		all := stdout + stderr
		for _, w := range tt.want {
			if !strings.Contains(all, w) {
				t.Errorf("%s: no %q in\n%s", tt.args, w, all)
			}
		}
		if status != tt.status || strings.Contains(all, "\x1b") {
			t.Errorf("%s: status %d, not %d:\n%q", tt.args, status, tt.status, all)
		}
	}
}
