package board

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestResetByProgram resets boards by what Linux runs, after their lines.
func TestResetByProgram(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	program := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := program("reset.sh", "echo reset >>"+said)
	bad := program("bad.sh", "echo no such pin >&2; exit 3")
	program(MakersTool, "echo $* >>"+said)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, tt := range map[string]struct{ reset, says, err string }{
		"none":           {"", "", ""},
		"script":         {"exec:" + good, "reset\n", ""},
		"failing script": {"exec:" + bad, "", "bad.sh: exit status 3: no such pin"},
		"no script":      {"exec:/none.sh", "", "/none.sh"},
		"maker's tool":   {"command: lora/reset=0 lora/reset=1", "store lora/reset 0\nstore lora/reset 1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(said)
			var log []string
			b := &Board{Reset: tt.reset}
			err := b.reset(Linux{}, Pins{Power: testPin{name: "power", log: &log}, Sleep: noSleep})(t.Context())
			if strings.Join(log, " ") != "power high" {
				t.Errorf("lines: %v; want the board switched on first", log)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if out, _ := os.ReadFile(said); string(out) != tt.says {
				t.Errorf("said %q, want %q", out, tt.says)
			}
		})
	}
}

func TestLock(t *testing.T) {
	device := filepath.Join(t.TempDir(), "spidev0.0")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := Linux{}.Lock(device)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Linux{}).Lock(device); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), device) {
		t.Errorf("%v, want ErrHeld", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = (Linux{}).Lock(device); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}

// A packet forwarder, which locks nothing, is noticed and named.
func TestLockHeld(t *testing.T) {
	dir := t.TempDir()
	device, link := filepath.Join(dir, "spidev0.0"), filepath.Join(dir, "spi")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	forwarder := exec.Command("sleep", "60")
	forwarder.Stdin = f
	if err := forwarder.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := fmt.Sprintf("%s: sleep, process %d", ErrHeld, forwarder.Process.Pid)
	for _, d := range []string{device, link} {
		if _, err := (Linux{}).Lock(d); !errors.Is(err, ErrHeld) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", d, err, want)
		}
	}
	if err := forwarder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = forwarder.Wait() // it was killed
	lock, err := Linux{}.Lock(device)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadBufsiz(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bufsiz")
	for text, want := range map[string]int{
		"65536\n": 65536, "1024": 1024, "0\n": defaultBufsiz, "-1": defaultBufsiz, "": defaultBufsiz, "big": defaultBufsiz,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readBufsiz(path); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	if got := readBufsiz(path + ".none"); got != defaultBufsiz {
		t.Errorf("a spidev that does not say: %d", got)
	}
}

// A missing device is named in the error, and so is a file that is no device.
func TestLinuxDevices(t *testing.T) {
	second := func(_ any, err error) error { return err }
	for _, tt := range []struct {
		err  error
		says string
	}{
		{second(Linux{}.SPI("/dev/spidev250.0")), "check that SPI is switched on"},
		{second(Linux{}.SPI("/dev/spi")), `"/dev/spi" is no SPI device; it is named as in /dev/spidev0.0`},
		{second(Linux{}.I2C("bus")), `"bus" is no I2C bus; it is named as in /dev/i2c-1`},
		{second(Linux{}.I2C("/dev/i2c-250")), "open /dev/i2c-250"},
		{second(Linux{}.Line("gpiochip250:1", true)), "GPIO gpiochip250:1"},
		{second(Linux{}.Lock("/dev/spidev250.0")), "open /dev/spidev250.0"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%v, want %q", tt.err, tt.says)
		}
	}
	if err := second(Linux{}.SPI("/dev/spidev250.0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not tell that there is none", err)
	}
}

// TestServiceOf names the service that has to be stopped.
func TestServiceOf(t *testing.T) {
	for groups, want := range map[string]string{
		"0::/system.slice/ttn-gateway.service\n":                                  "ttn-gateway.service",
		"12:pids:/system.slice/lora.service\n1:name=x:/system.slice/lora.service": "lora.service",
		"0::/system.slice/docker.service/payload\n":                               "docker.service",
		"0::/user.slice/user-1000.slice/session-2.scope\n":                        "",
		"0::/\n": "", "": "",
	} {
		if got := serviceOf(groups); got != want {
			t.Errorf("%q: %q, want %q", groups, got, want)
		}
	}
}
