package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a bug report needs is in one file, which has no secrets: with a daemon and without.
func TestReport(t *testing.T) {
	const password = "horse-battery"
	s := newSite(t, "# a comment with "+password)
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	t.Setenv("LORAWAND_LOG_LEVEL", "debug")
	file := filepath.Join(s.dir, "report.txt")
	check := func(with ...string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, "the report", string(text), with...)
		for _, secret := range []string{password, key[60:], testApp, testEUI.String(), "0102030405060708"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in the report:\n%s", secret, text)
			}
		}
	}
	if _, _, stderr := s.cli("", "doctor", "--report", file); !strings.Contains(stderr, "the report is in "+file) {
		t.Errorf("%s", stderr)
	}
	check("== program ==\nlorawand development", "== doctor ==\n", "== configuration ==\n[store]\n", "eui = \"…0001\"",
		"LORAWAND_LOG_LEVEL=debug", "== daemon ==\n")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	r := s.start()
	all := r.watch("app1", key, "#")
	r.forwarder(testEUI).send(1, "x")
	next(t, all)
	r.d.log.Info("a line of the log", "key", key)
	s.must("", "doctor", "--report", file)
	check("== status ==\nlorawand development", "== problems ==\n", "== gateways ==\neui-…0001 ", "== last events ==\n",
		"== log ==\n")
	if status, out, _ := s.cli("", "doctor", "--report", "-"); status != 0 || !strings.Contains(out, "== status ==") {
		t.Errorf("status %d: %s", status, out)
	}
	if status, _, stderr := s.cli("", "doctor", "--report", s.dir); status != 1 {
		t.Errorf("status %d: %s", status, stderr)
	}
}
