//go:build !small

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// commandEnv has the program of the tests run a command line, as lorawand does.
	commandEnv = "LORAWAND_TEST_COMMAND"
	// commandKillsEnv asks for more kills of each command than the few that every test run does.
	commandKillsEnv = "LORAWAND_COMMAND_KILLS"
)

// killedCommand is a command that changes something.
type killedCommand struct {
	name  string
	args  string // %s is the folder
	stdin func(s *site) string
	state func(s *site) string // what it is to change
	begin string               // is there when it begins to change something, in the folder; "": that is not looked for
	after func(t *testing.T, s *site)
}

// importedDevices are n devices, from a number on.
func importedDevices(from, n int) string {
	var out strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintln(&out, strings.Replace(deviceJSON(fmt.Sprintf("dev%03d", i), fmt.Sprintf("0100%04X", i)),
			"0102030405060708", fmt.Sprintf("%016X", i+1), 1))
	}
	return out.String()
}

func deviceNames(s *site) string { return s.must("", "device", "list", "--json") }

func noInput(*site) string { return "" }

func keyCount(s *site) string {
	return strconv.Itoa(strings.Count(s.must("", "api-key", "list", "--json"), "\n"))
}

var killedCommands = []killedCommand{
	{"import", "device import - --application app1", func(*site) string {
		return importedDevices(0, 60)
	}, deviceNames, "", nil},
	{"restore", "restore -", func(s *site) string {
		other := newSite(s.TB, "")
		other.onDisk()
		other.must(importedDevices(0, 40), "device", "import", "-", "--application", "other")
		return other.must("", "backup", "-")
	}, deviceNames, "", nil},
	{"api-key create", "api-key create --application app1", noInput, keyCount, "", nil},
	{"tls init", "tls init --dir %s/tls", noInput, tlsFiles, "tls", wholePair},
}

// tlsFiles are the names in the folder of the certificates.
func tlsFiles(s *site) string {
	entries, err := os.ReadDir(filepath.Join(s.dir, "tls"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Fatal(err)
	}
	return fmt.Sprint(entries)
}

// onDisk gives a site a store that a kill does not end.
func (s *site) onDisk() {
	s.Helper()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "ephemeral = true\n", "", 1))
}

// wholePair looks that the next call works, with the CA of this one if it has one, and that each
// certificate has its key.
func wholePair(t *testing.T, s *site) {
	t.Helper()
	dir := filepath.Join(s.dir, "tls")
	before, err := os.ReadFile(filepath.Join(dir, fileCA))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.must("", "tls", "init", "--dir", dir)
	for cert, key := range map[string]string{fileCA: fileCAKey, fileServer: fileServerKey} {
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, cert), filepath.Join(dir, key)); err != nil {
			t.Error(err)
		}
	}
	if now, err := os.ReadFile(filepath.Join(dir, fileCA)); err != nil || before != nil && !bytes.Equal(now, before) {
		t.Errorf("another CA, %v", err)
	}
}

// A command that is killed at any instant has changed all or nothing, and the next one works.
func TestKilledCommand(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv(commandKillsEnv)); err == nil {
		kills = n
	}
	for _, tt := range killedCommands {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, "")
			s.onDisk()
			s.must(importedDevices(500, 1), "device", "import", "-", "--application", "old")
			stdin := tt.stdin(s)
			s.copied(t).killedAfter(&tt, stdin, time.Minute) // whose program the kernel has to read first
			whole := s.copied(t)
			lasts := whole.killedAfter(&tt, stdin, time.Minute)
			old, done := tt.state(s), tt.state(whole)
			if old == done {
				t.Fatal("it changes nothing")
			}
			rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
			early, late, between, aim := 0, 0, 0, lasts/2 // which finds the moment of the change by itself
			// A first time that a busy machine made long has all of the first kills come too late.
			for n := 0; n < kills || tt.begin != "" && between == 0 && n < 20*kills; n++ {
				one := s.copied(t)
				one.killedAfter(&tt, stdin, aim/2+time.Duration(rnd.Int64N(int64(aim)+1)))
				switch got := tt.state(one); {
				case got == done:
					late++
					aim -= aim / 8
				case got == old:
					early++
					aim += aim / 8
				default:
					between++
				}
				if tt.after != nil {
					tt.after(t, one)
				}
			}
			if tt.after == nil && between > 0 {
				t.Errorf("%d times neither as before nor as after", between)
			}
			t.Logf("%d kills around %v of %v: nothing was done at %d, all at %d, something at %d", early+late+between,
				aim.Round(100*time.Microsecond), lasts.Round(100*time.Microsecond), early, late, between)
			if tt.begin != "" && between == 0 {
				t.Error("no kill in the middle: that tests little")
			}
		})
	}
}

// copied returns a site with the same store.
func (s *site) copied(t *testing.T) *site {
	t.Helper()
	c := newSite(t, "")
	c.onDisk()
	if err := os.CopyFS(filepath.Join(c.dir, "store"), os.DirFS(filepath.Join(s.dir, "store"))); err != nil {
		t.Fatal(err)
	}
	return c
}

// killedAfter runs a command in a process of its own, and kills it if it is not over in time, counted from when it
// begins to change something. It returns how long it took from there.
func (s *site) killedAfter(c *killedCommand, stdin string, d time.Duration) time.Duration {
	s.Helper()
	fields := append(strings.Fields(strings.ReplaceAll(c.args, "%s", s.dir)), "-c", s.conf)
	cmd := exec.Command(os.Args[0], fields...)
	cmd.Env = append(os.Environ(), commandEnv+"=1")
	cmd.Stdin = strings.NewReader(stdin)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if c.begin != "" {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); runtime.Gosched() {
			if _, err := os.Stat(filepath.Join(s.dir, c.begin)); err == nil {
				break
			}
		}
		began = time.Now()
	}
	kill := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if kill.Stop() && err != nil {
		s.Errorf("%s: %v", c.args, err)
	}
	return time.Since(began)
}

// What a call that was killed between two names has left is completed by the next one.
func TestTLSInitCompletes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cert   string
		key    string
		staged []string // files that have not got their name yet
		kept   bool     // the certificate stays what it was
	}{
		{"the CA, both", fileCA, fileCAKey, []string{fileCA, fileCAKey}, false},
		{"the CA, behind its key", fileCA, fileCAKey, []string{fileCA}, true},
		{"the server, both", fileServer, fileServerKey, []string{fileServer, fileServerKey}, false},
		{"the server, behind its key", fileServer, fileServerKey, []string{fileServer}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, "")
			dir := filepath.Join(s.dir, "tls")
			s.must("", "tls", "init", "--dir", dir)
			before, err := os.ReadFile(filepath.Join(dir, tt.cert))
			for _, name := range tt.staged {
				err = errors.Join(err, os.Rename(filepath.Join(dir, name), staged(dir, name)))
			}
			if err != nil {
				t.Fatal(err)
			}
			s.must("", "tls", "init", "--dir", dir)
			now, err := os.ReadFile(filepath.Join(dir, tt.cert))
			if err != nil || bytes.Equal(now, before) != tt.kept {
				t.Errorf("kept: %v, want %v; %v", bytes.Equal(now, before), tt.kept, err)
			}
			if _, err := tls.LoadX509KeyPair(filepath.Join(dir, tt.cert), filepath.Join(dir, tt.key)); err != nil {
				t.Error(err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
