package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// arrows lists, for each package, the packages of ours that it may import. "radio/"
// stands for radio and the packages below it. Every package must be listed here.
// cmd/lorawand may import everything, and nobody imports cmd.
var arrows = map[string]string{
	"radio":                          "",
	"radio/region":                   "radio",
	"radio/frame":                    "radio",
	"radio/gwmp":                     "radio",
	"radio/fuzztest":                 "",
	"concentrator":                   "radio",
	"concentrator/air":               "radio/",
	"concentrator/udp":               "radio radio/gwmp concentrator concentrator/udp/nowait",
	"concentrator/udp/nowait":        "",
	"concentrator/stream":            "radio radio/gwmp",
	"concentrator/sx1302":            "radio concentrator",
	"concentrator/sx1302/board":      "radio concentrator concentrator/sx1302",
	"concentrator/sx1302/script":     "radio concentrator/sx1302",
	"concentrator/sx1302/sx1302test": "radio concentrator/air",
	"concentrator/serial":            "concentrator/sx1302",
	"concentrator/serial/serialtest": "",
	"concentrator/gnss":              "radio",
	"concentrator/virtual":           "radio concentrator concentrator/air",
	"bridge/session":                 "radio/ bridge/session/macstate",
	"bridge/session/macstate":        "radio radio/region",
	"bridge/session/tombstone":       "radio bridge/session bridge/order",
	"bridge/access":                  "bridge/order",
	"bridge/gateway":                 "radio radio/region",
	"bridge/mac":                     "radio/ bridge/session bridge/session/macstate",
	"bridge/schedule":                "radio/ bridge/gateway",
	"bridge/jsontext":                "",
	"bridge/v3":                      "radio bridge/jsontext bridge/session bridge/gateway",
	"bridge/v3/enddevice": "radio radio/region bridge/session bridge/session/macstate bridge/gateway " +
		"bridge/v3/enddevice/charset bridge/v3/enddevice/chirpstack bridge/v3/enddevice/objects " +
		"bridge/v3/enddevice/sheet",
	"bridge/v3/enddevice/charset":     "",
	"bridge/v3/enddevice/chirpstack":  "",
	"bridge/v3/enddevice/objects":     "",
	"bridge/v3/enddevice/sheet":       "radio bridge/session bridge/session/macstate",
	"bridge/store":                    "",
	"bridge/store/storetest":          "bridge/store",
	"bridge/store/jetstream":          "bridge/store",
	"bridge/store/jetstream/natstest": "",
	"bridge/pages":                    "",
	"bridge/order":                    "",
	"bridge/formatter":                "bridge/jsontext bridge/pages bridge/formatter/cayennelpp bridge/formatter/seccomp",
	"bridge/formatter/cayennelpp":     "bridge/jsontext bridge/order",
	"bridge/formatter/seccomp":        "",
	"bridge/formatter/collate":        "",
	"bridge/formatter/formattertest":  "",
	"bridge/decode":                   "radio bridge/session bridge/v3 bridge/event bridge/formatter",
	"bridge/codec":                    "bridge/session bridge/access bridge/formatter",
	"bridge/codec/repository":         "bridge/codec bridge/formatter",
	"bridge/broker/packettest":        "",
	"bridge/upstream": "bridge/v3 bridge/store bridge/upstream/client bridge/upstream/journal " +
		"bridge/upstream/record",
	"bridge/upstream/backfill": "radio radio/frame bridge/httpclient bridge/v3 bridge/store bridge/upstream/journal " +
		"bridge/upstream/record",
	"bridge/upstream/record":  "radio bridge/v3",
	"bridge/httpclient":       "",
	"bridge/upstream/client":  "",
	"bridge/upstream/journal": "bridge/store bridge/order",
	"bridge/broker": "bridge/v3 bridge/access bridge/broker/fifo bridge/broker/packet bridge/order " +
		"bridge/broker/intake bridge/broker/limits bridge/broker/linger bridge/broker/outbox bridge/broker/pace " +
		"bridge/broker/received bridge/broker/secure bridge/broker/sessions bridge/broker/status " +
		"bridge/broker/subscription bridge/broker/ws bridge/broker/nowait",
	"bridge/broker/ws":           "bridge/broker/overhead bridge/broker/pace",
	"bridge/broker/overhead":     "",
	"bridge/broker/intake":       "",
	"bridge/broker/limits":       "",
	"bridge/broker/linger":       "",
	"bridge/broker/nowait":       "",
	"bridge/broker/outbox":       "bridge/v3 bridge/broker/fifo",
	"bridge/broker/status":       "bridge/v3 bridge/access",
	"bridge/broker/packet":       "bridge/v3 bridge/broker/limits",
	"bridge/broker/fifo":         "",
	"bridge/broker/pace":         "",
	"bridge/broker/received":     "",
	"bridge/broker/secure":       "bridge/broker/overhead bridge/broker/pace",
	"bridge/broker/subscription": "bridge/v3",
	"bridge/broker/sessions":     "bridge/access bridge/order",
	"bridge/chirpstack":          "radio bridge/foreign bridge/foreign/links bridge/upstream/client",
	"bridge/event":               "radio bridge/mac bridge/schedule bridge/v3 bridge/session bridge/gateway bridge/order",
	"bridge/activity":            "radio bridge/session bridge/v3 bridge/event bridge/order",
	"bridge/webhook":             "bridge/access bridge/httpclient bridge/v3",
	"bridge/homeassistant":       "bridge/session bridge/v3 bridge/order",
	"bridge/state": "radio radio/frame bridge/session bridge/session/tombstone bridge/gateway bridge/access " +
		"bridge/order bridge/schedule bridge/store bridge/codec",
	"bridge/core": "radio/ bridge/session bridge/session/macstate bridge/session/tombstone bridge/mac " +
		"bridge/schedule bridge/v3 bridge/gateway bridge/event bridge/state bridge/provision bridge/classb bridge/classc " +
		"bridge/joins bridge/pushes bridge/beacon bridge/hearing bridge/reach bridge/foreign",
	"bridge/audit":         "radio bridge/order",
	"bridge/beacon":        "radio/ bridge/gateway bridge/schedule",
	"bridge/hearing":       "radio radio/frame bridge/session",
	"bridge/foreign":       "radio radio/frame bridge/event bridge/gateway bridge/schedule bridge/session",
	"bridge/foreign/links": "radio bridge/foreign",
	"bridge/forward":       "radio radio/gwmp bridge/foreign bridge/foreign/links",
	"bridge/reach":         "radio bridge/gateway bridge/mac bridge/schedule",
	"bridge/classb": "radio/ bridge/session bridge/session/macstate bridge/gateway bridge/mac " +
		"bridge/classc bridge/v3",
	"bridge/classc": "radio bridge/session bridge/gateway bridge/mac bridge/event bridge/schedule bridge/v3",
	"bridge/pushes": "bridge/session bridge/v3 bridge/event bridge/state",
	"bridge/joins":  "radio/ bridge/event bridge/mac bridge/session bridge/v3",
	"bridge/recording": "radio radio/region bridge/core bridge/foreign bridge/gateway bridge/session bridge/state " +
		"bridge/v3",
	"bridge/provision":     "bridge/session bridge/session/tombstone bridge/state",
	"bridge":               "radio/ bridge/activity bridge/core bridge/event bridge/foreign bridge/state bridge/session bridge/session/tombstone bridge/access bridge/gateway bridge/mac bridge/schedule bridge/v3 bridge/v3/enddevice bridge/store bridge/formatter bridge/decode bridge/codec bridge/broker bridge/chirpstack",
	"bridge/admin/airtime": "radio bridge bridge/schedule",
	"bridge/admin/conns":   "bridge/broker/pace",
	"bridge/admin/problems": "radio radio/region bridge bridge/access bridge/activity bridge/broker bridge/codec " +
		"bridge/event bridge/session bridge/store",
	"bridge/admin/eventlines": "radio bridge/activity bridge/event bridge/order",
	"bridge/admin/registry":   "radio/frame bridge/session bridge/v3/enddevice",
	"bridge/admin/strict":     "",
	"bridge/admin/sharing":    "bridge/access bridge/broker/pace",
	"bridge/admin/metrics":    "radio bridge bridge/broker bridge/event bridge/formatter bridge/store",
	"bridge/admin/api": "radio/region bridge bridge/activity bridge/access bridge/admin bridge/admin/conns " +
		"bridge/admin/registry bridge/admin/sharing " +
		"bridge/broker bridge/broker/pace bridge/broker/secure bridge/event bridge/session bridge/state bridge/v3",
	"bridge/admin/web/maker":    "",
	"bridge/admin/web/password": "",
	"bridge/admin/web/door":     "bridge/access",
	"bridge/admin/web/trial": "bridge bridge/access bridge/admin bridge/codec bridge/formatter " +
		"bridge/session",
	"bridge/admin/web": "radio/ bridge bridge/activity bridge/access bridge/admin bridge/admin/conns bridge/order " +
		"bridge/admin/sharing " +
		"bridge/admin/web/door bridge/admin/web/maker bridge/admin/web/password bridge/admin/web/trial " +
		"bridge/codec bridge/core " +
		"bridge/event bridge/formatter " +
		"bridge/mac bridge/session bridge/state bridge/store bridge/v3 bridge/v3/enddevice",
	"bridge/admin/admintest": "radio radio/frame radio/region bridge bridge/codec bridge/formatter bridge/gateway " +
		"bridge/state bridge/store bridge/store/storetest bridge/v3",
	"bridge/admin": "radio/ bridge bridge/admin/airtime bridge/admin/conns bridge/admin/eventlines " +
		"bridge/admin/metrics bridge/admin/registry bridge/admin/sharing bridge/admin/strict " +
		"bridge/activity bridge/core bridge/event bridge/state " +
		"bridge/session bridge/access bridge/gateway bridge/mac bridge/schedule bridge/v3 bridge/v3/enddevice bridge/store " +
		"bridge/formatter bridge/decode bridge/codec bridge/broker bridge/chirpstack",
	"cmd/lorawand":        "*",
	"cmd/lorawand/config": "*",
	"cmd/lorawand/demo":   "radio/ bridge/session concentrator/air concentrator/udp",
}

