package pages

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

func TestConstant(t *testing.T) {
	const program = "/usr/bin/lora wand"
	maps := strings.Join([]string{
		"00400000-00c09000 r-xp 00000000 fe:00 1234                               /usr/bin/lora wand",
		"00c09000-0144b000 r--p 00809000 fe:00 1234                               /usr/bin/lora wand",
		"0144b000-0160f000 rw-p 0104b000 fe:00 1234                               /usr/bin/lora wand",
		"0160f000-02655000 rw-p 00000000 00:00 0",
		"30000000-30100000 r--p 00000000 fe:00 99                                 /usr/bin/lora wand.old",
		"30200000-30100000 r--p 00000000 fe:00 1234                               /usr/bin/lora wand",
		"nonsense-30100000 r--p 00000000 fe:00 1234                               /usr/bin/lora wand",
		"77770000-77780000 r--p 00000000 00:00 0                                  [vvar]",
		"77780000-77790000 r-xp 00000000 00:00 0                                  [vdso]",
		"", "r-xp",
	}, "\n")
	want := []area{{0x400000, 0xc09000}, {0xc09000, 0x144b000}}
	if got := constant(maps, program); !slices.Equal(got, want) {
		t.Errorf("%x, not %x", got, want)
	}
	deleted := strings.ReplaceAll(maps, program, program+" (deleted)")
	if got := constant(deleted, program+" (deleted)"); !slices.Equal(got, want) {
		t.Errorf("replaced meanwhile: %x, not %x", got, want)
	}
}

func TestStatic(t *testing.T) {
	for _, tt := range []struct {
		cgo, mode string
		want      bool
	}{{"0", "exe", true}, {"1", "exe", false}, {"0", "pie", false}, {"", "exe", false}, {"0", "", false}} {
		var settings []debug.BuildSetting
		for _, s := range []debug.BuildSetting{
			{Key: "-trimpath", Value: "true"},
			{Key: "CGO_ENABLED", Value: tt.cgo},
			{Key: "-buildmode", Value: tt.mode},
		} {
			if s.Value != "" {
				settings = append(settings, s)
			}
		}
		if got := static(settings); got != tt.want {
			t.Errorf("CGO_ENABLED=%s -buildmode=%s: %v", tt.cgo, tt.mode, got)
		}
	}
}

// A program goes on as before; one that is not linked statically is left alone.
func TestRelease(t *testing.T) {
	info, _ := debug.ReadBuildInfo()
	err := Release()
	if static(info.Settings) && err != nil || !static(info.Settings) && !errors.Is(err, ErrNotStatic) {
		t.Error(err)
	}
	if got := fmt.Sprintf("%05.1f %q", 1.25, "text"); got != `001.2 "text"` {
		t.Errorf("afterwards: %s", got)
	}
}
