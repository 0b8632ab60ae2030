package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302/board"
)

// Configuration, store and firmware outlive an upgrade of OpenWrt.
func TestKeepOnOpenWrt(t *testing.T) {
	text, err := os.ReadFile("../../packaging/openwrt/keep")
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Fields(string(text))
	for _, folder := range []string{"/etc/lorawand/", config.DefaultFirmware + "/"} {
		if !slices.Contains(kept, folder) {
			t.Errorf("%s is lost with an upgrade of the system; kept are %v", folder, kept)
		}
	}
}

// The service may use the devices of every board of the table.
func TestUnitDevices(t *testing.T) {
	unit, err := os.ReadFile("../../systemd/lorawand.service")
	if err != nil {
		t.Fatal(err)
	}
	postinst, err := os.ReadFile("../../packaging/linux/postinst")
	if err != nil {
		t.Fatal(err)
	}
	_, groups, _ := strings.Cut(string(postinst), "for group in ")
	groups, _, _ = strings.Cut(groups, ";")
	boards, err := board.Boards()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]struct{ class, group string }{
		"/dev/spidev": {"char-spi", "spi"}, "/dev/gpiochip": {"char-gpiochip", "gpio"}, "/dev/i2c-": {"char-i2c", "i2c"},
		"/dev/ttyACM": {"char-ttyACM", "dialout"},
	}
	for _, b := range boards {
		for _, device := range []string{b.Device, b.Reset, b.Power, b.SX1261Reset, b.I2C, "/dev/ttyACM0"} {
			device = strings.Replace(device, "header:", "/dev/gpiochip0:", 1)
			kind := kinds[strings.TrimRight(strings.Split(device, ":")[0], "0123456789.")]
			switch {
			case !strings.HasPrefix(device, "/dev/"):
			case kind.class == "":
				t.Errorf("%s: what is %s?", b.Name, device)
			case !strings.Contains(string(unit), "\nDeviceAllow="+kind.class+" rw\n"):
				t.Errorf("%s: the unit does not allow %s for %s", b.Name, kind.class, device)
			case !slices.Contains(strings.Fields(groups), kind.group):
				t.Errorf("%s: the user is not in the group %s for %s", b.Name, kind.group, device)
			}
		}
	}
}

// The unit waits for nothing that may never come, and hides no script or file in a
// home.
func TestUnitWaitsForNothing(t *testing.T) {
	unit, err := os.ReadFile("../../systemd/lorawand.service")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(unit)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] += value
		}
	}
	for key, want := range map[string]string{"After": "network.target", "Wants": "", "Requires": "", "ProtectHome": "read-only"} {
		if values[key] != want {
			t.Errorf("%s=%s, want %q", key, values[key], want)
		}
	}
}

// The udev rule opens the devices of every board of the table that are not a tty.
func TestUdevRule(t *testing.T) {
	rule, err := os.ReadFile("../../packaging/linux/52-lorawand.rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, subsystem := range []string{"spidev", "gpio", "i2c-dev"} {
		found := false
		for line := range strings.Lines(string(rule)) {
			found = found || strings.HasPrefix(line, `SUBSYSTEM=="`+subsystem+`"`) &&
				strings.Contains(line, `GROUP="lorawand", MODE="0660"`)
		}
		if !found {
			t.Errorf("no rule for %s in\n%s", subsystem, rule)
		}
	}
}

// The example of a maker's page drives the lines of the maker's hardware: those of
// a header are for the pages of hosts that have one.
func TestVendorPages(t *testing.T) {
	pages, err := filepath.Glob("../../packaging/vendor/*/README.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	want := map[string]string{ // folder, and what its example toggles
		"raspberry-pi": "reset header:17",
		"seeed":        "power /dev/gpiochip0:3, reset /dev/gpiochip0:14, SX1261 reset /dev/gpiochip0:15",
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(page))
		var toggles []string
		for _, block := range tomlBlocks(string(text)) {
			c, err := config.Parse([]byte(block))
			if err != nil {
				t.Errorf("%s: %v in\n%s", folder, err, block)
				continue
			}
			for i := range c.Gateways {
				if g := &c.Gateways[i]; g.SX1302 != nil {
					set, err := g.SX1302.Concentrator(g.FrequencyPlan)
					if err != nil {
						t.Errorf("%s: %v", folder, err)
					}
					toggles = append(toggles, strings.Join(set.Board.Toggled(), ", "))
				}
			}
		}
		if got := strings.Join(toggles, "; "); got != want[folder] {
			t.Errorf("the example for %s toggles %q, want %q", folder, got, want[folder])
		}
	}
}

// tomlBlocks returns the indented blocks of a page that configure gateways.
func tomlBlocks(page string) []string {
	var out []string
	for block := range strings.SplitSeq(page, "\n\n") {
		if strings.HasPrefix(block, "    [[gateway]]") {
			out = append(out, block)
		}
	}
	return out
}

// uciFunctions stand in for OpenWrt's: an export of UCI is shell.
const uciFunctions = `
config() { current=${2:-anonymous$((count = ${count:-0} + 1))}; sections="$sections $1:$current"; }
option() { eval "v_${current}_$1=\$2"; }
list() { eval "l_${current}_$1=\"\${l_${current}_$1} \$2\""; }
config_get() { eval "$1=\${v_$2_$3:-\$4}"; }
config_get_bool() {
  config_get "$@"
  eval "case \$$1 in 1|on|true|yes|enabled) $1=1 ;; *) $1=0 ;; esac"
}
config_list_foreach() { for item in $(eval "echo \$l_$1_$2"); do "$3" "$item"; done; }
config_foreach() { for s in $sections; do [ "${s%%:*}" = "$2" ] && "$1" "${s#*:}"; done; return 0; }
`