// knows lists, for each library, the only packages that may import it.
var knows = map[string][]string{
	"github.com/brocaar/lorawan":      {"radio/frame", "radio/region"},
	"github.com/brocaar/lorawan/band": {"radio/region"},
	"github.com/mochi-mqtt/server/v2": {"bridge/broker", "bridge/broker/packet", "bridge/upstream/client"},
	"github.com/gorilla/websocket":    {"bridge/broker/ws"},
	"periph.io/x/conn/v3": {
		"concentrator/sx1302", "concentrator/sx1302/board",
		"concentrator/sx1302/sx1302test", "concentrator/serial", "concentrator/serial/serialtest",
	},
	"periph.io/x/host/v3":               {"concentrator/sx1302/board"},
	"github.com/warthog618/go-gpiocdev": {"concentrator/sx1302/board"},
	"go.bug.st/serial":                  {"concentrator/serial"},
	"github.com/adrianmo/go-nmea":       {"concentrator/gnss"},
	"github.com/dop251/goja":            {"bridge/formatter"},
	"go.yaml.in/yaml/v3":                {"bridge/codec/repository"},
	"github.com/brocaar/chirpstack-api": {"bridge/chirpstack"},
	"github.com/golang/protobuf":        {"bridge/chirpstack"},
	"github.com/nats-io/nats.go":        {"bridge/store/jetstream"},
	"github.com/nats-io/nats-server/v2": {"bridge/store/jetstream/natstest"},
	"net/http": {
		"bridge/admin", "bridge/admin/api", "bridge/admin/web", "bridge/admin/web/door", "bridge/broker/ws",
		"bridge/httpclient", "bridge/upstream/backfill", "bridge/webhook",
	},
	"net": {
		"concentrator/udp/nowait", "bridge/broker/nowait",
		"concentrator/udp", "concentrator/stream", "bridge/forward", "bridge/chirpstack", "bridge/broker",
		"bridge/broker/linger", "bridge/broker/overhead", "bridge/broker/secure", "bridge/broker/ws",
		"bridge/admin", "bridge/admin/api", "bridge/admin/conns", "bridge/admin/web", "bridge/admin/web/door",
		"bridge/webhook", "bridge/httpclient", "bridge/store/jetstream/natstest", "bridge/upstream",
		"bridge/upstream/backfill", "bridge/upstream/client", "cmd/lorawand", "cmd/lorawand/config",
		"cmd/lorawand/demo",
	},
	"os": {
		"concentrator/udp/nowait", "bridge/broker/nowait",
		"bridge/store", "bridge/store/jetstream/natstest", "concentrator/udp", "concentrator/stream",
		"concentrator/sx1302", "concentrator/sx1302/board", "concentrator/serial",
		"concentrator/serial/serialtest", "bridge/formatter", "bridge/formatter/formattertest", "bridge/pages",
		"bridge/admin", "bridge/admin/web", "bridge/admin/web/door", "cmd/lorawand", "cmd/lorawand/config",
	},
	"os/exec": {
		"bridge/store/jetstream/natstest", "bridge/formatter", "bridge/formatter/formattertest",
		"concentrator/sx1302/board", "cmd/lorawand",
	},
	"golang.org/x/crypto":             {"bridge/admin/web/password"},
	"github.com/pelletier/go-toml/v2": {"cmd/lorawand/config"},
	"github.com/spf13/cobra":          {"cmd/lorawand"},
}

