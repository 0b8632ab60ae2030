package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lorawand/concentrator/sx1302"
)

// The daemon can read firmware that root has imported with a umask of its own.
func TestMakeFolder(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "lib", "firmware")
	for range 2 {
		if err := makeFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeFolder(own); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(own); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the owner's folder became %v, %v", info.Mode(), err)
	}
	file := filepath.Join(own, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", file, filepath.Join(file, "below")} {
		if status := run(t.Context(), []string{"firmware", "import", "--dir", bad, file}, nil, io.Discard,
			io.Discard); status != exitFailed {
			t.Errorf("a folder %q: status %d", bad, status)
		}
	}
}

// A file is not read beyond what can be taken, and one that is too long not at
// all.
func TestReadImport(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(long, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := readImport(long); !errors.Is(err, sx1302.ErrImage) || !strings.Contains(err.Error(),
		"1099511627776 bytes") {
		t.Errorf("%v", err)
	}
	if b, err := readImport("/dev/zero"); err != nil || len(b) != sx1302.MaxImportSize+1 {
		t.Errorf("%d bytes of what has no end, %v", len(b), err)
	}
	if b, err := readImport("firmware.go"); err != nil || !bytes.Contains(b, []byte("func readImport")) {
		t.Errorf("%v", err)
	}
}

// images returns images of programs, of which only the size and the check bits are right.
func images(programs ...sx1302.Program) (out []sx1302.Image) {
	for _, p := range programs {
		data := make([]byte, sx1302.ImageSize) // words of 0 have good check bits
		if p == sx1302.PatchSX1261 {
			data = data[:sx1302.PatchSize]
		}
		out = append(out, sx1302.Image{Program: p, Data: data})
	}
	return out
}

// TestSaveImages: what is of no use is named, and what is missing then.
func TestSaveImages(t *testing.T) {
	const (
		noPatch = "sx1261_pram.var, which only plans of Japan and Korea, and scans need; packet forwarders of sx1302_hal"
		none    = "missing in %s: agc_fw_sx1250.var and arb_fw.var for boards with SX1250 radios, or agc_fw_sx1257.var and " +
			"arb_fw.var and cal_fw.var for"
	)
	for name, tt := range map[string]struct {
		images []sx1302.Image
		says   []string
		never  string
		fails  bool
	}{
		"a forwarder of 2.0.0 to 2.1.0": {
			images(sx1302.AGCSX1250, sx1302.AGCSX125x, sx1302.ARB, sx1302.CalibrationSX125x),
			[]string{"fwd: agc_fw_sx1250.var\n", "fwd: cal_fw.var\n", noPatch},
			"SX1250 radios", false,
		},
		"a forwarder of version 1": {
			images(sx1302.OldAGCSX1250, sx1302.OldAGCSX125x, sx1302.OldARB, sx1302.CalibrationSX125x),
			[]string{
				"fwd: arb_fw.var of sx1302_hal 1: not taken, it is too old\n", "fwd: cal_fw.var\n",
				"agc_fw_sx1250.var and arb_fw.var for boards with SX1250 radios, or agc_fw_sx1257.var and arb_fw.var for those",
			},
			"", false,
		},
		"nothing but version 1": {images(sx1302.OldARB), []string{"too old\n", none}, "", true},
		"one file of several": {
			images(sx1302.AGCSX1250),
			[]string{"arb_fw.var for boards with SX1250 radios, or agc"},
			"",
			false,
		},
		"all files": {images(sx1302.AGCSX1250, sx1302.ARB, sx1302.PatchSX1261), nil, "missing", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			dir := t.TempDir()
			err := saveImages(&out, dir, "fwd", tt.images)
			if (err != nil) != tt.fails || err != nil && !strings.Contains(err.Error(), "sx1302_hal 2.0.0 to 2.1.0 are needed") {
				t.Errorf("%v", err)
			}
			out.WriteString(absentPrograms(dir))
			for _, says := range tt.says {
				if says = strings.Replace(says, "%s", dir, 1); !strings.Contains(out.String(), says) {
					t.Errorf("no %q in\n%s", says, out.String())
				}
			}
			if tt.never != "" && strings.Contains(out.String(), tt.never) {
				t.Errorf("%q in\n%s", tt.never, out.String())
			}
		})
	}
}
