//go:build !small

package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
)

var someExtension = extension{
	Central: config.Central{Address: "192.168.1.10:1700", Key: "NNSXS.KEY", Fingerprint: strings.Repeat("AB:", 31) + "AB"},
	eui:     "0242020000247804", plan: "AU_915_928_FSB_2",
}

// What an owner has written stays; a role and a central of before are replaced.
func TestExtendedConfiguration(t *testing.T) {
	const aBoard = "driver = \"sx1302\"\n[gateway.sx1302]\nboard = \"rak2287\"\n"
	const eui, plan = "eui = \"0242020000247804\"\n", "frequency_plan = \"AU_915_928_FSB_2\"\n"
	const mine = "# mine\n[log]\nlevel = \"warn\" # role = \"server\"\n[[gateway]] # roof\n"
	const central = "\n[central]\naddress = \"192.168.1.10:1700\"\nkey = \"NNSXS.KEY\"\nfingerprint = \"AB:"
	for name, tt := range map[string]struct{ before, want string }{
		"no file":             {"", "role = \"extender\"\n\n[[gateway]]\n" + eui + plan + central},
		"a board":             {mine + aBoard, "role = \"extender\"\n\n" + mine + eui + plan + aBoard + central},
		"a board with an EUI": {mine + eui + aBoard, "role = \"extender\"\n\n" + mine + plan + eui + aBoard + central},
		"a board with both": {
			mine + plan + eui + aBoard, "role = \"extender\"\n\n" + mine + plan + eui + aBoard + central,
		},
		"once more": {
			"role = \"extender\"\n[[gateway]]\n" + eui + plan +
				"\n[central]\naddress = \"old:1\"\nkey = \"old\"\n[log]\nlevel = \"info\"\n",
			"role = \"extender\"\n\n[[gateway]]\n" + eui + plan + "\n[log]\nlevel = \"info\"\n" + central,
		},
	} {
		text := extended(tt.before, &someExtension)
		if !strings.HasPrefix(text, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, text, tt.want)
		}
		if c, err := config.Parse([]byte(text)); err != nil || !c.IsExtender() || c.Central != someExtension.Central ||
			c.Gateways[0].EUI != someExtension.eui || c.Gateways[0].FrequencyPlan != someExtension.plan {
			t.Errorf("%s: %v, %+v", name, err, c.Gateways)
		}
		if again := extended(text, &someExtension); again != text {
			t.Errorf("%s, once more:\n%s\nwant\n%s", name, again, text)
		}
	}
}

// A gateway that has another plan than the central thinks stays as it is, and the owner is told.
func TestExtendAnotherPlan(t *testing.T) {
	s := newSite(t, "frequency_plan = \"EU_863_870_TTN\"")
	before := s.read("lorawand.toml")
	status, _, errOut := s.cli("", "extend", "--central", "127.0.0.1:9", "--eui", testEUI.String(), "--key", "K",
		"--plan", someExtension.plan)
	if status != exitUsage || s.read("lorawand.toml") != before ||
		!strings.Contains(errOut, "has the frequency_plan EU_863_870_TTN, and the central has AU_915") {
		t.Errorf("%d, %s", status, errOut)
	}
}

// A key that is to be on standard input is there, or nothing happens. (newExtended gives one so.)
func TestExtendKeyOnInput(t *testing.T) {
	s := newSite(t, "")
	before := s.read("lorawand.toml")
	for _, input := range []string{"", "\nNNSXS.KEY\n"} {
		status, _, errOut := s.cli(input, "extend", "--central", "127.0.0.1:9", "--eui", testEUI.String(), "--key", "-")
		if status != exitUsage || !strings.Contains(errOut, "standard input has no key in its first line") ||
			s.read("lorawand.toml") != before {
			t.Errorf("%q: %d, %s", input, status, errOut)
		}
	}
}

// The file has a key, so others cannot read it. On OpenWrt, which makes it anew, it is not written.
func TestExtendWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "lorawand.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("# of a host that has lost its power\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := replaceConfig(path, "role = \"server\"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v", info, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%v", files)
	}
	s := newSite(t, "")
	s.write("lorawand.toml", madeOfUCI+" by /etc/init.d/lorawand\n"+s.read("lorawand.toml"))
	before := s.read("lorawand.toml")
	status, _, errOut := s.cli("", "extend", "--central", "127.0.0.1:9", "--eui", extenderEUI.String(), "--key", "K")
	if status == 0 || !strings.Contains(errOut, "/etc/config/lorawand") ||
		!strings.Contains(errOut, "manual = 1, remove the first line") || s.read("lorawand.toml") != before {
		t.Errorf("on OpenWrt: %d, %s", status, errOut)
	}
}