// pure packages get the time and random numbers from their callers, start no
// goroutine and take no lock.
var pure = map[string]bool{
	"radio": true, "radio/region": true, "radio/frame": true, "radio/gwmp": true, "bridge/session": true, "bridge/session/macstate": true, "bridge/session/tombstone": true, "bridge/gateway": true,
	"bridge/mac": true, "bridge/schedule": true, "bridge/core": true, "bridge/provision": true, "bridge/audit": true,
	"bridge/classb": true, "bridge/classc": true, "bridge/joins": true, "bridge/pushes": true,
	"bridge/beacon": true, "bridge/hearing": true, "bridge/reach": true,
	"bridge/v3": true, "bridge/v3/enddevice": true,
}

type listedPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
	Dir        string

	TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles            []string // those of other targets and build tags
}

// listed runs go list over all packages of the module.
func listed(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArrows(t *testing.T) {
	packages := listed(t)
	if len(packages) < 15 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, p := range packages {
		room := strings.TrimPrefix(p.ImportPath, "lorawand/")
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s has no place in the house", room)
			continue
		}
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", room)
		}
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, "lorawand/"); ok {
				if !mayImport(allowed, ours) {
					t.Errorf("%s imports %s", room, ours)
				}
				continue
			}
			checkLibrary(t, room, imported)
		}
	}
}