// uciToml returns what is made of a configuration of OpenWrt.
func uciToml(t *testing.T, uci string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", uciFunctions+uci+
		"\n. ../../packaging/openwrt/uci-to-toml\nuci_to_toml").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// What is made of UCI has keys and passwords: others cannot read it, nor what lay there before.
func TestOpenWrtSecret(t *testing.T) {
	script, err := os.ReadFile("../../packaging/openwrt/lorawand.init")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf", "lorawand.toml")
	here := strings.NewReplacer("/etc/lorawand", filepath.Dir(conf), "/tmp", dir,
		"/usr/lib/lorawand", "../../packaging/openwrt")
	run := func() string {
		t.Helper()
		out, err := exec.Command("sh", "-c", "umask 022\n"+uciFunctions+here.Replace(string(script))+
			"config lorawand main\nconfig central central\noption key secret\nrender && umask").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if info, err := os.Stat(conf); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%+v, %v", info, err)
		}
		return strings.TrimSpace(string(out))
	}
	if umask := run(); umask != "0022" {
		t.Errorf("what is started then has the umask %s", umask)
	}
	if text, err := os.ReadFile(conf); err != nil || !strings.Contains(string(text), "secret") {
		t.Errorf("%s, %v", text, err)
	}
	if err := os.Chmod(conf, 0o644); err != nil { // as a version before has made it
		t.Fatal(err)
	}
	run()
	if files, err := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("%q, %v", files, err)
	}
}

// Every key of the configuration is an option on OpenWrt.
func TestOpenWrtOptions(t *testing.T) {
	var uci strings.Builder
	for table := range reflect.TypeFor[config.Config]().Fields() {
		switch key := table.Tag.Get("toml"); table.Type.Kind() {
		case reflect.String:
			fmt.Fprintf(&uci, "config lorawand main\noption %s x\n", key)
		case reflect.Slice: // of tables
			fmt.Fprintf(&uci, "config %s\n%s", key, uciOptions(table.Type.Elem()))
		default:
			fmt.Fprintf(&uci, "config %s %s\n%s", key, key, uciOptions(table.Type))
		}
	}
	fmt.Fprintf(&uci, "config limits limits\n%s", uciOptions(reflect.TypeFor[config.Limits]()))
	text := uciToml(t, uci.String())
	var c config.Config
	if err := toml.Unmarshal([]byte(text), &c); err != nil || len(c.Gateways) != 1 || c.Gateways[0].SX1302 == nil {
		t.Fatalf("%v: %s", err, text)
	}
	tables := []reflect.Value{
		reflect.ValueOf(c), reflect.ValueOf(c.MQTT.Limits), reflect.ValueOf(*c.Gateways[0].SX1302),
	}
	for _, table := range reflect.ValueOf(c).Fields() {
		switch {
		case table.Kind() == reflect.Struct:
			tables = append(tables, table)
		case table.Kind() == reflect.String:
			if table.String() != "x" {
				t.Errorf("%q at the top:\n%s", table, text)
			}
		case table.Len() == 1:
			tables = append(tables, table.Index(0))
		default:
			t.Fatalf("%d of %s:\n%s", table.Len(), table.Type(), text)
		}
	}
	for _, table := range tables {
		for field, value := range table.Fields() {
			if value.IsZero() {
				t.Errorf("%s of %s is no option:\n%s", field.Tag.Get("toml"), table.Type(), text)
			}
		}
	}
}

// uciOptions sets every key of a table of the configuration, also those of the tables
// that a gateway has within.
func uciOptions(table reflect.Type) string {
	var out string
	for field := range table.Fields() {
		key := field.Tag.Get("toml")
		switch of := field.Type; {
		case key == "location":
			out += "option latitude 52.5\noption longitude 4.5\noption altitude 12\n"
		case key == "gnss":
			out += "option gnss_device /dev/ttyS1\n"
		case key == "sx1302":
			out += uciOptions(of.Elem())
		case of == reflect.TypeFor[config.Duration]():
			out += "option " + key + " 1h\n"
		case of == reflect.TypeFor[config.Size]():
			out += "option " + key + " 1MiB\n"
		case of.Kind() == reflect.Slice:
			out += "list " + key + " 12:1:4\nlist " + key + " 14:1:6\n"
		case of.Kind() == reflect.String:
			out += "option " + key + " x\n"
		case of.Kind() != reflect.Struct: // a number or a boolean, perhaps behind a pointer
			out += "option " + key + " 1\n"
		}
	}
	return out
}

func TestOpenWrtChip(t *testing.T) {
	for name, tt := range map[string]struct{ uci, want string }{
		"no chip": {"option eui 0242020000247803", ""},
		"a file, no board": {
			"option driver sx1302\noption device /dev/spidev0.0\noption global_conf /etc/lorawand/global_conf.json",
			"[gateway.sx1302]\ndevice = \"/dev/spidev0.0\"\nglobal_conf = \"/etc/lorawand/global_conf.json\"\n",
		},
		"a word that is off": {
			"option board rak2287\noption fine_timestamps off",
			"[gateway.sx1302]\nboard = \"rak2287\"\nfine_timestamps = \"off\"\n",
		},
		"a file that is off": {
			"option board rak2287\noption global_conf off",
			"[gateway.sx1302]\nboard = \"rak2287\"\nglobal_conf = \"\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := uciToml(t, "config gateway\n"+tt.uci)
			_, got, found := strings.Cut(text, "[gateway.sx1302]")
			if found {
				got = "[gateway.sx1302]" + got
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
