package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
)

func TestResetOf(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := script("reset.sh", "echo reset >>"+said)
	bad := script("bad.sh", "echo no such pin >&2; exit 3")
	script(multiTechTool, "echo $* >>"+said)
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
			power := &fakePin{}
			err := resetOf(&sx1302.Board{Reset: tt.reset}, sx1302.Pins{Power: power, Sleep: noSleep})(t.Context())
			if !power.high {
				t.Error("the board is not switched on")
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

// fakePin is a line of no chip.
type fakePin struct{ high bool }

func (p *fakePin) Set(high bool) error {
	p.high = high
	return nil
}

func noSleep(context.Context, time.Duration) error { return nil }

func TestLockDevice(t *testing.T) {
	device := filepath.Join(t.TempDir(), "spidev0.0")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDevice(device)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDevice(device); !errors.Is(err, errHeld) || !strings.Contains(err.Error(), device) {
		t.Errorf("%v, want errHeld", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = lockDevice(device); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// A packet forwarder, which locks nothing, is noticed and named.
func TestHeldDevice(t *testing.T) {
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
	want := fmt.Sprintf("%s: sleep, process %d", errHeld, forwarder.Process.Pid)
	for _, d := range []string{device, link} {
		if _, err := lockDevice(d); !errors.Is(err, errHeld) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", d, err, want)
		}
	}
	if err := forwarder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = forwarder.Wait() // it was killed
	unlock, err := lockDevice(device)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestReadBufsiz(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bufsiz")
	for text, want := range map[string]int{"65536\n": 65536, "1024": 1024, "0\n": defaultBufsiz, "-1": defaultBufsiz, "": defaultBufsiz, "big": defaultBufsiz} {
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
