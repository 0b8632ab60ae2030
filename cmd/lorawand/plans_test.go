package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"lorawand/radio/region"
)

// The list has each plan at the beginning of a line, fits a terminal, and says which
// one The Things Network uses; --json has an object for each.
func TestConfigPlans(t *testing.T) {
	list := func(args ...string) []string {
		t.Helper()
		var out, errs bytes.Buffer
		if status := run(context.Background(), append([]string{"config", "plans"}, args...), nil, &out, &errs); status != 0 {
			t.Fatalf("%v: exit status %d\n%s", args, status, errs.String())
		}
		return strings.Split(strings.TrimSpace(out.String()), "\n")
	}
	table, wide, objects := list()[1:], list("--wide")[1:], list("--json")
	ids := region.IDs()
	if len(table) != len(ids) || len(wide) != len(ids) || len(objects) != len(ids) {
		t.Fatalf("%d, %d, %d lines, want %d", len(table), len(wide), len(objects), len(ids))
	}
	for i, id := range ids {
		if fields := strings.Fields(table[i]); fields[0] != id || utf8.RuneCountInString(table[i]) > 80 {
			t.Errorf("%q: is no line of %s in 80 columns", table[i], id)
		}
		var a region.About
		if err := json.Unmarshal([]byte(objects[i]), &a); err != nil || a.ID != id || a.Region == "" {
			t.Errorf("%s: %v", objects[i], err)
		}
		all := strings.Join(a.Countries, " ")
		if strings.Contains(wide[i], "…") || !strings.HasSuffix(strings.TrimSpace(wide[i]), all) {
			t.Errorf("%q lacks countries of %v", wide[i], a.Countries)
		}
		if used := strings.Fields(table[i])[1] == "yes"; used != a.TTN {
			t.Errorf("%q, want %+v", table[i], a)
		}
	}
}
