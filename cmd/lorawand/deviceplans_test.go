package main

import (
	"strings"
	"testing"
)

// A device whose plan no gateway hears is taken, and told of once for each plan.
func TestUnheardPlans(t *testing.T) {
	s := newSite(t, "")
	const head, note = "id;dev_eui;join_eui;lorawan_version;app_key;frequency_plan_id\n",
		"no gateway hears the frequency plan"
	row := func(id, eui, plan string) string {
		return id + ";" + eui + ";0000000000000000;1.0.3;" + testApp + ";" + plan + "\n"
	}
	for _, tt := range []struct {
		name, rows string
		want       []string // lines
	}{
		{"the same channels", row("one", "1111111111111111", "EU_863_870") + row("two", "1111111111111112", ""), nil},
		{
			"another region", row("one", "1111111111111111", "US_902_928_FSB_2"),
			[]string{"one: " + note + " US_902_928_FSB_2, they have EU_863_870_TTN; device set --plan"},
		},
		{
			"several", row("one", "1111111111111111", "US_902_928_FSB_2") + row("two", "1111111111111112", "AS_923") +
				row("three", "1111111111111113", "US_902_928_FSB_2"),
			[]string{"2 devices, one is the first: " + note + " US_902_928_FSB_2", "two: " + note + " AS_923"},
		},
		{"a plan that is not known", row("one", "1111111111111111", "ISM_2400_3CH_DRAFT2"), nil},
	} {
		_, out, errOut := s.cli(head+tt.rows, "device", "import", "-", "--application", "app1", "--dry-run")
		if !strings.Contains(out, "Would import") || strings.Count(errOut, note) != len(tt.want) {
			t.Errorf("%s: %s%s", tt.name, out, errOut)
		}
		contains(t, tt.name, errOut, tt.want...)
	}
	if _, _, errOut := s.cli("", "device", "create", "dev1", "--application", "app1", "--dev-addr", "01ABCDEF",
		"--nwk-s-key", testNwk, "--app-s-key", testApp, "--plan", "IN_865_867"); !strings.Contains(errOut, note) {
		t.Errorf("create: %s", errOut)
	}
	if _, _, errOut := s.cli("", "device", "set", "dev1", "--application", "app1", "--plan",
		"KR_920_923_TTN"); !strings.Contains(errOut, note) {
		t.Errorf("set: %s", errOut)
	}
	contains(t, "a twin", s.fails("", "device", "create", "dev2", "--application", "app2", "--dev-addr", "01ABCDEF",
		"--nwk-s-key", testNwk, "--app-s-key", testApp),
		"app2/dev2: its frames could not be told from those of another device: app1/dev1 has dev_addr 01ABCDEF",
		"delete that one first")
}

// A sheet of a maker is read as it comes, and help says what it may hold.
func TestImportSheet(t *testing.T) {
	s := newSite(t, "")
	sheet := "SN,DevEUI,AppEUI,AppKey,Name\r\n17,11-22-33-44-55-66-77-88,70B3D57ED0000000," + testApp +
		",K\xfcche\r\n,,,,\r\n"
	status, out, errOut := s.cli(sheet, "device", "import", "-", "--application", "app1", "--version", "1.0.3")
	if status != 0 || out != "Imported 1 device into app1.\n" {
		t.Errorf("exit status %d\n%s%s", status, out, errOut)
	}
	contains(t, "warning", errOut, `lorawand: -: columns that are not known are passed over: "SN"; `)
	contains(t, "device", s.must("", "device", "get", "eui-1122334455667788", "--application", "app1"), "Küche",
		"1122334455667788", "OTAA")
	help := s.must("", "device", "import", "--help")
	contains(t, "help", help, "join_eui (app_eui, application_eui)", "f_nwk_s_int_key (", "resets_f_cnt", "UTF-16")
}