// A server stays one until it is restarted, and its gateway keeps its duty cycle: an extender's has none.
func TestReloadExtended(t *testing.T) {
	s := newSite(t, "")
	r, reload := s.reloading(newOpener())
	first := s.read("lorawand.toml")
	o := someExtension
	o.eui, o.plan = testEUI.String(), ""
	s.write("lorawand.toml", extended(first, &o))
	reload("the configuration is not reloaded\" error=\"role = \\\"extender\\\" needs a restart")
	if g := r.d.config.Gateways; len(g) != 1 || !*g[0].EnforceDutyCycle {
		t.Errorf("%+v", g)
	}
	s.write("lorawand.toml", first+"[log]\nlevel = \"debug\"\n")
	reload("the configuration is reloaded")
}

// What gateway pair prints: the fingerprint of the CA that signs for the host, so that a new
// certificate changes nothing; that of the certificate if it does not name the host.
func TestPairLine(t *testing.T) {
	s := newSite(t, "")
	status, _, errOut := s.cli("", "gateway", "pair", extenderEUI.String())
	if status != exitFailed || !strings.Contains(errOut, "[extenders] listen is not set") {
		t.Errorf("without a port: %d, %s", status, errOut)
	}
	dir := s.withTLS("")
	s.write("lorawand.toml", s.read("lorawand.toml")+"[extenders]\nlisten = \":1700\"\n")
	for host, file := range map[string]string{"127.0.0.1": fileCA, "192.0.2.9": fileServer} {
		const plan = "US_902_928_FSB_2"
		words := strings.Fields(s.must("", "gateway", "pair", extenderEUI.String(), "--host", host, "--plan", plan))
		want := []string{
			"lorawand", "extend", "--central", host + ":1700", "--eui", extenderEUI.String(), "--plan", plan,
			"--key", words[9], "--fingerprint", fingerprint(certificateIn(t, filepath.Join(dir, file)).Raw),
		}
		if !slices.Equal(words, want) {
			t.Errorf("%s: %q, want %q", host, words, want)
		}
	}
	words := strings.Fields(s.must("", "gateway", "pair", extenderEUI.String()))
	if !strings.HasSuffix(words[3], ":1700") || words[7] != "EU_863_870_TTN" {
		t.Errorf("%q", words)
	}
	for _, args := range [][]string{{"pair"}, {"pair", "xyz"}, {"pair", extenderEUI.String(), "--plan", "EU"}} {
		if status, _, errOut := s.cli("", append([]string{"gateway"}, args...)...); status != exitUsage {
			t.Errorf("%v: %d, %s", args, status, errOut)
		}
	}
	out := s.must("", "api-key", "list")
	if !strings.Contains(out, "gateway-link") || !strings.Contains(out, "eui-a1c0ffee00000001") {
		t.Errorf("%s", out)
	}
}

// A pinned certificate is taken as it is; one that a pinned CA has signed must be for the host.
func TestVerifyCentral(t *testing.T) {
	s := newSite(t, "")
	dir := s.withTLS("")
	first := chainIn(t, filepath.Join(dir, fileServer))
	s.must("", "tls", "init", "--dir", dir)
	second := chainIn(t, filepath.Join(dir, fileServer))
	ca, leaf := sumOf(first[1]), sumOf(first[0])
	if len(second) != 2 || sumOf(second[1]) != ca || sumOf(second[0]) == leaf {
		t.Fatalf("%d certificates", len(second))
	}
	for name, tt := range map[string]struct {
		pin  string
		host string
		new  bool
		good bool
	}{
		"the certificate":           {leaf, "elsewhere.example", false, true},
		"another certificate":       {leaf, "127.0.0.1", true, false},
		"its CA":                    {ca, "127.0.0.1", false, true},
		"a new one of the CA":       {ca, "127.0.0.1", true, true},
		"of the CA, another host":   {ca, "elsewhere.example", false, false},
		"no pin, a CA that is ours": {"", "127.0.0.1", false, false},
	} {
		chain := first
		if tt.new {
			chain = second
		}
		var pin []byte
		if tt.pin != "" {
			pin = []byte(tt.pin)
		}
		if err := verifyCentral(chain, pin, tt.host, time.Now()); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A certificate that the CA has not signed does not become good by the CA beside it.
	forged := chainIn(t, filepath.Join(newSite(t, "").withTLS(""), fileServer))
	forged[1] = first[1]
	if err := verifyCentral(forged, []byte(ca), "127.0.0.1", time.Now()); err == nil {
		t.Error("a forged certificate is good")
	}
}

// chainIn returns the certificates of a file.
func chainIn(t *testing.T, path string) (out []*x509.Certificate) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
}

func sumOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return string(sum[:])
}
