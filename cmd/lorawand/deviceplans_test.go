package main

import (
	"strings"
	"testing"
)

// A device whose plan no gateway hears is taken, and told of once for each plan.
func TestUnheardPlans(t *testing.T) {
	s := newSite(t, "")
	const head, note = "id;dev_eui;join_eui;lorawan_version;app_key;frequency_plan_id\n", "no gateway hears the frequency plan"
	row := func(id, eui, plan string) string {
		return id + ";" + eui + ";0000000000000000;1.0.3;" + testApp + ";" + plan + "\n"
	}
	for _, tt := range []struct {
		name, rows string
		want       []string // lines
	}{
		{"the same channels", row("one", "1111111111111111", "EU_863_870") + row("two", "1111111111111112", ""), nil},
		{"another region", row("one", "1111111111111111", "US_902_928_FSB_2"), []string{"one: " + note + " US_902_928_FSB_2, they have EU_863_870_TTN; device set --plan"}},
		{
			"several", row("one", "1111111111111111", "US_902_928_FSB_2") + row("two", "1111111111111112", "AS_923") + row("three", "1111111111111113", "US_902_928_FSB_2"),
			[]string{"2 devices, one is the first: " + note + " US_902_928_FSB_2", "two: " + note + " AS_923"},
		},
		{"a plan that is not known", row("one", "1111111111111111", "RU_864_870_TTN"), nil},
	} {
		_, out, errOut := s.cli(head+tt.rows, "device", "import", "-", "--application", "app1", "--dry-run")
		if !strings.Contains(out, "Would import") || strings.Count(errOut, note) != len(tt.want) {
			t.Errorf("%s: %s%s", tt.name, out, errOut)
		}
		contains(t, tt.name, errOut, tt.want...)
	}
	if _, _, errOut := s.cli("", "device", "create", "dev1", "--application", "app1", "--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk, "--app-s-key", testApp, "--plan", "IN_865_867"); !strings.Contains(errOut, note) {
		t.Errorf("create: %s", errOut)
	}
	if _, _, errOut := s.cli("", "device", "set", "dev1", "--application", "app1", "--plan", "KR_920_923_TTN"); !strings.Contains(errOut, note) {
		t.Errorf("set: %s", errOut)
	}
	contains(t, "a twin", s.fails("", "device", "create", "dev2", "--application", "app2", "--dev-addr", "01ABCDEF", "--nwk-s-key", testNwk, "--app-s-key", testApp),
		"app2/dev2: its frames could not be told from those of another device: app1/dev1 has dev_addr 01ABCDEF", "delete that one first")
}