func mayImport(allowed, imported string) bool {
	if strings.HasPrefix(imported, "cmd/") {
		return allowed == "*" && imported != "cmd/lorawand"
	}
	for a := range strings.FieldsSeq(allowed) {
		if a == "*" || a == imported || strings.HasSuffix(a, "/") && strings.HasPrefix(imported+"/", a) {
			return true
		}
	}
	return false
}

func checkLibrary(t *testing.T, room, imported string) {
	t.Helper()
	for lib, rooms := range knows {
		if imported != lib && !(strings.Contains(lib, ".") && strings.HasPrefix(imported, lib+"/")) {
			continue
		}
		if _, closer := knows[imported]; closer && imported != lib {
			continue
		}
		found := false
		for _, r := range rooms {
			found = found || r == room
		}
		if !found {
			t.Errorf("%s imports %s, which only %v may know", room, imported, rooms)
		}
	}
	if !pure[room] {
		return
	}
	for _, no := range []string{
		"sync", "sync/atomic", "math/rand", "math/rand/v2", "crypto/rand", "os", "net", "log",
		"context",
	} {
		if imported == no {
			t.Errorf("%s imports %s, but it is to be handed what it needs", room, imported)
		}
	}
}

// Nothing pure asks for the time.
func TestPureRoomsReadNoClock(t *testing.T) {
	for _, p := range listed(t) {
		if !pure[strings.TrimPrefix(p.ImportPath, "lorawand/")] {
			continue
		}
		for _, name := range p.GoFiles {
			b, err := os.ReadFile(p.Dir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for _, no := range []string{
				"time.Now(", "time.Since(", "time.Until(", "time.AfterFunc(", "time.NewTimer(",
				"time.Sleep(", "go func(",
			} {
				if bytes.Contains(b, []byte(no)) {
					t.Errorf("%s/%s has %s…", p.ImportPath, name, no)
				}
			}
		}
	}
}

// The rule must be able to fail.
func TestMayImport(t *testing.T) {
	for _, tt := range []struct {
		allowed, imported string
		want              bool
	}{
		{"radio", "radio", true},
		{"radio", "radio/frame", false},
		{"radio/", "radio/frame", true},
		{"radio/", "radio", true},
		{"radio/", "radiometry", false},
		{"", "radio", false},
		{"*", "bridge", true},
		{"*", "cmd/lorawand/config", true},
		{"*", "cmd/lorawand", false},
		{"radio bridge/session", "bridge", false},
	} {
		if got := mayImport(tt.allowed, tt.imported); got != tt.want {
			t.Errorf("mayImport(%q, %q) = %v", tt.allowed, tt.imported, got)
		}
	}
}

// Limits of lengths, in lines. Tests are held to them too, but for a package's.
const (
	maxFunctionLines = 60
	maxFileLines     = 500
	maxPackageLines  = 3000 // of bridge and what lies below it, without tests
)

// maxLineLength is in characters; a tab is one.
const maxLineLength = 120

// rawData is a part of a line that is JSON or hexadecimal: it stays as it was
// recorded.
var rawData = regexp.MustCompile(`\\?"\w+\\?":|[0-9a-fA-F]{24}`)

// longLines returns the numbers of the lines that are too long.
func longLines(source []byte) (numbers []int) {
	for i, line := range bytes.Split(source, []byte{'\n'}) {
		if utf8.RuneCount(line) > maxLineLength && !rawData.Match(line) {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// tooLong returns the lines and functions of a file that are too long, and the file
// itself if it is; lines is how long it is.
func tooLong(name string, source []byte) (faults []string, lines int, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, 0, err
	}
	if lines = bytes.Count(source, []byte{'\n'}); lines > maxFileLines {
		faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d", name, lines, maxFileLines))
	}
	for _, n := range longLines(source) {
		faults = append(faults, fmt.Sprintf("%s:%d: more than %d characters", name, n, maxLineLength))
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1
		if n > maxFunctionLines {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d", name, f.Name.Name, n, maxFunctionLines))
		}
	}
	return faults, lines, nil
}

// Short lines, functions, files and packages are easier to read.
func TestLengths(t *testing.T) {
	seen := 0
	for _, p := range listed(t) {
		room, total := strings.TrimPrefix(p.ImportPath, "lorawand/"), 0
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			source, err := os.ReadFile(p.Dir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			faults, lines, err := tooLong(room+"/"+name, source)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range faults {
				t.Error(fault)
			}
			if seen++; slices.Contains(p.GoFiles, name) {
				total += lines
			}
		}
		if strings.HasPrefix(room+"/", "bridge/") && total > maxPackageLines {
			t.Errorf("%s has %d lines, more than %d", room, total, maxPackageLines)
		}
	}
	if seen < 500 {
		t.Errorf("only %d files found", seen)
	}
}

// The limit must be able to fail.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", maxLineLength)
	for _, tt := range []struct {
		name, source string
		want         []int
	}{
		{"the longest line", long + "\n", nil},
		{"one more character", "x\n" + long + "x\n", []int{2}},
		{"characters of more bytes", strings.Repeat("─", maxLineLength), nil},
		{"the last line", long + "x", []int{1}},
		{"JSON", long + `{"tmst":5}`, nil},
		{"JSON in quotes", long + `"{\"tmst\":5}"`, nil},
		{"a row of a table", long + `{"name", 5},`, []int{1}},
		{"a map", long + `"name": 5,`, nil},
		{"a recorded frame", long + "400102030480010001a694640f15", nil},
	} {
		if got := longLines([]byte(tt.source)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: lines %v, want %v", tt.name, got, tt.want)
		}
	}
}

// The limits must be able to fail.
func TestTooLong(t *testing.T) {
	function := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	for _, tt := range []struct {
		name   string
		source string
		want   int
	}{
		{"short", "package p\n" + function(1), 0},
		{"a line that is too long", "package p\n// " + strings.Repeat("x", maxLineLength) + "\n", 1},
		{"the longest function", "package p\n" + function(maxFunctionLines), 0},
		{"a function that is too long", "package p\n" + function(maxFunctionLines+1), 1},
		{"a method that is too long", "package p\ntype t int\n" + strings.Replace(function(maxFunctionLines+1), "f()",
			"(t) f()", 1), 1},
		{"the longest file", "package p\n" + strings.Repeat("// x\n", maxFileLines-1), 0},
		{"a file that is too long", "package p\n" + strings.Repeat("// x\n", maxFileLines), 1},
	} {
		if faults, _, err := tooLong("x.go", []byte(tt.source)); err != nil || len(faults) != tt.want {
			t.Errorf("%s: %q, %v", tt.name, faults, err)
		}
	}
}
